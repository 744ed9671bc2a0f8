"""The subcommands of `vapo`, one file each; `COMMANDS` lists them and imports none."""

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
"""Name -> (module, one line of help)."""
