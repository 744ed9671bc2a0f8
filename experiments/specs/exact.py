"""A run of the exact level: one sampled family of problems, measured without training. Torch-free until it runs."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from experiments.exact_level.plans import AnyPlan, Plan
from experiments.records.arrays import ProbeLines
from experiments.records.points import JsonLines, Logger
from experiments.specs.spec import PROTOCOLS, RunSpec, content_hash
from vapo_core.files import write_whole
from vapo_core.settings import Frozen


class ExactSpec(Frozen):
    """Everything that determines the numbers of one run of the exact level."""

    world: Literal["exact"]
    plan: AnyPlan
    seed: int = Field(ge=0, description="draws problem and critic error: the unit of replication")
    protocol: int = Field(0, description="the level's present protocol where none is given")
    steps: Literal[0] = Field(0, description="nothing is trained: everything is written at step 0")

    @model_validator(mode="before")
    @classmethod
    def _present_protocol(cls, data: Any) -> Any:
        return {"protocol": PROTOCOLS["exact"], **data} if isinstance(data, Mapping) else data

    def __hash__(self) -> int:
        return int(self.hash, 16)

    @property
    def hash(self) -> str:
        """As that of a trained run: first 16 hex digits of the SHA-256 of the canonical JSON without defaults."""
        return content_hash(self)

    @property
    def arm(self) -> str:
        """What it measures on what, such as `horizon: state error, decisions`."""
        plan = self.plan
        if not isinstance(plan, Plan):
            return f"{plan.measure}: {plan.result}"
        lengths = "variable length" if plan.variable else "fixed length"
        return f"{plan.measure}: {plan.error.kind} error, {plan.growth}, {lengths}"


def exact_spec(plan: AnyPlan, seed: int) -> ExactSpec:
    """The spec of a plan and a seed."""
    return ExactSpec(world="exact", plan=plan, seed=seed)


AnySpec = RunSpec | ExactSpec
"""What can be run: named by its hash, with world, seed, steps and arm."""


def read_spec(text: str) -> AnySpec:
    """A spec from its JSON.

    Raises:
        ValueError: if it is none of this version of the code.
    """
    content = json.loads(text)
    kind = ExactSpec if isinstance(content, dict) and content.get("world") == "exact" else RunSpec
    return kind.model_validate_json(text)


def describe_exact(spec: ExactSpec, study: str) -> dict[str, Any]:
    """The columns of a row that are known before the run; a plan's fields go by dotted names, tuples as text."""
    return {
        "spec": spec.hash,
        "study": study,
        "world": spec.world,
        "task": spec.plan.measure,
        "recipe": "",
        "arm": spec.arm,
        "base": "",
        "seed": spec.seed,
        "steps": spec.steps,
        "protocol": spec.protocol,
        "metric": "",
        **{name: _cell(value) for name, value in flat(spec.plan.model_dump()).items() if name != "measure"},
    }


def run_exact(spec: ExactSpec, home: Path, logger: Logger | None) -> dict[str, Any]:
    """Measure, write the arrays and the scalars; returns what the row adds.

    Args:
        spec: what to measure.
        home: the run's folder, held by this process.
        logger: written to beside the local record, such as MLflow's.
    """
    from experiments.exact_level.registry import MEASURES

    started = time.perf_counter()
    found = MEASURES[spec.plan.measure](spec.plan, spec.seed)
    finite = {name: value for name, value in found.metrics.items() if np.isfinite(value)}
    record = JsonLines(home / "metrics.jsonl")
    record.write(0, finite)
    record.close()
    if logger is not None:
        logger.write(0, finite)
    write_whole(home / "probes.jsonl", "")
    lines = ProbeLines(home / "probes.jsonl")
    for table, columns in found.arrays.items():
        lines.write(0, f"exact/{table}", columns)
    return {"state": "finished", "reason": "", "seconds": time.perf_counter() - started}


def flat(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested fields under dotted names."""
    named: dict[str, Any] = {}
    for key, value in content.items():
        named |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return named


def _cell(value: Any) -> Any:
    """What a table's cell can hold."""
    return json.dumps(value).replace(",", "")[1:-1] if isinstance(value, (tuple, list)) else value
