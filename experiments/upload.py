"""A finished run from its records into MLflow."""

import json
from pathlib import Path

from experiments.exact import read_spec
from experiments.records import read_points
from experiments.run import tags_of
from experiments.track import MLflowRun, Tracking, drop_partial


def upload(home: Path, study: str, tracking: Tracking) -> None:
    """One finished run; an unfinished upload of the same spec is replaced."""
    spec = read_spec((home / "spec.json").read_text(encoding="utf-8"))
    row = json.loads((home / "row.json").read_text(encoding="utf-8"))
    drop_partial(tracking, home)
    logger = MLflowRun(tracking, spec, {**tags_of(spec, study), "git_commit": row["git_commit"]}, home)
    for step, metrics in read_points(home / "metrics.jsonl"):
        logger.write(step, metrics)
    logger.finish(row)
