"""Check that the data and checkpoints of planned runs can be read, before a grid starts."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from experiments.specs.exact import AnySpec
from experiments.specs.spec import RunSpec
from vapo_core.settings import BASE_SIZES
from vapo_core.tasks import make_task


def check_readable(specs: Iterable[AnySpec], runs: Path) -> None:
    """See that runs not yet finished can read tokenizer, chat template and data; weights are left to the runs.

    Raises:
        ValueError: naming the field and the file.
    """
    outside = [spec for spec in specs if isinstance(spec, RunSpec) and _is_outside(spec, runs)]
    for spec in {(spec.task.model_dump_json(), spec.base.model_dump_json()): spec for spec in outside}.values():
        _check_template(spec)
        make_task(spec.task.name, spec.task.dials).sample(np.random.default_rng(0), 1, "train")


def _is_outside(spec: RunSpec, runs: Path) -> bool:
    """Whether a run is still to start, from a checkpoint that is not pretrained here."""
    finished = (runs / spec.hash / "row.json").exists()
    return spec.world == "lm" and spec.base.model not in BASE_SIZES and not finished


def _check_template(spec: RunSpec) -> None:
    from vapo_core.models.checkpoints import read_tokenizer
    from vapo_core.models.text import turn_ends, uses_template

    tokenizer = read_tokenizer("base.model", spec.base.model, spec.base.revision)
    if uses_template(spec.base.chat, tokenizer):
        turn_ends(tokenizer)
