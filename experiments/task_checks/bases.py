"""Accuracy of base models before RL: every size, architecture and initialisation of a task."""

import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vapo_core.settings import Base
from vapo_core.tasks import make_task

PROBLEMS = 1024
"""Held-out problems, one answer each at temperature 1; the same ones for every base of a task."""


COLUMNS = (
    "task", "size", "architecture", "init", "accuracy", "parsed", "mean_length", "parameters", "steps", "seconds", "base",
)  # fmt: skip
"""Columns of the table."""


class BaseCell(NamedTuple):
    """One base model."""

    task: str
    size: str
    architecture: str
    init: int


def every(tasks: Sequence[str], sizes: Sequence[str], architectures: Sequence[str], inits: int) -> list[BaseCell]:
    """All combinations, cheap sizes first and one initialisation after the other: an early stop leaves whole rounds."""
    return [
        BaseCell(task, size, architecture, init)
        for size, init, architecture, task in product(sizes, range(inits), architectures, tasks)
    ]


def missing(cells: Iterable[BaseCell], rows: Iterable[Mapping[str, str]]) -> list[BaseCell]:
    """Cells without a row of the base they would have now: what was pretrained otherwise is measured again."""
    found = {cell_of(row): row["base"] for row in rows}
    return [cell for cell in cells if found.get(cell) != _identity(cell)[0]]


def cell_of(row: Mapping[str, str]) -> BaseCell:
    """Which base a row is about."""
    return BaseCell(row["task"], row["size"], row["architecture"], int(row["init"]))


def measure(cell: BaseCell, runs: Path) -> dict[str, str]:
    """Pretrain the base, unless it is cached, and sample it; a row of the table.

    `seconds` is process time of pretraining on one thread, empty for a base that was cached.
    """
    import torch
    from transformers.utils import logging

    from vapo_core.models.base_model import ensure_base
    from vapo_core.models.checkpoints import read_policy
    from vapo_core.rollout.transformers import TransformersEngine
    from vapo_core.training.evaluation_report import detailed_evaluation

    torch.set_num_threads(1)
    logging.disable_progress_bar()
    task = make_task(cell.task, {})
    name, identity = _identity(cell)
    cached, started = (runs / "bases" / name).exists(), time.process_time()
    folder = ensure_base(identity, task, runs)
    seconds = time.process_time() - started
    tokenizer, model = read_policy("base", str(folder))
    engine = TransformersEngine(model, tokenizer, 1.0, task.max_tokens)
    problems = task.sample(np.random.default_rng(0), PROBLEMS, "held_out")
    report = detailed_evaluation(engine, task, problems, 1, (), 0)
    row = {
        **cell._asdict(), "accuracy": report.pass_at_1, "parsed": report.parsed, "mean_length": report.mean_length,
        "parameters": sum(p.numel() for p in model.parameters()), "steps": identity["steps"],
        "seconds": "" if cached else round(seconds, 1), "base": name,
    }  # fmt: skip
    return {column: str(row[column]) for column in COLUMNS}


def _identity(cell: BaseCell) -> tuple[str, dict[str, Any]]:
    """Content hash of a base, and what is hashed."""
    from vapo_core.models.base_model import base_identity, content_key

    base = Base(model=cell.size, architecture=cell.architecture, init=cell.init)
    identity = base_identity(cell.task, make_task(cell.task, {}), base)
    return content_key(identity), identity
