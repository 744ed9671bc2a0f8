"""Runs of limitation 5, generalisation on a pretrained checkpoint, preset real."""

from collections.abc import Iterator

from experiments.specs.spec import RunSpec
from experiments.studies.real import SEEDS, run
from vapo_core.settings import RECIPES


def real_runs() -> Iterator[RunSpec]:
    """VAPO with its critic's error on held-out and training problems, beside critic-free recipes."""
    for seed in SEEDS:
        yield run(seed)
        yield from (run(seed, RECIPES[name].toggles, name) for name in ("grpo", "dapo"))
