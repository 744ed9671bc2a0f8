"""Trials as runs: a trial's values become ordinary specs, worker processes run them, their records become a table."""

import json
import multiprocessing
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from experiments.launchers.grid import GridResult, run_grid
from experiments.launchers.launching import Launching
from experiments.launchers.progress import Watch
from experiments.launchers.workers import Job, no_storage, one_thread, storage_trouble
from experiments.runs.repair import read_row
from experiments.runs.run import finished_row, run_one
from experiments.runs.source import say_other_once
from experiments.services.addresses import redacted
from experiments.services.stopping import deaf_children
from experiments.services.store import Place, Shared, store_of
from experiments.specs.plugin import Plugin, install, installed
from experiments.specs.spec import RunSpec, paired_base
from experiments.sweeps.space import SearchPlan
from experiments.sweeps.tune import (
    EVALUATOR,
    NoRoom,
    Record,
    failures,
    importances,
    is_done,
    open_study,
    records,
    requeue_failed,
    work,
)
from experiments.tracking.mlflow_run import Tracking, client, warn_away
from vapo_core.settings import Settings

KEPT = ("score", "mean_length", "tokens", "seconds", "state", "reason", "metric", "git_commit")
"""Columns of a run's row that the table of trials repeats; the score is its area under the curve."""


class Search(NamedTuple):
    """One search: a space at one place, with the seeds that choose and those that are held back."""

    role: str
    """main, or control: the same search with a constant lambda."""
    place: str
    """The task dial that tells this search from its siblings, such as `filler = 2`; empty if there is one."""
    template: RunSpec
    """The run all cells are made from."""
    plan: SearchPlan
    choosing: tuple[int, ...]
    held_back: tuple[int, ...]

    @property
    def fields(self) -> tuple[str, ...]:
        """The swept settings."""
        return tuple(dimension.field for dimension in self.plan.space)

    @property
    def label(self) -> str:
        """For a person."""
        return ", ".join(filter(None, [" x ".join(self.fields), self.place]))


@dataclass(frozen=True)
class Cells:
    """What a trial is scored by: the run of one seed, reused if it has finished."""

    study: Search
    runs: Path
    experiment: str
    tracking: Tracking | None
    shared: Shared | None = None

    def __call__(self, values: dict[str, float], index: int, number: int) -> float:
        """Area under the curve of the seed at that index."""
        spec = cell(self.study.template, values, self.study.choosing[index])
        fresh = finished_row(spec, self.runs) is None
        say_other_once(self.runs / spec.hash)
        there = self.shared.row(spec.hash) if self.shared else None
        if there is not None:
            return float(there["auc"])
        row = self._run(spec)
        if self.shared:
            self.shared.put(spec.hash, row)
        if fresh and self.tracking is not None:
            _tag(self.runs / spec.hash, self.tracking, self.study.plan.name, number)
        return float(row["auc"])

    def _run(self, spec: RunSpec) -> dict[str, Any]:
        try:
            return run_one(spec, self.runs, self.experiment, self.tracking)
        except Exception as error:
            if storage_trouble(error, self.runs) is None:
                raise
            raise NoRoom from error


def cell(template: RunSpec, values: dict[str, float], seed: int) -> RunSpec:
    """The template with these settings and this seed, the base paired with the seed as in an ablation.

    Raises:
        ValidationError: for values that do not go together.
    """
    base = paired_base(template.base, template.world, seed)
    settings = Settings.model_validate({**template.settings.model_dump(), **values})
    return template.model_copy(update={"settings": settings, "seed": seed, "base": base})


