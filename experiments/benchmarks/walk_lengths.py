"""Walk runs whose answers are made long by filler, the same ten decisions: seconds by phase beside the floor."""

from experiments.benchmarks.cases import measured
from experiments.benchmarks.phases import Case
from experiments.benchmarks.timing import TimingRow
from experiments.specs.spec import TaskSpec, log_every, spec_for

FILLER = {0: range(700, 705), 15: range(700, 703), 54: range(700, 703)}
"""Filler tokens after every move -> seeds: answers of about 10, 145 and 500 tokens."""


def measure(quick: bool) -> list[TimingRow]:
    """Full VAPO with the world's settings."""
    return measured([
        Case("walk", f"filler {filler}", spec_for("vapo", "walk", 700, TaskSpec(name="walk", dials={"filler": filler}),
             log_every=log_every("walk", 30)), seeds)
        for filler, seeds in FILLER.items()
    ], quick)  # fmt: skip
