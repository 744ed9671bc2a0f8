"""Run a grid the way a command does: a progress bar while it runs, then a check that every finished run is still there."""

import sys
import time
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from experiments.launchers.launch import Failure, launch
from experiments.launchers.launching import Launching
from experiments.launchers.progress import clock
from experiments.launchers.shortfall import finished, say_gone
from experiments.launchers.workers import Job
from experiments.runs.source import is_finished
from experiments.services.store import Shared
from experiments.specs.exact import AnySpec

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


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