def run_trials(jobs: Mapping[Search, Cells], place: Place, workers: int) -> None:
    """Let worker processes take trials until none is left; new ones take over if all of them died.

    Raises:
        OSError: if the workers ended without completing a trial, or records cannot be written.
    """
    context, retry_with_backoff = multiprocessing.get_context("spawn"), store_of(place).retry_with_backoff
    storage_failures, runs = context.SimpleQueue(), next(iter(jobs.values())).runs
    studies = {study.plan: open_study(place, study.plan) for study in jobs}
    for plan, found in studies.items():
        retry_with_backoff(lambda: requeue_failed(found, plan, place))  # noqa: B023  called at once
    watch = Watch(sum(plan.trials for plan in studies))
    tasks = {study.plan: cells for study, cells in jobs.items()}
    while not retry_with_backoff(lambda: _all_done(studies)):
        before = retry_with_backoff(lambda: _begun(studies))
        processes = [
            context.Process(target=_worker, args=(tasks, place, runs, storage_failures, installed()))
            for _ in range(workers)
        ]
        _see_out(processes, storage_failures, lambda: watch.look(retry_with_backoff(lambda: _done(studies))))
        if retry_with_backoff(lambda: _begun(studies)) == before and not retry_with_backoff(lambda: _all_done(studies)):
            raise OSError(
                f"the workers of {store_of(place).name()} ended without completing a trial; see their error above"
            )


def _see_out(processes: Sequence[Any], storage_failures: Any, look: Callable[[], None]) -> None:
    """Start the workers and wait for their end, looking at what is done now and then.

    Raises:
        OSError: as soon as one of them says that records cannot be written.
    """
    try:
        with deaf_children():
            for process in processes:
                process.start()
        while any(process.is_alive() for process in processes) and storage_failures.empty():
            time.sleep(0.3)
            look()
        if not storage_failures.empty():
            raise no_storage(*storage_failures.get())
    finally:
        for process in processes:
            if process.pid is not None:
                process.terminate()
                process.join()


def _all_done(studies: Mapping[SearchPlan, Any]) -> bool:
    return all(is_done(found, plan) for plan, found in studies.items())


def _done(studies: Mapping[SearchPlan, Any]) -> int:
    return sum(len(records(found, plan)) for plan, found in studies.items())


def _begun(studies: Mapping[SearchPlan, Any]) -> int:
    return sum(len(found.get_trials(deepcopy=False)) for found in studies.values())


def run_held_back(jobs: Mapping[Search, Cells], place: Place, workers: int) -> GridResult:
    """Run the held-back seeds of every complete trial, in an order of this process's own.

    Two commands at work on one sweep then seldom wait for the same cell.
    """
    cells = next(iter(jobs.values()))
    distinct = list(dict.fromkeys(spec for study in jobs for spec in _complete(study, place, study.held_back)))
    shuffled = [distinct[i] for i in np.random.default_rng().permutation(len(distinct))]
    job = Job(cells.runs, cells.experiment, cells.tracking, cells.shared)
    return run_grid(Launching(workers=workers), shuffled, job, "held-back seeds", lambda spec: spec.arm)


def choosing_runs(studies: Sequence[Search], place: Place) -> list[RunSpec]:
    """Runs of the choosing seeds of every complete trial."""
    return [spec for study in studies for spec in _complete(study, place, study.choosing)]


def _complete(study: Search, place: Place, seeds: Sequence[int]) -> list[RunSpec]:
    """The cells of the complete trials."""
    found = records(open_study(place, study.plan), study.plan)
    return [
        cell(study.template, record.values, seed) for record in found if record.state == "complete" for seed in seeds
    ]


# --- tables ---


def trial_table(studies: Sequence[Search], place: Place, runs: Path) -> pd.DataFrame:
    """One row per trial and finished seed: its values, which half of the seeds it is of, its score and length.

    Rows of other machines come from the store that is shared with them.
    """
    cells = [
        (study, record, half, seed, cell(study.template, record.values, seed).hash)
        for study in studies
        for record in records(open_study(place, study.plan), study.plan)
        for half, seeds in (("choosing", study.choosing), ("held back", study.held_back))
        for seed in seeds
    ]
    shared = store_of(place).rows()
    there = shared.rows([name for *_, name in cells]) if shared else {}
    lines = []
    for study, record, half, seed, name in cells:
        row = there.get(name) or read_row(runs / name)
        if row is not None:
            lines.append(_line(study, record, half, seed, row))
    return pd.DataFrame(lines)


