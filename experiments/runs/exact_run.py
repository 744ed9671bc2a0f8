"""Run an exact-level spec: measure, write the records, and name the columns of its row."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from experiments.records.arrays import ProbeLines
from experiments.records.points import JsonLines, Logger
from experiments.specs.exact import ExactSpec
from vapo_core.files import write_whole


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


def run_exact(spec: ExactSpec, run_dir: Path, logger: Logger | None) -> dict[str, Any]:
    """Measure, write the arrays and the scalars; returns what the row adds.

    Args:
        spec: what to measure.
        run_dir: the run's folder, held by this process.
        logger: written to beside the local record, such as MLflow's.
    """
    from experiments.exact_level.registry import MEASURES

    started = time.perf_counter()
    found = MEASURES[spec.plan.measure](spec.plan, spec.seed)
    finite = {name: value for name, value in found.metrics.items() if np.isfinite(value)}
    record = JsonLines(run_dir / "metrics.jsonl")
    record.write(0, finite)
    record.close()
    if logger is not None:
        logger.write(0, finite)
    write_whole(run_dir / "probes.jsonl", "")
    lines = ProbeLines(run_dir / "probes.jsonl")
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
