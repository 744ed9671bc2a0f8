"""Claiming a trial when the connection is lost in the middle of it."""

from contextlib import contextmanager, nullcontext

import pytest

from experiments.services.store import store_of
from experiments.sweeps.proposals import propose
from experiments.sweeps.space import Dimension, SearchPlan
from experiments.sweeps.tune import claim, failures, open_study, records, work

WANTED = SearchPlan("claims", (Dimension("alpha", "log", 0.02, 20.0, False),), 3, 1, "qmc", 7, "none")


class LostOnce:
    """A store whose lock cannot be given back the first time, as when the server stops just then."""

    def __init__(self, inner):
        self.inner, self.lost = inner, 0

    def __getattr__(self, name):
        return getattr(self.inner, name)

    @contextmanager
    def claiming(self):
        with self.inner.claiming():
            yield
        if not self.lost:
            self.lost += 1
            raise ConnectionError("server closed the connection")

    def retry_with_backoff(self, action):
        try:
            return action()
        except ConnectionError:
            return action()


def test_a_worker_that_asks_again_gets_what_it_has(tmp_path):
    journal = tmp_path / "journal.log"
    study = open_study(journal, WANTED)
    with store_of(journal).working() as me:
        first, again = (claim(study, WANTED, journal, me) for _ in range(2))
        assert first.number == again.number
        assert first.params == again.params
        study.tell(again, 0.5)
        assert claim(study, WANTED, journal, me).number != first.number


def test_a_trial_claimed_as_the_connection_fell_is_run_and_nobody_waits_for_it(tmp_path, monkeypatch):
    journal = tmp_path / "journal.log"
    store = LostOnce(store_of(journal))
    monkeypatch.setattr("experiments.sweeps.tune.store_of", lambda place: store)
    ran = []

    def evaluate(values, index, number):
        ran.append(number)
        return values["alpha"]

    work({WANTED: evaluate}, journal)
    assert store.lost == 1
    study = open_study(journal, WANTED)
    assert {record.state for record in records(study, WANTED)} == {"complete"}
    assert len(ran) == len(set(ran)) == len(records(study, WANTED)) == 3
    assert failures(study) == []


class Unlocked:
    """A store whose lock keeps nobody out, as when it fell with its connection."""

    def __init__(self, inner):
        self.inner = inner

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def claiming(self):
        return nullcontext()


def once(action, before=lambda *args: None, after=lambda *args: None):
    """The action, the first call of it with something else done before or after."""
    left = [1]

    def called(*args, **kwargs):
        first = bool(left and left.pop())
        if first:
            before()
        result = action(*args, **kwargs)
        if first:
            after()
        return result

    return called


@pytest.mark.parametrize("moment", ["before it queues", "before it asks", "before its name is on it"])
def test_without_the_lock_a_slot_is_still_one_workers(moment, tmp_path, monkeypatch):
    """Another worker claims in the middle of a claim: one of them gets the slot, nobody an error, the slot is run once."""
    journal, claimed = tmp_path / "journal.log", []
    store = Unlocked(store_of(journal))
    monkeypatch.setattr("experiments.sweeps.tune.store_of", lambda place: store)
    study, other = open_study(journal, WANTED), open_study(journal, WANTED)
    with store.working() as me, store.working() as you:

        def meanwhile():
            claimed.append(claim(other, WANTED, journal, you))

        if moment == "before it queues":
            monkeypatch.setattr("experiments.sweeps.tune.propose", once(propose, before=meanwhile))
        elif moment == "before it asks":
            monkeypatch.setattr(study, "ask", once(study.ask, before=meanwhile))
        else:
            monkeypatch.setattr(study, "ask", once(study.ask, after=meanwhile))
        claimed.append(claim(study, WANTED, journal, me))
        got = [trial for trial in claimed if trial is not None]
        assert len(claimed) == 2
        assert len(got) == 1
        for trial in got:
            study.tell(trial.number, 0.5)
        ran = []
        work({WANTED: lambda values, index, number: ran.append(number) or values["alpha"]}, journal)
    assert len(ran) == WANTED.trials - 1
    assert [record.slot for record in records(study, WANTED)] == list(range(WANTED.trials))
    assert failures(study) == []
