"""Run many specs: `local_map` is `map(run_one, specs)` over one-thread processes that survives losing any of them."""

import json
import os
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, NamedTuple

from experiments.claims import LONGEST_WAIT_S, last_sign_of_life
from experiments.exact import AnySpec
from experiments.repair import whole_row
from experiments.track import Tracking
from experiments.workers import Answer, Job, Worker
from vapo_core.files import write_whole

MOST_ATTEMPTS = 3
"""Attempts at a run within one command."""

POLL_S = 0.5
"""Seconds between looks at a run that another command is at work on."""


class Failure(NamedTuple):
    """A run that infrastructure failures kept from finishing."""

    spec: AnySpec
    reason: str


OnDone = Callable[[AnySpec, dict[str, Any]], None]


def local_map(
    specs: Sequence[AnySpec], runs: Path, study: str, workers: int, tracking: Tracking | None, on_done: OnDone
) -> list[Failure]:
    """Run every unfinished spec on `workers` local processes, in the order given.

    A run that diverges is a result. A run whose process dies or raises is tried again, three times in all; the reason
    stays in its folder as failure.json. A run that another command is at work on is left for last, not run twice.

    Args:
        on_done: called in this process with each finished row, those finished earlier included.

    Returns:
        Runs that could not be finished.

    Raises:
        OSError: if the disk is full or the folder cannot be written; what is finished stays, give the command again.
    """
    work = _Work(runs, on_done)
    for spec in dict.fromkeys(specs):
        row = whole_row(spec, runs / spec.hash)
        if row is None:
            work.queue.append(spec)
        else:
            on_done(spec, row)
    job = Job(runs, study, tracking)
    crew = [Worker(job) for _ in range(min(workers, len(work.queue)))]
    try:
        while work.queue or any(worker.spec for worker in crew):
            _hand_out(crew, work, job)
            at_work = {worker.line: worker for worker in crew if worker.spec}
            for line in wait(list(at_work), timeout=POLL_S) if at_work else ():
                work.settle(*at_work[line].take())  # type: ignore[index]
            if not at_work:
                time.sleep(POLL_S)
    finally:
        for worker in crew:
            worker.stop()
    return work.failures


def _hand_out(crew: list[Worker], work: "_Work", job: Job) -> None:
    """Give every idle worker a run, a dead one's place to a new process."""
    for place, worker in enumerate(crew):
        if worker.spec is not None:
            continue
        spec = work.next()
        if spec is None:
            return
        if not worker.process.is_alive():
            worker.stop()
            crew[place] = worker = Worker(job)
        worker.give(spec)


class _Work:
    """What is left to do, and what came of the rest."""

    def __init__(self, runs: Path, on_done: OnDone) -> None:
        self.runs, self.on_done = runs, on_done
        self.queue: deque[AnySpec] = deque()
        self.failures: list[Failure] = []
        self._tries: Counter[str] = Counter()
        self._not_before: dict[str, float] = {}

    def next(self) -> AnySpec | None:
        """The next run whose time has come, taken from the queue."""
        for _ in range(len(self.queue)):
            spec = self.queue.popleft()
            if self._not_before.get(spec.hash, 0.0) <= time.monotonic():
                return spec
            self.queue.append(spec)
        return None

    def settle(self, spec: AnySpec, answer: Answer) -> None:
        """Book what came of an attempt.

        Raises:
            OSError: if the folder of records cannot be written.
        """
        if answer.row is not None:
            self.on_done(spec, answer.row)
        elif answer.busy:
            self._leave_for_later(spec)
        elif answer.storage is not None:
            number, path = answer.storage
            raise OSError(
                number, f"{os.strerror(number)}; finished runs are kept, mend it and give the command again", path
            )
        else:
            self._try_again(spec, answer)

    def _leave_for_later(self, spec: AnySpec) -> None:
        if not self._not_before:
            print(f"run {spec.hash} is being run by another command; waiting for it and others at the end",
                  file=sys.stderr)  # fmt: skip
        still = time.time() - last_sign_of_life(self.runs / spec.hash)
        if still > LONGEST_WAIT_S:
            self.failures.append(Failure(spec, f"another command holds it, without progress for {still / 60:.0f} min"))
            return
        self._not_before[spec.hash] = time.monotonic() + POLL_S
        self.queue.append(spec)

    def _try_again(self, spec: AnySpec, answer: Answer) -> None:
        self._tries[spec.hash] += 1
        content = {"attempt": self._tries[spec.hash], "reason": answer.reason, "trace": answer.trace}
        write_whole(self.runs / spec.hash / "failure.json", json.dumps(content, indent=2))
        if self._tries[spec.hash] >= MOST_ATTEMPTS:
            self.failures.append(Failure(spec, answer.reason))
        else:
            self.queue.append(spec)
