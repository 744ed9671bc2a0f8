"""The `vapo` command: one line of help per subcommand, each imported only when it is called.

What this file imports at its top is there already when Python starts: an interrupt before `main` would be a traceback.
"""

import os
import sys
from collections.abc import Sequence

COMMANDS: dict[str, tuple[str, str]] = {
    "ablate": ("experiments.commands.ablate", "train every arm of a design on paired seeds, compare, write a report"),
    "sweep": ("experiments.commands.sweep", "search alpha, a constant lambda, or other settings; recommend a value"),
    "study": ("experiments.commands.study", "run, judge and show a limitation's study: vapo study h3"),
    "train": ("experiments.commands.train", "train one recipe; --resume continues it"),
    "evaluate": ("experiments.commands.evaluate", "sample and grade answers of a checkpoint on a split of a task"),
    "tasks": (
        "experiments.commands.tasks",
        "measure the language tasks: base accuracy, lengths, what a critic can see",
    ),
    "ls": ("experiments.commands.ls", "list runs"),
    "show": ("experiments.commands.show", "one run: what it was and what came of it"),
    "collect": ("experiments.commands.collect", "bring finished runs of other folders, such as shards, into one"),
    "compare": ("experiments.commands.compare", "two runs side by side"),
    "trace": ("experiments.commands.trace", "where credit goes: a run's answers, token by token"),
    "bench": ("experiments.commands.bench", "measure what things cost, side by side"),
    "clean": ("experiments.commands.clean", "remove unfinished runs and caches"),
    "ui": ("experiments.commands.ui", "MLflow's pages on this machine"),
    "completion": ("experiments.commands.completion", "print a shell completion script"),
    "report": ("experiments.commands.report", "make the page again from the tables of one or more ablations"),
    "sync": ("experiments.commands.sync", "upload finished runs that MLflow does not have yet"),
}


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
            "`vapo COMMAND --help` explains a command's options.",
        ]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand; wrong input is one line on stderr and exit code 2, a signal that ends it one line and 128 + it."""
    try:
        from experiments.stopping import stoppable

        with stoppable():
            return _main(list(sys.argv[1:] if arguments is None else arguments))
    except KeyboardInterrupt as stop:
        from experiments.stopping import say_stopped

        return say_stopped(stop)
    except BrokenPipeError:  # the reader of our output has seen enough, as in `vapo show RUN | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError) as error:
        return refuse(plain(error))


def _main(words: list[str]) -> int:
    import importlib

    from experiments.addresses import redact_uncaught
    from vapo_core.suggest import nearest

    if not words or words[0] in ("-h", "--help"):
        print(usage())
        return 0
    if words[0] not in COMMANDS:
        return refuse(f"no command {words[0]!r}{nearest(words[0], COMMANDS)}")
    if words[0] != "train" and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        return refuse(
            f"{words[0]} was started as {os.environ['WORLD_SIZE']} processes; only train shares a run among several"
        )
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    redact_uncaught()
    return int(importlib.import_module(COMMANDS[words[0]][0]).run(words[1:]))


def plain(error: Exception) -> str:
    """An error as one line: field, value, what is allowed."""
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        from experiments.options import validation_line

        return validation_line(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return " ".join(str(error).split())


def refuse(message: str) -> int:
    """Say what is wrong with the input."""
    from experiments.addresses import redacted

    print(f"vapo: {redacted(message)}", file=sys.stderr)
    return 2
