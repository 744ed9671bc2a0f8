"""A time limit for users' code, within this process."""

import ctypes
import math
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

Result = TypeVar("Result")

AGAIN_S = 1.0
"""Seconds after which a call is interrupted once more, where a first time did not end it."""


class OutOfTime(Exception):
    """A call took longer than it may."""


class _Interrupt(BaseException):
    """Raised within the call; no `Exception`, so that `except Exception` within it does not keep it going."""


def call_within(seconds: float, call: Callable[[], Result]) -> Result:
    """What `call` returns, if it does in time.

    In the main thread an alarm interrupts it, be it in a loop, asleep or waiting. In other threads it runs in a thread of
    its own, which is interrupted if it is in Python code, and left behind if it is not.

    Args:
        seconds: on the clock; infinity for no limit.
        call: without arguments.

    Raises:
        OutOfTime: if it does not.
    """
    if math.isinf(seconds):
        return call()
    if hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread():
        return _by_alarm(seconds, call)
    return _in_a_thread(seconds, call)


def _by_alarm(seconds: float, call: Callable[[], Result]) -> Result:
    """Whoever else has set the alarm finds it afterwards as it would be by then."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise _Interrupt

    handler, began = signal.signal(signal.SIGALRM, interrupt), time.monotonic()
    left, every = signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN_S)
    try:
        try:
            return call()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except _Interrupt:
        raise OutOfTime from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler or signal.SIG_DFL)
        if left:
            signal.setitimer(signal.ITIMER_REAL, max(left - (time.monotonic() - began), 1e-3), every)


def _in_a_thread(seconds: float, call: Callable[[], Result]) -> Result:
    returned: list[Result] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            returned.append(call())
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(_Interrupt))
        raise OutOfTime
    if raised:
        raise raised[0]
    return returned[0]
