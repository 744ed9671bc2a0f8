"""One process per worker, watched individually: losing one costs its run an attempt and the others nothing."""

import contextlib
import errno
import multiprocessing
import os
import shutil
import signal
import threading
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from experiments.runs.run import run_one
from experiments.services.addresses import redacted
from experiments.services.claims import Busy, Elsewhere
from experiments.services.stopping import deaf_children
from experiments.services.store import Shared
from experiments.specs.exact import AnySpec
from experiments.specs.plugin import Plugin, install, installed
from experiments.tracking.mlflow_run import Tracking
from vapo_core.full_disk import causes, fullness


class Job(NamedTuple):
    """What all runs of a command share."""

    runs: Path
    study: str
    tracking: Tracking | None
    shared: Shared | None = None
    """Store through which machines divide runs and find each other's rows."""


class AttemptResult(NamedTuple):
    """The result of one attempt at a run."""

    row: dict[str, Any] | None = None
    busy: bool = False
    """Another process holds this run."""
    again: bool = False
    """The cluster was lost; the attempt does not count against the run."""
    reason: str = ""
    """Why there is no row, in one line."""
    trace: str = ""
    storage: tuple[int, str] | None = None
    """(errno, path) if the folder of records itself cannot be written: no other run would fare better."""


class Worker:
    """A process and its current run."""

    def __init__(self, job: Job) -> None:
        context = multiprocessing.get_context("spawn")
        self.line, there = context.Pipe()
        self.process = context.Process(target=serve, args=(there, job, installed()))
        self.spec: AnySpec | None = None
        try:
            with deaf_children():
                self.process.start()
        except BaseException:  # a signal that waited meanwhile
            if self.process.pid is not None:
                self.stop()
            raise
        there.close()  # so that the line ends when the process does

    def submit(self, spec: AnySpec) -> None:
        """Start a run; a process that has died shows when its result is polled."""
        self.spec = spec
        with contextlib.suppress(OSError):
            self.line.send(spec)

    def poll(self) -> tuple[AnySpec, AttemptResult]:
        """Its run and the result; call when `line` is ready."""
        spec, self.spec = self.spec, None
        assert spec is not None
        try:
            return spec, self.line.recv()
        except (EOFError, OSError):
            self.process.join()
            return spec, AttemptResult(reason=_farewell(self.process.exitcode or 0))

    def stop(self) -> None:
        """Stop it immediately; an unfinished run is continued next time."""
        self.line.close()
        self.process.terminate()
        self.process.join(timeout=5)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def serve(line: Connection, job: Job, plugin: Plugin | None = None) -> None:
    """A worker's loop: receive specs, send results, until the connection closes. It has the command's plugin."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    one_thread()
    install(plugin)
    while True:
        try:
            spec = line.recv()
        except (EOFError, OSError):
            return
        line.send(attempt(spec, job))


def attempt(spec: AnySpec, job: Job) -> AttemptResult:
    """Run a spec unless another process holds it; any error becomes a result."""
    try:
        if job.shared is None:
            return AttemptResult(row=run_one(spec, job.runs, job.study, job.tracking, wait_s=0))
        return AttemptResult(
            row=job.shared.in_turn(spec.hash, lambda: run_one(spec, job.runs, job.study, job.tracking, wait_s=0))
        )
    except Elsewhere:
        (job.runs / spec.hash).mkdir(parents=True, exist_ok=True)
        (job.runs / spec.hash / "lock").touch()  # a sign of life: that machine shows one of its own
        return AttemptResult(busy=True)
    except Busy:
        return AttemptResult(busy=True)
    except Exception as error:
        text = " ".join(str(error).split())
        return AttemptResult(
            reason=redacted(f"{type(error).__name__}: {text}")[:500],
            trace=redacted(traceback.format_exc()),
            storage=storage_trouble(error, job.runs),
        )


def one_thread() -> None:
    """One run, one core: the workers are the parallelism. The process ends when its parent does."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    end_with_parent()


def storage_trouble(error: BaseException, runs: Path) -> tuple[int, str] | None:
    """(errno, path) if an error comes of a full disk or of records that may not be written, wherever it was wrapped."""
    refusals = [cause for cause in causes(error) if isinstance(cause, OSError)]
    number = fullness(error)
    if number is not None:
        return number, next((str(cause.filename) for cause in refusals if cause.filename), str(runs))
    for cause in refusals:
        path = str(cause.filename or runs)
        if cause.errno in LOCKED and Path(path).is_relative_to(runs):
            return cause.errno, path
    full = runs.is_dir() and shutil.disk_usage(runs).free == 0
    return (errno.ENOSPC, str(runs)) if full else None


def no_storage(number: int, path: str) -> OSError:
    """The error with which a command stops because records cannot be written."""
    return OSError(number, f"{os.strerror(number)}; finished runs are kept; fix it and re-run", path)


LOCKED = (errno.EROFS, errno.EACCES, errno.EPERM)
"""A folder of records that may not be written."""


def end_with_parent() -> None:
    """End this process with its parent, even a killed one: it would race with a re-run command."""
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _farewell(code: int) -> str:
    """How a process ended, as text."""
    if code >= 0:
        return f"its process exited with code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
    hint = "; out of memory?" if -code == signal.SIGKILL else ""
    return f"its process was killed by {name}{hint}"
