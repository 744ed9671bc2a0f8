"""Trials of a sweep: Optuna over a journal file or a PostgreSQL database.

A trial belongs to a worker that is seen to be alive; that of a killed worker is marked failed and queued again with the
same parameters. What is tried next is a function of the slot (0, 1, ... trials - 1) and of the finished trials alone, so a
restarted sweep goes the way of an uninterrupted one.
"""

import json
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import numpy as np
import optuna
from filelock import FileLock
from optuna.samplers import RandomSampler
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, Trial, TrialState

from experiments.launchers.launch import MOST_ATTEMPTS
from experiments.services.addresses import redacted
from experiments.services.database import POOL
from experiments.services.heartbeat import is_alive
from experiments.services.store import Place, Shared, drop_cut_line, store_of
from experiments.sweeps.proposals import PRUNERS, distribution, propose, quiet, slot_of, space_of, values_of
from experiments.sweeps.space import Record, SearchPlan
from vapo_core.files import set_aside
from vapo_core.reading import Unreadable, reading

EVALUATOR = "fANOVA (64 trees)"
"""Named wherever an importance is shown: another evaluator gives other numbers."""

POLL_SECONDS = 0.5


class NoRoom(Exception):
    """Records cannot be written, so no other trial would fare better."""


Evaluate = Callable[[dict[str, float], int, int], float]
"""(values of the settings, index of the seed, trial number) -> score of that seed; higher is better."""


def open_study(place: Place, plan: SearchPlan) -> optuna.Study:
    """The plan's study in the store, made if it is not there."""
    store = store_of(place)

    def opened() -> optuna.Study:
        with quiet(), store.opening():
            return optuna.create_study(
                storage=_storage(place), study_name=plan.name, direction="maximize",
                sampler=RandomSampler(seed=plan.seed), pruner=PRUNERS[plan.pruner](), load_if_exists=True,
            )  # fmt: skip

    return store.retry_with_backoff(opened)


def set_damaged_aside(journal: Path) -> None:
    """Start a new journal if this one cannot be read: trials are proposed as before, finished runs are reused.

    Raises:
        ValueError: naming the journal, if another command is at work on it.
    """
    with store_of(journal).opening():
        wrong = _journal_damage(journal)
        if not wrong:
            return
        workers = journal.parent / "workers"
        if any(is_alive(workers, lock.stem) for lock in workers.glob("*.lock")):
            raise ValueError(f"{journal}: {wrong}; another command is using it; stop that command first")
        set_aside(journal, wrong, "its trials are proposed again; finished runs are reused")


def _journal_damage(journal: Path) -> str:
    """What is wrong with a journal; "" if nothing is, or there is none."""
    if not journal.exists():
        return ""
    try:
        with reading(journal), quiet():
            if not journal.is_file():
                raise ValueError("not a file")
            lock = _JournalLock(journal)
            lock.acquire()
            lock.release()
            for number, line in enumerate(journal.read_bytes().splitlines(), start=1):
                with reading(f"line {number}"):
                    json.loads(line)["op_code"]
            JournalStorage(JournalFileBackend(str(journal), lock_obj=lock)).get_all_studies()
    except Unreadable as error:
        return str(error).removeprefix(f"{journal}: ")
    return ""


def _storage(place: Place) -> BaseStorage:
    if isinstance(place, Shared):
        return _database_storage(place.database.address)
    return JournalStorage(JournalFileBackend(str(place), lock_obj=_JournalLock(place)))


@cache
def _database_storage(address: str) -> BaseStorage:
    """One per process."""
    return RDBStorage(address, engine_kwargs=dict(POOL))


def work(jobs: Mapping[SearchPlan, Evaluate], place: Place) -> None:
    """Take trials of these studies, the first ones first, until all are done, also those that other processes have."""
    store = store_of(place)
    studies = {plan: open_study(place, plan) for plan in jobs}
    with store.working() as me:
        while not store.retry_with_backoff(lambda: all(is_done(study, plan) for plan, study in studies.items())):
            plan, trial = store.retry_with_backoff(lambda: _next(studies, place, me))
            if plan is None or trial is None:
                time.sleep(POLL_SECONDS)
            else:
                _run(studies[plan], trial, plan, place, jobs[plan])


