"""The command's side of a Ray cluster: the state it keeps in order to survive the loss of the cluster."""

import importlib.util
import multiprocessing
import os
import socket
import sys
import time
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import NamedTuple

from experiments.launchers.launching import Launching
from experiments.launchers.progress import clock
from experiments.launchers.ray.node import Refusal
from experiments.launchers.workers import AttemptResult, Job
from experiments.services.stopping import deaf_children
from experiments.specs.exact import AnySpec
from experiments.specs.plugin import Plugin, install, installed

POLL_S = 0.5
PATIENCE_S = 900.0
"""Seconds to wait for a cluster that went away in the middle."""

CONNECT_S = 300.0
"""Seconds in which a cluster has to take a connection."""

CALL_S = 5.0
"""Seconds in which its machine has to answer at all."""

MOST_LOSSES = 5
"""Connections lost one after the other without any run finished between: then the fault is not the cluster's."""


KEPT = "finished runs are kept; re-run the command to resume"


class RunResult(NamedTuple):
    """What came of a run."""

    spec: AnySpec
    answer: AttemptResult
    lost: bool = False
    """Its node or process is gone: not the run's fault, or the first sign that the cluster is going down."""


class Capacity(NamedTuple):
    """The cluster holds so many runs at a time."""

    runs: int


class RayExecutor:
    """A connection to a Ray cluster, restored when the cluster comes back."""

    def __init__(self, job: Job, how: Launching) -> None:
        """Connect.

        Raises:
            ValueError: if ray is not installed, the address is none, or no cluster answers there.
        """
        if importlib.util.find_spec("ray") is None:
            raise ValueError("launcher ray needs the package ray: pip install -e '.[cluster]'")
        if "://" in how.address:
            raise ValueError(f"address {how.address!r}: expected HOST:PORT; run the command on a node of the cluster")
        self._job, self._how = job, how
        self._given: dict[str, AnySpec] = {}
        self._doubtful: list[RunResult] = []
        self._capacity, self._losses, self._cramped = 0, 0, False
        self._process: BaseProcess | None = None
        if reason := self._connect():
            self.stop()
            raise ValueError(
                f"cannot connect to a Ray cluster at {how.address}: {reason}; start one with: ray start --head"
            )

    def has_capacity(self) -> bool:
        """Whether the cluster holds another run."""
        return len(self._given) < min(self._capacity, self._how.workers or self._capacity)

    def submit(self, spec: AnySpec) -> None:
        """Start a run; a bridge that has died meanwhile shows when answers are taken."""
        self._given[spec.hash] = spec
        try:
            self._line.send(spec)
        except OSError:
            return

    def busy(self) -> bool:
        """Whether any run is in progress."""
        return bool(self._given)

    def poll(self) -> list[tuple[AnySpec, AttemptResult]]:
        """Results; if the cluster is lost, every run in progress is returned for another attempt.

        Raises:
            ValueError: if a node has other code.
            OSError: if the cluster does not come back.
        """
        found: list[tuple[AnySpec, AttemptResult]] = []
        try:
            while self._line.poll(0 if found else POLL_S):
                self._hear(self._line.recv(), found)
        except (EOFError, OSError):
            found += [(spec, AttemptResult(again=True)) for spec in self._given.values()]
            self._given, self._doubtful = {}, []
            self._reconnect(len(found))
        return found

    def stop(self) -> None:
        """End the connection; Ray then ends what runs on the cluster."""
        if self._process is None:
            return
        self._line.close()  # the bridge sees it, and leaves
        self._process.join(timeout=10)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _hear(self, message: RunResult | Capacity | Refusal, found: list[tuple[AnySpec, AttemptResult]]) -> None:
        if isinstance(message, Refusal):
            raise ValueError(message.reason)
        if isinstance(message, Capacity):  # so the cluster is there, and what was lost was lost by itself
            self._capacity = message.runs
            self._report_capacity()
            doubtful, self._doubtful = self._doubtful, []
            for result in doubtful:
                self._settle(result, found)
        elif message.lost:
            self._doubtful.append(message)
        else:
            self._losses = 0
            self._settle(message, found)

    def _report_capacity(self) -> None:
        if not self._capacity and not self._cramped:
            print(f"the Ray cluster has no room for a run (cpus_per_run {self._how.cpus_per_run:g}, gpus_per_run"
                  f" {self._how.gpus_per_run:g}); waiting for machines to join", file=sys.stderr, flush=True)  # fmt: skip
        self._cramped = not self._capacity

    def _settle(self, result: RunResult, found: list[tuple[AnySpec, AttemptResult]]) -> None:
        if self._given.pop(result.spec.hash, None) is not None:
            found.append((result.spec, result.answer))

    def _start(self) -> tuple[Connection, BaseProcess]:
        context = multiprocessing.get_context("spawn")
        line, there = context.Pipe()
        process = context.Process(target=_bridge, args=(there, self._job, self._how, installed()))
        with deaf_children():
            process.start()
        there.close()  # so that the line ends when the process does
        return line, process

    def _connect(self) -> str:
        """Start a bridge and wait until it is connected; why it is not, or ""."""
        if reason := nobody_at(self._how.address):
            return reason
        self._line, self._process = self._start()
        try:
            if not self._line.poll(CONNECT_S):
                return f"nothing answered within {CONNECT_S:.0f} s"
            message = self._line.recv()
        except (EOFError, OSError):
            return "the connection was lost immediately"
        if isinstance(message, Refusal):
            return message.reason
        self._hear(message, [])
        return ""

    def _reconnect(self, begun: int) -> None:
        self._losses += 1
        if self._losses > MOST_LOSSES:
            raise OSError(f"the connection to Ray was lost {MOST_LOSSES} times without a finished run between; {KEPT}")
        print(f"the Ray cluster at {self._how.address} is unavailable; waiting up to {clock(PATIENCE_S)},"
              f" {begun} runs will restart", file=sys.stderr, flush=True)  # fmt: skip
        pause, end = 1.0, time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            self.stop()
            if not self._connect():
                return
            time.sleep(pause)
            pause = min(2 * pause, 30.0)
        raise OSError(f"the Ray cluster at {self._how.address} did not come back; {KEPT}")


def nobody_at(address: str) -> str:
    """Why nothing can be there, or "": Ray itself would look for minutes."""
    place = os.environ.get("RAY_ADDRESS", "") if address == "auto" else address
    host, _, port = place.rpartition(":")
    if not place:
        return ""  # a cluster that this machine is a node of, which Ray finds
    if not host or not port.isdecimal():
        return f"{place!r} is no HOST:PORT"
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CALL_S).close()
    except (OSError, OverflowError) as error:
        return " ".join(str(error).split())
    return ""


def _bridge(line: Connection, job: Job, how: Launching, plugin: Plugin | None) -> None:
    """In a process of its own, which alone imports ray."""
    from experiments.launchers.ray.bridge import serve

    install(plugin)
    serve(line, job, how)
