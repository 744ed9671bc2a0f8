"""Processes that hear signals, whatever the tests were started from: a background job of a shell ignores Ctrl-C."""

import signal

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def hear_signals() -> None:
    """Run in a child before its program: signals do what they do in a terminal."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
