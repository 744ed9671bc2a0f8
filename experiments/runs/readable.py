"""Check that the data and checkpoints of planned runs can be read, before a grid starts."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from experiments.runs.origin import PATH_DIALS
from experiments.runs.source import is_finished
from experiments.specs.exact import AnySpec
from experiments.specs.spec import RunSpec
from vapo_core.settings import BASE_SIZES
from vapo_core.tasks import make_task


def check_readable(specs: Iterable[AnySpec], runs: Path, remote: bool = False) -> None:
    """Check that unfinished runs can read tokenizer, chat template and data; weights are left to the runs.

    Args:
        specs: planned runs, of which those from checkpoints not pretrained here are checked.
        runs: folder of finished runs.
        remote: whether runs execute on other machines, which may have other files: then only local folders and files that
            this machine has are read.

    Raises:
        ValueError: naming the field and the file.
    """
    outside = [spec for spec in specs if isinstance(spec, RunSpec) and _is_outside(spec, runs)]
    for spec in {(spec.task.model_dump_json(), spec.base.model_dump_json()): spec for spec in outside}.values():
        if not remote or Path(spec.base.model).is_dir():
            _check_template(spec)
        if not remote or _has_data(spec):
            make_task(spec.task.name, spec.task.dials).sample(np.random.default_rng(0), 1, "train")


def _has_data(spec: RunSpec) -> bool:
    """Whether the task names its data by paths, and this machine has them."""
    named = [value for name in PATH_DIALS if (value := spec.task.dials.get(name))]
    return bool(named) and all(Path(value).exists() for value in named)


def _is_outside(spec: RunSpec, runs: Path) -> bool:
    """Whether a run is still to start, from a checkpoint that is not pretrained here."""
    return spec.world == "lm" and spec.base.model not in BASE_SIZES and not is_finished(spec, runs)


def _check_template(spec: RunSpec) -> None:
    from vapo_core.models.checkpoints import read_tokenizer
    from vapo_core.models.text import turn_ends, uses_template

    tokenizer = read_tokenizer("base.model", spec.base.model, spec.base.revision)
    if uses_template(spec.base.chat, tokenizer):
        turn_ends(tokenizer)
