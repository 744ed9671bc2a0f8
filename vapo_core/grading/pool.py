"""A few processes that compare answers, each stopped and replaced when a question takes too long. Safe in any thread."""

import importlib.util
import json
import os
import selectors
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from vapo_core.grading.answers import Outcome, compare_readings, read

WORKERS = min(4, os.cpu_count() or 1)
"""Processes at most; as many as there are questions to ask at once."""

START_LIMIT_S = 180.0
"""Seconds a process may take to load math-verify."""

PATIENCE = 20.0
"""Seconds on the clock per second of processor time allowed: for a busy machine, and a process that only waits."""

REMEMBERED = 20_000
"""Comparisons kept: the answers to one problem are often the same."""

Pair = tuple[str, str]
"""Reference and answer."""

_COMMAND = """import json, sys
sys.path[:] = json.loads(sys.argv[1])
from vapo_core.grading.worker import serve
serve(float(sys.argv[2]))"""


class Pool:
    """Compares answers with references; starts nothing before the first question, and ends with the program."""

    def __init__(self, limit: float) -> None:
        """Args: limit, seconds of processor time for one comparison."""
        self._limit, self._lock = limit, threading.Lock()
        self._workers: list[_Worker] = []
        self._known: dict[Pair, Outcome] = {}

    def compare(self, pairs: Sequence[Pair]) -> list[Outcome]:
        """An outcome per pair; unparsable where the process had to be stopped.

        Raises:
            ValueError: naming the extra, if math-verify is not installed.
        """
        with self._lock:
            if len(self._known) > REMEMBERED:
                self._known.clear()
            fresh = [pair for pair in dict.fromkeys(pairs) if pair not in self._known]
            self._ask(fresh)
            return [self._known[pair] for pair in pairs]

    def _ask(self, pairs: list[Pair]) -> None:
        """Put every pair to whichever process is free."""
        wanted = min(WORKERS, len(pairs))
        while len(self._workers) < wanted:
            self._workers.append(_Worker(self._limit))
        if not pairs:
            return
        queue, turn = iter(pairs), threading.Lock()
        with ThreadPoolExecutor(wanted) as threads:
            for part in threads.map(lambda worker: worker.work(queue, turn), self._workers[:wanted]):
                self._known.update(part)


def compare_all(pool: Pool, references: Sequence[str], answers: Sequence[str | None]) -> list[Outcome]:
    """An outcome per answer, None being no answer: what is plain at once, the rest by the pool, side by side.

    Without math-verify an answer that is not plain is unparsable.
    """
    pairs = [None if a is None else (read(r), read(a)) for r, a in zip(references, answers, strict=True)]
    known = {pair: compare_readings(*pair) for pair in pairs if pair is not None}
    hard = {pair: (pair[0].body, pair[1].body) for pair, outcome in known.items() if outcome is None}
    asked = list(dict.fromkeys(hard.values())) if hard and installed() else []
    received = dict(zip(asked, pool.compare(asked), strict=True))
    found = {**known, **{pair: received.get(bodies) for pair, bodies in hard.items()}}
    return ["unparsable" if pair is None else found[pair] or "unparsable" for pair in pairs]


class _Worker:
    """One process, started when first asked and again after it was stopped."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._process: subprocess.Popen[bytes] | None = None

    def work(self, queue: Iterator[Pair], turn: threading.Lock) -> dict[Pair, Outcome]:
        """Outcomes of the pairs it took."""
        done: dict[Pair, Outcome] = {}
        while True:
            with turn:
                pair = next(queue, None)
            if pair is None:
                return done
            done[pair] = self._ask(pair)

    def _ask(self, pair: Pair) -> Outcome:
        process = self._process or self._start()
        try:
            process.stdin.write(json.dumps(pair).encode() + b"\n")  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]
            answer = json.loads(_line(process, self._limit * PATIENCE))
        except (OSError, ValueError):  # it has ended, or has to be
            self._stop(process)
            return "unparsable"
        return answer

    def _start(self) -> "subprocess.Popen[bytes]":
        """A process that has loaded math-verify.

        Raises:
            ValueError: naming the extra, if it is not installed.
            RuntimeError: if the process does not come up.
        """
        check_installed()
        command = [sys.executable, "-c", _COMMAND, json.dumps(sys.path), str(self._limit)]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
        )
        weakref.finalize(self, process.kill)
        try:
            _line(process, START_LIMIT_S)
        except (OSError, ValueError):
            self._stop(process)
            raise RuntimeError("the grader of mathematical answers did not start") from None
        self._process = process
        return process

    def _stop(self, process: "subprocess.Popen[bytes]") -> None:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        self._process = None


def installed() -> bool:
    """Whether math-verify is there; it is not loaded."""
    return importlib.util.find_spec("math_verify") is not None


def check_installed() -> None:
    """Make sure that math-verify is there, without loading it.

    Raises:
        ValueError: naming the extra that installs it.
    """
    if not installed():
        raise ValueError("grading mathematical answers needs the package math-verify: pip install 'vapo-lab[real]'")


def _line(process: "subprocess.Popen[bytes]", limit: float) -> bytes:
    """The next line a process says.

    Raises:
        TimeoutError: after `limit` seconds, an OSError.
        ValueError: if it has ended.
    """
    pipe, received, until = process.stdout, b"", time.monotonic() + limit
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)  # type: ignore[arg-type]
        while not received.endswith(b"\n"):
            if not selector.select(max(0.0, until - time.monotonic())):
                raise TimeoutError("no answer in time")
            piece = os.read(pipe.fileno(), 4096)  # type: ignore[union-attr]
            if not piece:
                raise ValueError("the process has ended")
            received += piece
    return received