def _next(studies: Mapping[SearchPlan, optuna.Study], place: Place, me: str) -> tuple[SearchPlan | None, Trial | None]:
    """The first study with something left to begin, and a trial of it."""
    claims = ((plan, claim(study, plan, place, me)) for plan, study in studies.items())
    return next(((plan, trial) for plan, trial in claims if trial is not None), (None, None))


def claim(study: optuna.Study, plan: SearchPlan, place: Place, me: str) -> Trial | None:
    """A trial for this worker: a queued one first, else a new one; None if nothing is left to begin.

    A worker asks with empty hands. So a running trial with its name on it was claimed in an attempt that lost its
    connection before it could say so: here it is. One without a name, nobody knows of: it is given back first.
    """
    store = store_of(place)
    with store.claiming():
        for trial in _trials(study, TrialState.RUNNING):
            worker = trial.user_attrs.get("worker", "")
            if worker == me:
                return Trial(study, trial._trial_id)
            if not worker or not store.is_alive(worker):
                _give_back(study, trial, "its process died")
        if not _trials(study, TrialState.WAITING):
            slot = _free_slot(study, plan)
            if slot is None:
                return None
            params = propose(plan, slot, _trials(study, *_WITH_RESULT, TrialState.RUNNING))
            study.enqueue_trial(params, user_attrs={"slot": slot})
        return _asked(study, plan, me)


def _asked(study: optuna.Study, plan: SearchPlan, me: str) -> Trial | None:
    """The queued trial, with this worker's name on it; None if its slot is another trial's.

    The claim lock alone does not make a slot's trial the only one: it falls with its connection when the server is
    started anew, and Optuna's own connection comes back unseen, so two workers may queue the same slot, or one may ask
    for what the other queued (the second one then gets a trial of Optuna's making, without a slot). Trials are numbered
    in the order in which they can be seen. So of those of a slot that have not failed the one with the lowest number
    counts, whoever looks and whenever, and a worker that was given another lays it down.
    """
    trial = study.ask(space_of(plan))
    slot = trial.user_attrs.get("slot")
    taken = (slot_of(t) for t in _trials(study) if t.number < trial.number and t.state != TrialState.FAIL)
    if slot is None or slot in taken:
        study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)
        return None
    try:
        trial.set_user_attr("worker", me)
    except optuna.exceptions.UpdateFinishedTrialError:  # given back by a worker that saw no name on it
        return None
    return trial


def is_done(study: optuna.Study, plan: SearchPlan) -> bool:
    """Whether every slot has its result or was given up."""
    return len(records(study, plan)) == plan.trials


def records(study: optuna.Study, plan: SearchPlan) -> list[Record]:
    """The trials that have a result or were given up, by slot."""
    found = {
        slot_of(t): Record(slot_of(t), t.number, t.state.name.lower(), values_of(t.params, plan.space))
        for t in _trials(study, *_WITH_RESULT)
    }
    for slot, lost in _failures(study).items():
        if slot not in found and len(lost) >= MOST_ATTEMPTS:
            found[slot] = Record(slot, lost[-1].number, "failed", values_of(lost[-1].params, plan.space))
    return [found[slot] for slot in range(plan.trials) if slot in found]


def requeue_failed(study: optuna.Study, plan: SearchPlan, place: Place) -> None:
    """Queue failed trials of an earlier command again: the cause may have been fixed."""
    with store_of(place).claiming():
        lost = {r.slot: _failures(study)[r.slot][-1] for r in records(study, plan) if r.state == "failed"}
        if lost:
            study.set_user_attr("pardoned", 1 + max(trial.number for trial in _trials(study)))
        for slot, trial in lost.items():
            study.enqueue_trial(dict(trial.params), user_attrs={"slot": slot})


def importances(study: optuna.Study, plan: SearchPlan) -> dict[str, float]:
    """Setting -> share of the score's variance over the range, by `EVALUATOR`; empty if the trials cannot tell."""
    evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=64, max_depth=64, seed=plan.seed)
    scores = [t.value for t in _trials(study, TrialState.COMPLETE)]
    if len(scores) < 4 or len(set(scores)) < 2:
        return {}
    with quiet():
        shares = optuna.importance.get_param_importances(study, evaluator=evaluator, normalize=True)
    return {dimension.field: float(shares[distribution(dimension)[0]]) for dimension in plan.space}


