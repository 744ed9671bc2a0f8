"""Run many specs: `local_map` is `map(run_one, specs)` over one-thread processes that survives losing any of them."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, NamedTuple

from experiments.run import finished_row, run_one
from experiments.spec import RunSpec
from experiments.track import Tracking

MOST_ATTEMPTS = 3


class Failure(NamedTuple):
    """A run that infrastructure failures kept from finishing."""

    spec: RunSpec
    reason: str


OnDone = Callable[[RunSpec, dict[str, Any]], None]


def local_map(
    specs: Sequence[RunSpec], runs: Path, study: str, workers: int, tracking: Tracking | None, on_done: OnDone
) -> list[Failure]:
    """Run every unfinished spec on `workers` local processes.

    A run that diverges is a result. A run whose process dies or raises is tried again, three times in all.

    Args:
        on_done: called in this process with each finished row, those finished earlier included.

    Returns:
        Runs that could not be finished.
    """
    tries = dict.fromkeys(specs, 0)
    for spec in specs:
        row = finished_row(spec, runs)
        if row is not None:
            del tries[spec]
            on_done(spec, row)
    failures: list[Failure] = []
    while tries:
        _one_pool(tries, runs, study, workers, tracking, on_done, failures)
    return failures


def _one_pool(
    tries: dict[RunSpec, int],
    runs: Path,
    study: str,
    workers: int,
    tracking: Tracking | None,
    on_done: OnDone,
    failures: list[Failure],
) -> None:
    """Work through what is left until all is done or a process dies and takes the pool with it; updates `tries`."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(tries)), mp_context=context, initializer=_one_thread) as pool:
        waiting = {pool.submit(run_one, spec, runs, study, tracking): spec for spec in tries}
        try:
            while waiting:
                done, _ = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    spec = waiting.pop(future)
                    if not _settle(future, spec, tries, on_done, failures) and spec in tries:
                        waiting[pool.submit(run_one, spec, runs, study, tracking)] = spec
        except BrokenProcessPool:
            _blame(tries, runs, failures)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            _stop(pool)
            raise


def _settle(
    future: Future[dict[str, Any]], spec: RunSpec, tries: dict[RunSpec, int], on_done: OnDone, failures: list[Failure]
) -> bool:
    """Book one finished future; False if the run has to be tried again or given up."""
    try:
        row = future.result()
    except BrokenProcessPool:
        raise
    except Exception as error:
        tries[spec] += 1
        if tries[spec] >= MOST_ATTEMPTS:
            del tries[spec]
            failures.append(Failure(spec, f"{type(error).__name__}: {error}"))
        return False
    del tries[spec]
    on_done(spec, row)
    return True


def _blame(tries: dict[RunSpec, int], runs: Path, failures: list[Failure]) -> None:
    """After a death in the pool: count an attempt for every run that had begun and is not finished."""
    for spec in list(tries):
        if (runs / spec.hash / "attempts").exists() and finished_row(spec, runs) is None:
            tries[spec] += 1
            if tries[spec] >= MOST_ATTEMPTS:
                del tries[spec]
                failures.append(Failure(spec, "its process died"))


def _one_thread() -> None:
    """One run, one core: the workers are the parallelism."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A worker must not outlive a parent that was killed: it would race with the command that continues the work."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _stop(pool: ProcessPoolExecutor) -> None:
    """End the workers at once: what they had not finished is continued next time."""
    for process in list((pool._processes or {}).values()):
        process.terminate()
