"""A process between a command and a Ray cluster. The only importer of ray.

Ray ends a process whose cluster has gone away; so it is this process that is connected, and the command that starts it
anew. It brings finished runs into the command's folder of records.
"""

import contextlib
import os
import signal
import sys
import time
from contextlib import ExitStack, redirect_stderr
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TextIO

import ray
from ray.exceptions import RayError, RayTaskError

from experiments.launchers.launching import Launching
from experiments.launchers.ray.executor import Capacity, RunResult
from experiments.launchers.ray.node import Refusal, run_here
from experiments.launchers.workers import AttemptResult, Job, end_with_parent, storage_trouble
from experiments.runs.delivery import Arrival
from experiments.runs.repair import clear_damage, mend_spec, whole_row
from experiments.runs.source import set_other_aside
from experiments.services.addresses import redacted
from experiments.services.claims import Busy, claimed
from experiments.specs.exact import AnySpec
from experiments.specs.plugin import installed
from experiments.specs.same_code import fingerprint
from experiments.sync.upload import upload
from experiments.tracking.mlflow_run import Tracking, is_served
from vapo_core.files import clear_scratch

TICK_S = 0.1
"""Seconds between looks at the command's line while runs are under way."""

LOOK_S = 2.0
"""Seconds between looks at the cluster's size; a run under way shows a sign of life as often."""


def serve(line: Connection, job: Job, how: Launching) -> None:
    """Specs come in; Capacity, RunResult and Refusal go out, until the line ends or the cluster is lost."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    seen = _quiet(job.runs / "ray.log")
    os.environ.update({"RAY_gcs_rpc_server_reconnect_timeout_s": "15"})  # of waiting for a head that is gone
    try:
        ray.init(address=how.address, log_to_driver=False, logging_level="ERROR", configure_logging=False)
    except Exception as error:  # whatever stands in the way: the command decides whether to wait
        line.send(Refusal(" ".join(str(error).split())[:300]))
        return
    bridge = _Bridge(line, job, how, seen)
    with contextlib.suppress(EOFError, OSError):
        bridge.serve()


def _quiet(log: Path) -> TextIO:
    """Let what Ray writes to this process's output go to a file; returns the stderr that people see."""
    seen = os.fdopen(os.dup(2), "w", buffering=1)
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout = sys.stderr = log.open("a", buffering=1)
    for number in (1, 2):  # Ray is not all Python
        os.dup2(sys.stderr.fileno(), number)
    return seen


class _Bridge:
    """Runs under way, each held so that no other command runs it."""

    def __init__(self, line: Connection, job: Job, how: Launching, seen: TextIO) -> None:
        self._line, self._job, self._how, self._seen = line, job, how, seen
        self._remote = ray.remote(
            num_cpus=how.cpus_per_run, num_gpus=how.gpus_per_run, max_retries=0, num_returns="streaming"
        )(run_here)
        self._held: dict[Any, tuple[AnySpec, ExitStack]] = {}
        self._looked = 0.0

    def serve(self) -> None:
        """Until the line ends."""
        while True:
            if time.monotonic() - self._looked > LOOK_S:
                self._look()
            while self._line.poll(0 if self._held else TICK_S):
                self._begin(self._line.recv())
            if self._held:
                ready, _ = ray.wait(list(self._held), num_returns=1, timeout=TICK_S)
                for stream in ready:
                    spec, held = self._held.pop(stream)
                    with held:
                        result = self._bring(spec, stream)
                        self._line.send(result)

    def _look(self) -> None:
        """Report the cluster's capacity, and that what is under way is alive."""
        self._looked = time.monotonic()
        there = ray.cluster_resources()
        room = there.get("CPU", 0.0) / self._how.cpus_per_run
        if self._how.gpus_per_run:
            room = min(room, there.get("GPU", 0.0) / self._how.gpus_per_run)
        self._line.send(Capacity(int(room + 1e-9)))
        for spec, _ in self._held.values():
            os.utime(self._job.runs / spec.hash / "lock")

    def _begin(self, spec: AnySpec) -> None:
        """Hand a run to the cluster, unless somebody else is at it or it is finished meanwhile."""
        run_dir, held = self._job.runs / spec.hash, ExitStack()
        try:
            held.enter_context(claimed(run_dir, wait_s=0))
        except Busy:
            self._line.send(RunResult(spec, AttemptResult(busy=True)))
            return
        clear_scratch(run_dir)
        set_other_aside(run_dir)
        with redirect_stderr(self._seen):
            clear_damage(spec, run_dir)
        row = whole_row(spec, run_dir)
        if row is not None:
            mend_spec(spec, run_dir)
            held.close()
            self._line.send(RunResult(spec, AttemptResult(row=row)))
            return
        live = self._job.tracking if _is_live(self._job.tracking) else None
        stream = self._remote.remote(spec.model_dump_json(), self._job.study, live, fingerprint(), installed())
        self._held[stream] = spec, held

    def _bring(self, spec: AnySpec, stream: Any) -> RunResult | Refusal:
        """What came of a run, its files in place if there is a row."""
        try:
            found = self._receive(spec, stream)
            return found if isinstance(found, Refusal) else RunResult(spec, found)
        except RayTaskError as error:
            cause = redacted(str(getattr(error, "cause", error))).strip().splitlines()
            return RunResult(
                spec, AttemptResult(reason=f"on its node: {cause[-1][:300] if cause else type(error).__name__}")
            )
        except (RayError, OSError) as error:
            storage = storage_trouble(error, self._job.runs)
            reason = f"its node or process was lost ({type(error).__name__})"
            return RunResult(spec, AttemptResult(reason=reason, storage=storage), lost=storage is None)

    def _receive(self, spec: AnySpec, stream: Any) -> AttemptResult | Refusal:
        answer = ray.get(next(stream))
        if isinstance(answer, Refusal) or answer.row is None:
            return answer
        run_dir = self._job.runs / spec.hash
        arrival = Arrival(run_dir)
        for part in stream:
            arrival.take(ray.get(part))
        arrival.settle()
        if self._job.tracking is not None and not _is_live(self._job.tracking):
            with redirect_stderr(self._seen):
                upload(run_dir, self._job.study, self._job.tracking)
        return answer


def _is_live(tracking: Tracking | None) -> bool:
    """Whether nodes write to MLflow themselves: to a server; a file or a database the bridge writes to."""
    return tracking is not None and is_served(tracking.uri)
