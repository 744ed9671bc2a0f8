"""Upload a finished run's records to MLflow."""

import json
from pathlib import Path

from experiments.records.points import read_points
from experiments.runs.run import tags_of
from experiments.specs.exact import read_spec
from experiments.tracking.mlflow_run import MLflowRun, Tracking


def upload(run_dir: Path, study: str, tracking: Tracking) -> None:
    """One finished run; whatever else this folder's runs left there of the same spec is replaced.

    Raises:
        ValueError: if its spec or its row cannot be read.
    """
    spec = read_spec((run_dir / "spec.json").read_text(encoding="utf-8"))
    row = json.loads((run_dir / "row.json").read_text(encoding="utf-8"))
    (run_dir / "mlflow.json").unlink(missing_ok=True)
    logger = MLflowRun(tracking, spec, {**tags_of(spec, study), "git_commit": row["git_commit"]}, run_dir, again=True)
    for step, metrics in read_points(run_dir / "metrics.jsonl"):
        logger.write(step, metrics)
    logger.finish(row)
