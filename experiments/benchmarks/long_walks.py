"""Walk runs whose answers are made long by decisions, few and many responses a step: seconds by phase beside the floor."""

from collections.abc import Mapping
from typing import Any

from analysis.tables.regimes import WALKS
from experiments.benchmarks.cases import measured
from experiments.benchmarks.phases import Case
from experiments.benchmarks.timing import TimingRow
from experiments.specs.spec import TaskSpec, log_every, spec_for
from vapo_core.settings import DEFAULT_SETTINGS, Settings

RINGS: Mapping[str, Mapping[str, Any]] = {
    **{f"{length.tokens} decisions": length.dials for length in WALKS},
    "ring of 64": {"size": 64, "horizon": 256},
    "ring of 96": {"size": 96, "horizon": 512, "skill": 3.5},
    "ring of 128": {"size": 128, "horizon": 300, "skill": 3.5},
}
"""The lengths of the declared grid, a large ring, and the largest whose values can still be computed exactly."""

RESPONSES = (32, 128)
"""Responses a step."""

SEEDS = range(700, 702)


def measure(quick: bool) -> list[TimingRow]:
    """Full VAPO with 30 steps."""
    return measured([_case(name, dials, responses) for name, dials in RINGS.items() for responses in RESPONSES], quick)


def _case(name: str, dials: Mapping[str, Any], responses: int) -> Case:
    few = {"responses_per_step": responses, "group_size": 8}
    settings = Settings(**{**DEFAULT_SETTINGS["walk"].model_dump(), **few})
    task = TaskSpec(name="walk", dials=dict(dials))
    spec = spec_for("vapo", "walk", 700, task, settings, log_every=log_every("walk", 30))
    return Case("long walk", f"{name}, {responses} responses", spec, SEEDS)