def failures(study: optuna.Study) -> list[tuple[int, str]]:
    """(trial number, reason) of every attempt that was begun and came to nothing."""
    reasons = study.user_attrs
    lost = (t for t in _trials(study, TrialState.FAIL) if "worker" in t.user_attrs)
    return [(t.number, reasons[f"why trial {t.number} failed"]) for t in lost]


def _run(study: optuna.Study, trial: Trial, plan: SearchPlan, place: Place, evaluate: Evaluate) -> None:
    """One trial, seed by seed, until it is complete or pruned."""
    store, scores = store_of(place), list[float]()
    values = values_of(trial.params, plan.space)
    for index in range(plan.seeds):
        try:
            scores.append(evaluate(values, index, trial.number))
        except NoRoom:
            raise
        except Exception as error:
            reason = redacted(f"{type(error).__name__}: {error}")
            store.retry_with_backoff(lambda: _fail(study, trial.number, reason, place))  # noqa: B023  called at once
            return
        shown = scores[-1] if plan.pruner == "wilcoxon" else float(np.mean(scores))
        if store.retry_with_backoff(lambda: _is_hopeless(trial, shown, index, plan)):  # noqa: B023  called at once
            store.retry_with_backoff(lambda: study.tell(trial, state=TrialState.PRUNED, skip_if_finished=True))
            return
    store.retry_with_backoff(lambda: study.tell(trial, float(np.mean(scores)), skip_if_finished=True))


def _is_hopeless(trial: Trial, shown: float, index: int, plan: SearchPlan) -> bool:
    """Report a seed's score; whether the seeds that are left can be saved."""
    trial.report(shown, step=index)
    return index + 1 < plan.seeds and trial.should_prune()


def _fail(study: optuna.Study, number: int, reason: str, place: Place) -> None:
    with store_of(place).claiming():
        for trial in _trials(study, TrialState.RUNNING):
            if trial.number == number:
                _give_back(study, trial, reason)


def _give_back(study: optuna.Study, trial: FrozenTrial, reason: str) -> None:
    """Mark a trial failed and queue its parameters again, unless it was tried often enough; hold the claim lock."""
    study.set_user_attr(f"why trial {trial.number} failed", reason)
    study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
    if "worker" not in trial.user_attrs:
        return  # it was not begun: its slot is free again
    if len(_failures(study)[slot_of(trial)]) < MOST_ATTEMPTS:
        study.enqueue_trial(dict(trial.params), user_attrs={"slot": slot_of(trial)})


def _free_slot(study: optuna.Study, plan: SearchPlan) -> int | None:
    taken = {slot_of(t) for t in _trials(study, *_WITH_RESULT, TrialState.RUNNING)}
    taken |= {slot for slot, lost in _failures(study).items() if len(lost) >= MOST_ATTEMPTS}
    return next((slot for slot in range(plan.trials) if slot not in taken), None)


def _failures(study: optuna.Study) -> dict[int, list[FrozenTrial]]:
    """Slot -> its failed attempts that had begun, since they were last requeued."""
    lost: dict[int, list[FrozenTrial]] = {}
    since = int(study.user_attrs.get("pardoned", 0))
    for trial in _trials(study, TrialState.FAIL):
        if "worker" in trial.user_attrs and trial.number >= since:
            lost.setdefault(slot_of(trial), []).append(trial)
    return lost


_WITH_RESULT = (TrialState.COMPLETE, TrialState.PRUNED)


def _trials(study: optuna.Study, *states: TrialState) -> list[FrozenTrial]:
    """Those that were queued for a slot, by number; others were laid down as they were asked for (`_asked`)."""
    return [t for t in study.get_trials(deepcopy=False, states=states or None) if "slot" in t.user_attrs]


class _JournalLock(JournalFileOpenLock):
    """A lock of the operating system on the journal: a killed process leaves neither it nor half a line behind."""

    def __init__(self, journal: Path) -> None:
        self._journal, self._lock = journal, FileLock(f"{journal}.lock")

    def acquire(self) -> bool:
        """Wait for the lock, and drop a last line cut short by a crash.

        Raises:
            Unreadable: if the journal ends in something else.
        """
        self._lock.acquire()
        try:
            drop_cut_line(self._journal)
        except BaseException:
            self._lock.release()
            raise
        return True

    def release(self) -> None:
        """Let the next one in."""
        self._lock.release()
