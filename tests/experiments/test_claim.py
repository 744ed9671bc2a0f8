"""Claiming a trial when the connection is lost in the middle of it."""

from contextlib import contextmanager

from experiments.space import Dimension, Plan
from experiments.store import store_of
from experiments.tune import claim, failures, open_study, records, work

WANTED = Plan("claims", (Dimension("alpha", "log", 0.02, 20.0, False),), 3, 1, "qmc", 7, "none")


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

    def patiently(self, action):
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
    monkeypatch.setattr("experiments.tune.store_of", lambda place: store)
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