def _line(study: Search, record: Record, half: str, seed: int, row: dict[str, Any]) -> dict[str, Any]:
    """A finished run of a trial; a pruned or failed trial may have few or none."""
    return {
        "place": study.place, "role": study.role, "trial": record.slot, "number": record.number,
        "outcome": record.state, **record.values, "world": study.template.world, "task": study.template.task.name,
        "arm": study.template.arm, "steps": study.template.steps, "half": half, "seed": seed,
        **{name: row["auc" if name == "score" else name] for name in KEPT}, "spec": row["spec"],
    }  # fmt: skip


def space_table(studies: Sequence[Search]) -> pd.DataFrame:
    """One row per swept setting and study: its range and scale."""
    return pd.DataFrame(
        [
            {"place": s.place, "role": s.role, "setting": d.field, "scale": d.scale, "low": d.low, "high": d.high}
            for s in studies
            for d in s.plan.space
        ]
    )


def importance_table(studies: Sequence[Search], place: Place) -> pd.DataFrame:
    """One row per swept setting and study, the evaluator named; no row where the trials cannot tell."""
    rows = [
        {"place": s.place, "role": s.role, "setting": name, "importance": share, "evaluator": EVALUATOR}
        for s in studies
        for name, share in importances(open_study(place, s.plan), s.plan).items()
    ]
    return pd.DataFrame(rows, columns=["place", "role", "setting", "importance", "evaluator"])


def is_finished(studies: Sequence[Search], place: Place, runs: Path) -> bool:
    """Whether every trial is done, and every held-back run of a complete one, here or on another machine."""
    if not _all_done({study.plan: open_study(place, study.plan) for study in studies}):
        return False
    held = [spec for study in studies for spec in _complete(study, place, study.held_back)]
    shared = store_of(place).rows()
    there = shared.rows([spec.hash for spec in held]) if shared else {}
    return all(spec.hash in there or finished_row(spec, runs) is not None for spec in held)


def has_result(studies: Sequence[Search], place: Place) -> bool:
    """Whether any trial is complete."""
    return any(r.state == "complete" for s in studies for r in records(open_study(place, s.plan), s.plan))


def given_up(studies: Sequence[Search], place: Place) -> list[str]:
    """A line per trial that never finished, with its last reason."""
    lines = []
    for study in studies:
        found = open_study(place, study.plan)
        reasons = dict(failures(found))
        lines += [
            f"{study.label}, trial {record.slot}, {record.values}: {reasons[record.number]}"
            for record in records(found, study.plan)
            if record.state == "failed"
        ]
    return lines


# --- workers ---


def _worker(
    jobs: Mapping[SearchPlan, Cells], place: Place, runs: Path, storage_failures: Any, plugin: Plugin | None
) -> None:
    """One process, one thread; the parent decides about Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    one_thread()
    try:
        install(plugin)
        work(jobs, place)
    except Exception as error:  # the parent says what becomes of it; a traceback could hold an address
        failure = storage_trouble(error, runs)
        if failure is not None:
            storage_failures.put(failure)
            return
        text = " ".join(redacted(str(error)).split())
        print(f"a sweep worker failed: {type(error).__name__}: {text[:300]}", file=sys.stderr)
        sys.exit(1)


def _tag(run_dir: Path, tracking: Tracking, study: str, number: int) -> None:
    """Tag a run in MLflow with the trial that requested it first."""
    try:
        run_id = json.loads((run_dir / "mlflow.json").read_text())["run_id"]
        mlflow = client(tracking.uri)
        mlflow.set_tag(run_id, "optuna_study", study)
        mlflow.set_tag(run_id, "optuna_trial", str(number))
    except FileNotFoundError:
        return  # tracking was away, and said so
    except Exception as error:
        warn_away(error)
