"""What must hold of a folder of records after kills, beside one that was never interrupted."""

import csv
import json
from collections import Counter
from pathlib import Path
from typing import NamedTuple

IGNORED = ("seconds", "attempts", "git_commit")


class Verdict(NamedTuple):
    """What a round left."""

    lost: int
    """Runs finished at a strike whose row is gone or another at the end."""
    twice: int
    """Rows of the final table beyond one per run."""
    orphans: int
    """Workers alive ten seconds after their parent was killed."""
    torn: int
    """Files under a final name that are not whole."""
    unsaid: int
    """Signals that were not answered by one line `stopped; ...` and their exit code."""
    equal: bool
    """Whether the command ended well and its tables equal the uninterrupted ones."""
    mlflow_finished: int
    """Rows that have a finished run in MLflow."""
    mlflow_running: int
    """Runs that MLflow believes to be at work, the commands' own included."""
    mlflow_twice: int
    """Finished runs in MLflow beyond one per row."""


def is_well(verdict: Verdict, runs: int) -> bool:
    """Whether a round of a grid of so many runs left nothing to wish for."""
    return verdict == Verdict(0, 0, 0, 0, 0, True, runs, 0, 0)


def rows(runs: Path) -> dict[str, bytes]:
    """Content of every finished row."""
    return {path.parent.name: path.read_bytes() for path in runs.glob("*/row.json")}


def torn(runs: Path) -> int:
    """Files under a final name that cannot be read whole."""
    from safetensors import safe_open

    count = 0
    for path in [*runs.glob("*/*.json"), *runs.glob("critics/*/*.json")]:
        try:
            json.loads(path.read_text())
        except ValueError:
            count += 1
    for path in runs.glob("critics/*/*.safetensors"):
        try:
            with safe_open(path, "pt") as handle:
                list(handle.keys())
        except Exception:
            count += 1
    return count


def tables_equal(one: Path, two: Path) -> bool:
    """Whether two folders hold the same runs and curves but for what differs from time to time."""
    import pandas as pd

    rows_ = [pd.read_csv(folder / "runs.csv").drop(columns=list(IGNORED)) for folder in (one, two)]
    curves = [pd.read_parquet(folder / "curves.parquet") for folder in (one, two)]
    kept = [c[~c["metric"].astype(str).str.startswith("timing/")].reset_index(drop=True) for c in curves]
    kept = [c.astype({"spec": str, "metric": str}) for c in kept]
    return rows_[0].equals(rows_[1]) and kept[0].equals(kept[1])


def in_mlflow(runs: Path) -> tuple[int, int, int]:
    """Rows with a finished run, runs at work, and finished runs too many."""
    from experiments.tracking.mlflow_run import client, tracking_uri

    mlflow = client(tracking_uri(runs))
    places = [experiment.experiment_id for experiment in mlflow.search_experiments()]
    found = mlflow.search_runs(places)
    done = Counter(run.data.tags.get("spec") for run in found if run.info.status == "FINISHED")
    held = rows(runs)
    running = sum(run.info.status == "RUNNING" for run in found)
    return sum(name in done for name in held), running, sum(done[name] - 1 for name in held if name in done)


def judge(runs: Path, whole: Path, seen: dict[str, bytes]) -> Verdict:
    """Compare a folder with what was finished when it was struck, and with the uninterrupted folder."""
    end = rows(runs)
    with (runs / "out" / "runs.csv").open() as handle:
        names = [row["spec"] for row in csv.DictReader(handle)]
    finished, running, doubles = in_mlflow(runs)
    return Verdict(
        lost=sum(end.get(name) != content for name, content in seen.items()),
        twice=len(names) - len(set(names)),
        orphans=0,
        torn=torn(runs),
        unsaid=0,
        equal=tables_equal(whole / "out", runs / "out"),
        mlflow_finished=finished,
        mlflow_running=running,
        mlflow_twice=doubles,
    )
