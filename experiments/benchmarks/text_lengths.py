"""Runs of the tiny language model by length of answer: seconds by phase beside the floor."""

from collections.abc import Mapping
from typing import Any

from experiments.benchmarks.cases import measured
from experiments.benchmarks.phases import Case
from experiments.benchmarks.timing import TimingRow
from experiments.specs.spec import TaskSpec, spec_for

TASKS: Mapping[str, tuple[str, dict[str, Any], range]] = {
    "text_walk": ("text_walk", {}, range(700, 703)),
    "chains of 17 to 19": ("chain", {"shortest": 17, "longest": 19, "farthest": 19}, range(700, 702)),
    "chains of 26, filler 1": ("chain", {"shortest": 26, "longest": 26, "farthest": 26, "filler": 1}, range(700, 702)),
}
"""Task, dials and seeds: answers of about 14, 55 and 105 tokens. No chain has more than 26 steps, hence the filler."""


def measure(quick: bool) -> list[TimingRow]:
    """Full VAPO with the world's settings."""
    return measured([
        Case("text", name, spec_for("vapo", "lm", 700, TaskSpec(name=task, dials=dials)), seeds)
        for name, (task, dials, seeds) in TASKS.items()
    ], quick)  # fmt: skip
