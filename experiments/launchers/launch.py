"""Run many specs: `map(run_one, specs)` over one-thread processes, or a Ray cluster, that survives losing any of them."""

import json
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from experiments.launchers.launching import PLACES, Launching, cores
from experiments.launchers.workers import AttemptResult, Job, Worker, no_storage
from experiments.runs.inputs import say_changes
from experiments.runs.repair import mend_spec, whole_row
from experiments.runs.source import ROWS, replace_other
from experiments.services.claims import LONGEST_WAIT_S, last_sign_of_life
from experiments.services.store import Shared
from experiments.specs.exact import AnySpec
from experiments.tracking.mlflow_run import Tracking
from vapo_core.files import write_whole

MOST_ATTEMPTS = 3
"""Attempts at a run within one command."""

POLL_S = 0.5
"""Seconds between checks of a run that another command holds."""


class Failure(NamedTuple):
    """A run that infrastructure failures kept from finishing."""

    spec: AnySpec
    reason: str


OnDone = Callable[[AnySpec, dict[str, Any]], None]


class Executor(Protocol):
    """Something that runs specs."""

    def has_capacity(self) -> bool:
        """Whether another run can start."""
        ...

    def submit(self, spec: AnySpec) -> None:
        """Start a run."""
        ...

    def busy(self) -> bool:
        """Whether any run is in progress."""
        ...

    def poll(self) -> list[tuple[AnySpec, AttemptResult]]:
        """Results since the last call, after a short wait if there are none."""
        ...

    def stop(self) -> None:
        """Stop everything immediately."""
        ...


def launch(
    how: Launching,
    specs: Sequence[AnySpec],
    runs: Path,
    study: str,
    tracking: Tracking | None,
    on_done: OnDone,
    shared: Shared | None = None,
) -> list[Failure]:
    """`local_map` on this machine's cores, or the same over a Ray cluster."""
    if how.launcher == "local":
        return local_map(specs, runs, study, how.at_once or cores(), tracking, on_done, shared)
    from experiments.launchers.ray.executor import RayExecutor

    plain = Launching(
        **{name: getattr(how, name) for name in PLACES}
    )  # a command's own class may be made up as it starts
    return run_all(specs, runs, on_done, lambda todo: RayExecutor(Job(runs, study, tracking), plain))


def local_map(
    specs: Sequence[AnySpec],
    runs: Path,
    study: str,
    workers: int,
    tracking: Tracking | None,
    on_done: OnDone,
    shared: Shared | None = None,
) -> list[Failure]:
    """Run every unfinished spec on `workers` local processes, in the order given; see `run_all`.

    Args:
        shared: where this machine agrees with others on who runs what.
    """
    job = Job(runs, study, tracking, shared)
    return run_all(specs, runs, on_done, lambda todo: LocalExecutor(job, min(workers, todo)))


def run_all(
    specs: Sequence[AnySpec], runs: Path, on_done: OnDone, executor_for: Callable[[int], Executor]
) -> list[Failure]:
    """Run every unfinished spec.

    A run that diverges is a result. A run whose process dies or raises is retried, three attempts in all; the reason
    stays in its folder as failure.json. A run that another command holds is left for last, not run twice. What other source
    computed is set aside and made again.

    Args:
        specs: in the order in which they are begun.
        on_done: called in this process with each finished row, those finished earlier included.
        executor_for: number of runs left -> who runs them; not called if there are none.

    Returns:
        Runs that could not be finished.

    Raises:
        OSError: if the disk is full or the folder cannot be written; finished runs are kept; re-run the command.
    """
    work, finished = _Work(runs, on_done), []
    replace_other(specs, runs)
    for spec in dict.fromkeys(specs):
        row = whole_row(spec, runs / spec.hash)
        if row is None:
            work.queue.append(spec)
        else:
            mend_spec(spec, runs / spec.hash)
            finished.append(spec)
            on_done(spec, row)
    say_changes(finished, runs)
    if work.queue:
        ROWS.keep(runs)  # here, once, not in every worker
        executor = executor_for(len(work.queue))
        try:
            while work.queue or executor.busy():
                while executor.has_capacity() and (spec_ := work.next()) is not None:
                    executor.submit(spec_)
                for spec, answer in executor.poll():
                    work.settle(spec, answer)
        finally:
            executor.stop()
    return work.failures


