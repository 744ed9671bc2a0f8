"""Run a grid the way a command does: a progress bar while it runs, then a check that every finished run is still there."""

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from experiments.launchers.launch import Failure, launch
from experiments.launchers.launching import Launching
from experiments.launchers.progress import Progression
from experiments.launchers.shortfall import finished, say_gone
from experiments.launchers.workers import Job
from experiments.runs.source import is_finished
from experiments.services.store import Shared
from experiments.specs.exact import AnySpec


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
