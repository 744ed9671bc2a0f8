"""Run a grid the way a command does: a progress bar while it runs, then a check that every finished run is still there.

What did not come of it is reported at the end: runs that failed, and finished runs whose records are missing.
"""

import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from experiments.launchers.launch import Failure, launch
from experiments.launchers.launching import Launching
from experiments.launchers.progress import clock
from experiments.launchers.workers import Job
from experiments.runs.repair import curve_damage, read_row
from experiments.runs.source import is_finished
from experiments.services.store import Shared
from experiments.specs.exact import AnySpec

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

MOST_NAMED = 8
"""Most runs that a line lists by name."""
MOST_LINES = 20
"""Most runs that are listed individually."""


class GridResult(NamedTuple):
    """How a grid ended."""

    finished: int
    """Runs whose records are there."""
    failures: list[Failure]
    gone: int
    """Runs that finished and whose records are missing or damaged."""

    @property
    def is_complete(self) -> bool:
        """Whether every run is finished and there."""
        return not self.failures and not self.gone


def run_grid(
    how: Launching, specs: Sequence[AnySpec], job: Job, title: str, label: Callable[[AnySpec], str]
) -> GridResult:
    """Run what is not finished yet, with a progress bar.

    Args:
        how: where, and how many at a time.
        specs: in the order in which they start.
        job: what the runs have in common.
        title: of the progress bar.
        label: what the command calls a run.
    """
    earlier = {spec for spec in specs if is_finished(spec, job.runs)}
    bar = Progression(title, len(specs))
    try:
        failures = launch(
            how, specs, job.runs, job.study, job.tracking,
            lambda spec, row: bar.advance(spec, row, spec not in earlier, label(spec)), job.shared,
        )  # fmt: skip
    finally:
        bar.close()
    ended = finished(specs, failures)
    gone = say_gone(ended, job.runs, shared_rows(job.shared, ended))
    return GridResult(len(ended) - gone, failures, gone)


def shared_rows(shared: Shared | None, specs: Sequence[AnySpec]) -> Collection[str]:
    """Hashes of the runs whose rows the machines share."""
    if shared is None:
        return ()
    return shared.retry_with_backoff(lambda: shared.database.rows([spec.hash for spec in specs]))


def finished(specs: Iterable[AnySpec], failures: Sequence[Failure]) -> list[AnySpec]:
    """The runs that finished."""
    lost = {spec for spec, _ in failures}
    return [spec for spec in dict.fromkeys(specs) if spec not in lost]


def say_gone(ended: Iterable[AnySpec], runs: Path, kept: Collection[str] = ()) -> int:
    """One line on stderr if records of finished runs are missing or damaged; returns their number.

    Args:
        ended: those runs.
        runs: the folder of records.
        kept: hashes of runs that are kept elsewhere, such as in results.
    """
    gone = [spec.hash for spec in dict.fromkeys(ended) if spec.hash not in kept and not _is_there(spec, runs)]
    if gone:
        more = f" and {len(gone) - MOST_NAMED} more" if len(gone) > MOST_NAMED else ""
        print(
            f"missing: {len(gone)} finished runs are now missing or damaged in {runs}: {', '.join(gone[:MOST_NAMED])}{more};"
            " re-run the command to repeat them",
            file=sys.stderr,
        )
    return len(gone)


def _is_there(spec: AnySpec, runs: Path) -> bool:
    """Whether a run's row and curve are whole."""
    row = read_row(runs / spec.hash)
    return row is not None and not curve_damage(spec, row, runs / spec.hash)


def say_failures(failures: Sequence[Failure], label: Callable[[AnySpec], str]) -> None:
    """A line on stderr for each run that could not be finished, then how often each reason was given, if there are several.

    Args:
        failures: the runs with their reasons.
        label: what the command calls a run.
    """
    for spec, reason in failures[:MOST_LINES]:
        print(f"not finished: {label(spec)}, seed {spec.seed}, run {spec.hash}: {reason}", file=sys.stderr)
    if len(failures) > 1:
        print(f"{len(failures)} runs did not finish; reasons and their counts:", file=sys.stderr)
        for reason, count in Counter(failure.reason for failure in failures).most_common():
            print(f"  {count:>5}  {reason}", file=sys.stderr)


class Progression:
    """A progress bar on a terminal; elsewhere (a log, CI) an occasional line."""

    LINE_SECONDS = 15.0

    def __init__(self, title: str, total: int) -> None:
        self.total, self.done, self.fresh = total, 0, 0
        self._start = self._spoke = time.monotonic()
        self._bar: Progress | None = None
        if sys.stderr.isatty():
            from rich import console, progress  # here: a plan or a log draws no bar

            text = progress.TextColumn
            columns = (text("{task.description}"), progress.BarColumn(), progress.MofNCompleteColumn(),
                       progress.TimeElapsedColumn(), text("{task.fields[left]}"), text("{task.fields[last]}"))  # fmt: skip
            self._bar = progress.Progress(*columns, console=console.Console(stderr=True))
            self._task: TaskID = self._bar.add_task(title, total=total, left="", last="")
            self._bar.start()

    def advance(self, spec: AnySpec, row: dict[str, Any], fresh: bool, arm: str = "") -> None:
        """One more run is done; `fresh` ones tell the pace, those finished earlier do not; `arm` names it, else its spec."""
        self.done, self.fresh = self.done + 1, self.fresh + fresh
        score = f": {row['last']:.3f}" if "last" in row else ""
        last = f"{arm or spec.arm}, seed {spec.seed}{score}"
        if self._bar is not None:
            self._bar.update(self._task, advance=1, left=self.left(), last=last)
        elif time.monotonic() - self._spoke > self.LINE_SECONDS or self.done == self.total:
            self._spoke = time.monotonic()
            print(f"{self.done}/{self.total} runs, {self.left()}  {last}", file=sys.stderr, flush=True)

    def left(self) -> str:
        """Time left at the present pace."""
        if not self.fresh:
            return ""
        seconds = (time.monotonic() - self._start) / self.fresh * (self.total - self.done)
        return f"about {clock(seconds)} left"

    def close(self) -> None:
        """Restore the terminal."""
        if self._bar is not None:
            self._bar.stop()
