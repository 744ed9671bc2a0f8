"""`vapo tasks`: properties of the language tasks and their base models; the tables in `results/tasks/`."""

import csv
import io
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from experiments.specs.options import parse
from vapo_core import bounds
from vapo_core.files import write_whole
from vapo_core.settings import Frozen
from vapo_core.suggest import nearest
from vapo_core.tasks import TASKS

MEASURED = tuple(
    name for name, entry in TASKS.items() if entry.world == "lm" and entry.pretrained_here and name != "reasoning_gym"
)
"""Tasks with demonstrations of their own; reasoning_gym is a door to a hundred others."""


class TasksConfig(Frozen):
    """Measure tasks at their default dials: accuracy before and after VAPO, response lengths, and what a critic can predict.

    With --bases: the base models of every size, architecture and initialisation; rows that --out already has are kept.
    """

    task: tuple[str, ...] = Field(MEASURED, description="task names")
    seeds: int = Field(5, ge=1, le=10_000, description="seeds, over three base initialisations")
    warmup_steps: int = Field(
        20, ge=1, le=bounds.WARMUP, description="value-pretraining steps of the critic that is assessed"
    )
    bases: bool = Field(False, description="measure base models only: accuracy before RL, and what pretraining costs")
    sizes: tuple[Literal["tiny", "small", "medium"], ...] = Field(
        ("tiny", "small"), description="model sizes to measure, with --bases"
    )
    architectures: tuple[Literal["llama", "qwen3"], ...] = Field(
        ("llama", "qwen3"), description="architectures to measure, with --bases"
    )
    inits: int = Field(3, ge=1, le=10_000, description="initialisations per size and architecture, with --bases")
    workers: int = Field(2, ge=1, le=bounds.WORKERS, description="processes, one thread each")
    runs: Path = Field(Path("runs"), description="folder of caches")
    out: Path = Field(Path("runs/tasks/tasks.csv"), description="CSV file to write; bases.csv there with --bases")


def run(words: Sequence[str]) -> int:
    """Parse, measure, print, write."""
    table = Path("runs/tasks/bases.csv" if "--bases" in words else "runs/tasks/tasks.csv")
    config = parse(TasksConfig, TasksConfig(workers=len(os.sched_getaffinity(0)), out=table), words, "tasks")
    for name in config.task:
        if name not in MEASURED:
            raise ValueError(f"task: no language task {name!r}{nearest(name, MEASURED)}")
    if config.out.is_dir():
        raise IsADirectoryError(f"out = {config.out}: is a folder, allowed is a file")
    with ProcessPoolExecutor(config.workers, mp_context=get_context("spawn")) as pool:
        (_bases if config.bases else _tasks)(config, pool)
    print(f"written: {config.out}")
    return 0


def _tasks(config: TasksConfig, pool: ProcessPoolExecutor) -> None:
    """A row per task and seed, always from the start."""
    from experiments.specs.spec import BASES
    from experiments.task_checks.visibility import Size, judge

    cells = [(name, seed) for seed in range(config.seeds) for name in config.task]
    size = Size(warmup_steps=config.warmup_steps)
    rows: list[dict[str, Any]] = []
    waiting = [pool.submit(judge, name, {}, seed, seed % BASES, config.runs, size) for name, seed in cells]
    for future in waiting:
        rows.append(future.result())
        _say(rows[-1])
        write_whole(config.out, _table(rows))  # after every cell: an early stop keeps what is done


def _bases(config: TasksConfig, pool: ProcessPoolExecutor) -> None:
    """A row per base model; rows already in the table are kept."""
    from experiments.task_checks.bases import cell_of, every, measure, missing

    rows = {cell_of(row): row for row in _kept(config.out)}
    cells = missing(every(config.task, config.sizes, config.architectures, config.inits), rows.values())
    print(f"{len(cells)} base models to measure", flush=True)
    for cell, future in [(cell, pool.submit(measure, cell, config.runs)) for cell in cells]:
        rows[cell] = row = future.result()
        print(f"{' '.join(map(str, cell))}: accuracy {float(row['accuracy']):.3f}, {row['seconds']} s", flush=True)
        write_whole(config.out, _table(list(rows.values())))


def _kept(path: Path) -> list[dict[str, str]]:
    """Rows of an earlier call.

    Raises:
        ValueError: if the file is another table.
    """
    from experiments.task_checks.bases import COLUMNS

    if not path.exists():
        return []
    reader = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8")))
    if list(reader.fieldnames or ()) != list(COLUMNS):
        raise ValueError(f"out = {path}: another kind of file; with --bases it needs the columns {', '.join(COLUMNS)}")
    return list(reader)


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as CSV."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def _say(row: dict[str, Any]) -> None:
    """One line per measured cell."""
    accuracy = f"accuracy {row['base_accuracy']:.2f} -> {row['accuracy_after']:.2f}"
    varying = f"CV {row['length_cv_first_third']:.2f} -> {row['length_cv_last_third']:.2f}"
    seen = f"{row['fvu_critic']:.2f} [{row['fvu_critic_low']:.2f}, {row['fvu_critic_high']:.2f}]"
    print(
        f"{row['task']}, seed {row['seed']}: {accuracy}, length {row['mean_length']:.1f} ({varying}),"
        f" FVU of a critic {seen}, of the best position-only one {row['fvu_position']:.2f}",
        flush=True,
    )
