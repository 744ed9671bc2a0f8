"""Ctrl-C, SIGTERM and SIGHUP end a command alike: work in progress is closed in order, and one line is printed."""

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
"""Seconds in which further signals count as the first one's echo: terminals and wrappers often send several."""


class Stopped(KeyboardInterrupt):
    """A signal told this process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.code = 128 + number
        """What a shell expects as exit code."""


class _Listener:
    """The first signal is raised where the program is; one that comes well after it ends the process at once."""

    def __init__(self) -> None:
        self.number, self._when, self._process = 0, 0.0, os.getpid()

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # in a fork of ours, which has nothing to close
            os._exit(128 + number)
        if not self.number:
            self.number, self._when = number, time.monotonic()
            raise Stopped(number)
        if time.monotonic() - self._when > ECHO_S:
            os._exit(128 + number)


@contextmanager
def stoppable() -> Iterator[None]:
    """Let signals end the block as `Stopped`; those that are ignored, as SIGHUP is under nohup, stay ignored.

    Raises:
        Stopped: also where a library made another error of it, such as one of a failed import.
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
    """One line; returns the exit code."""
    start = "\n" if sys.stderr.isatty() else ""  # a terminal has just shown ^C
    print(f"{start}stopped; {further}", file=sys.stderr)
    return stop.code if isinstance(stop, Stopped) else 128 + signal.SIGINT


@contextmanager
def deaf_children() -> Iterator[None]:
    """Processes started within do not hear Ctrl-C, which a terminal sends to all of them: their parent ends them."""
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # its start would undo the mask
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