class LocalExecutor:
    """Processes of this machine."""

    def __init__(self, job: Job, workers: int) -> None:
        self._job = job
        self._workers: list[Worker] = []
        try:
            for _ in range(workers):
                self._workers.append(Worker(job))
        except BaseException:
            self.stop()
            raise

    def has_capacity(self) -> bool:
        """Whether a worker is idle."""
        return any(worker.spec is None for worker in self._workers)

    def submit(self, spec: AnySpec) -> None:
        """Give it to the first idle worker; a dead worker is replaced by a new process."""
        place, worker = next((i, worker) for i, worker in enumerate(self._workers) if worker.spec is None)
        if not worker.process.is_alive():
            worker.stop()
            self._workers[place] = worker = Worker(self._job)
        worker.submit(spec)

    def busy(self) -> bool:
        """Whether a worker is running."""
        return any(worker.spec for worker in self._workers)

    def poll(self) -> list[tuple[AnySpec, AttemptResult]]:
        """Results as they arrive."""
        at_work = {worker.line: worker for worker in self._workers if worker.spec}
        if not at_work:
            time.sleep(POLL_S)
            return []
        return [at_work[line].poll() for line in wait(list(at_work), timeout=POLL_S)]  # type: ignore[index]

    def stop(self) -> None:
        """End every process."""
        for worker in self._workers:
            worker.stop()


class _Work:
    """Runs left to do, and the failures so far."""

    def __init__(self, runs: Path, on_done: OnDone) -> None:
        self.runs, self.on_done = runs, on_done
        self.queue: deque[AnySpec] = deque()
        self.failures: list[Failure] = []
        self._tries: Counter[str] = Counter()
        self._not_before: dict[str, float] = {}

    def next(self) -> AnySpec | None:
        """Pop the next run that may start."""
        for _ in range(len(self.queue)):
            spec = self.queue.popleft()
            if self._not_before.get(spec.hash, 0.0) <= time.monotonic():
                return spec
            self.queue.append(spec)
        return None

    def settle(self, spec: AnySpec, answer: AttemptResult) -> None:
        """Record the result of an attempt.

        Raises:
            OSError: if the folder of records cannot be written.
        """
        if answer.row is not None:
            self.on_done(spec, answer.row)
        elif answer.again:
            self.queue.appendleft(spec)
        elif answer.busy:
            self._leave_for_later(spec)
        elif answer.storage is not None:
            raise no_storage(*answer.storage)
        else:
            self._try_again(spec, answer)

    def _leave_for_later(self, spec: AnySpec) -> None:
        if not self._not_before:
            print(f"run {spec.hash} is being run by another command; it is left for the end",
                  file=sys.stderr)  # fmt: skip
        still = time.time() - last_sign_of_life(self.runs / spec.hash)
        if still > LONGEST_WAIT_S:
            self.failures.append(
                Failure(spec, f"another command holds it and has made no progress for {still / 60:.0f} min")
            )
            return
        self._not_before[spec.hash] = time.monotonic() + POLL_S
        self.queue.append(spec)

    def _try_again(self, spec: AnySpec, answer: AttemptResult) -> None:
        self._tries[spec.hash] += 1
        content = {"attempt": self._tries[spec.hash], "reason": answer.reason, "trace": answer.trace}
        write_whole(self.runs / spec.hash / "failure.json", json.dumps(content, indent=2))
        if self._tries[spec.hash] >= MOST_ATTEMPTS:
            self.failures.append(Failure(spec, answer.reason))
        else:
            print(f"run {spec.hash}: {answer.reason}; retrying", file=sys.stderr)
            self.queue.append(spec)
