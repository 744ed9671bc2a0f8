"""The `vapo` command: one line of help per subcommand, each imported only when it is called.

What this file imports at its top is there already when Python starts: an interrupt before `main` would be a traceback.
"""

import os
import sys
from collections.abc import Sequence

from experiments.commands import COMMANDS


def usage() -> str:
    """What `vapo --help` prints."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {summary}" for name, (_, summary) in COMMANDS.items()]
    return "\n".join(
        [
            "usage: vapo COMMAND [options]",
            "",
            "Which part of VAPO does what, why, and where does it break?",
            "",
            *lines,
            "",
            "`vapo COMMAND --help` explains a command's options; `vapo --version` prints the version.",
        ]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand; wrong input is one line on stderr and exit code 2, a signal that ends it one line and 128 + it.

    A fault of ours is one line and exit code 1.
    """
    try:
        from experiments.services.stopping import stoppable

        _speak_anyhow()
        with stoppable():
            code = _main(list(sys.argv[1:] if arguments is None else arguments))
            print(end="", flush=True)  # here, where a closed pipe can be distinguished from an error
            return code
    except KeyboardInterrupt as stop:
        from experiments.services.stopping import say_stopped

        return say_stopped(stop)
    except SystemExit as stop:
        from experiments.ending import left

        return left(stop)
    except Exception as error:
        from experiments.ending import ended

        return ended(error)


def _speak_anyhow() -> None:
    """What a terminal has no letters for is written as an escape: a table's line must not end a command."""
    import io

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _main(words: list[str]) -> int:
    import importlib
    import importlib.metadata

    from experiments.services.addresses import redact_uncaught
    from vapo_core.reading import whole_number
    from vapo_core.suggest import nearest

    if not words or words[0] in ("-h", "--help"):
        print(usage())
        return 0
    if words == ["--version"]:
        print(f"vapo-lab {importlib.metadata.version('vapo-lab')}")
        return 0
    if words[0] not in COMMANDS:
        raise ValueError(f"no command {words[0]!r}{nearest(words[0], COMMANDS)}")
    processes = whole_number("WORLD_SIZE", 1, least=1)
    if words[0] != "train" and processes > 1:
        raise ValueError(f"{words[0]} was started as {processes} processes; only train shares a run among several")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    redact_uncaught()
    return int(importlib.import_module(COMMANDS[words[0]][0]).run(words[1:]))
