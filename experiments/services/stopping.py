"""Ctrl-C, SIGTERM and SIGHUP stop a command in the same way: cleanup runs, and one line is printed."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

ECHO_S = 2.0
"""Seconds during which repeated signals are ignored: terminals and wrappers often send several."""


class Stopped(KeyboardInterrupt):
    """A signal asked this process to stop."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.code = 128 + number
        """Exit code by shell convention: 128 + signal number."""


class _Listener:
    """Raise `Stopped` on the first signal; exit at once on a later one after `ECHO_S`."""

    def __init__(self) -> None:
        self.number, self._when, self._process = 0, 0.0, os.getpid()

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # in a forked child, which has nothing to clean up
            os._exit(128 + number)
        if not self.number:
            self.number, self._when = number, time.monotonic()
            raise Stopped(number)
        if time.monotonic() - self._when > ECHO_S:
            os._exit(128 + number)


@contextmanager
def stoppable() -> Iterator[None]:
    """Turn signals into `Stopped` while the block runs; signals already ignored, as SIGHUP under nohup, stay ignored.

    Raises:
        Stopped: also where a library has turned it into another error, such as a failed import.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    listener = _Listener()
    handled = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, listener) for number in handled}
    try:
        yield
    except Exception as error:
        if listener.number:
            raise Stopped(listener.number) from error
        raise
    finally:
        for number, handler in before.items() if not listener.number else ():
            signal.signal(number, handler)


def say_stopped(stop: KeyboardInterrupt, further: str = "re-run the command to resume") -> int:
    """Print one line on stderr; returns the exit code."""
    start = "\n" if sys.stderr.isatty() else ""  # a terminal has just shown ^C
    print(f"{start}stopped; {further}", file=sys.stderr)
    return stop.code if isinstance(stop, Stopped) else 128 + signal.SIGINT


@contextmanager
def deaf_children() -> Iterator[None]:
    """Start processes that ignore Ctrl-C, which a terminal sends to the whole group; their parent stops them."""
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # starting it later would undo the mask
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
