"""A few strikes of the fault tool; `make soak` makes a hundred and forty (table: tests/soak/faults.csv)."""

import csv
import shutil
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.support.faults import processes, strikes
from tests.support.faults.verdict import is_well, judge, rows

TABLE = Path(__file__).parents[2] / "soak" / "faults.csv"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds workers in /proc")
def test_kills_and_signals_at_random_moments_lose_nothing_and_count_nothing_twice(tmp_path):
    amount = strikes.Amount(kills=1, early=1, terms=1, ints=1, size=1)
    done = strikes.soak(amount, seed=1, out=tmp_path / "faults.csv")
    assert [one for one in done if not one.well] == []
    with (tmp_path / "faults.csv").open() as handle:
        assert Counter(line["signal"] for line in csv.DictReader(handle)) == {"KILL": 1, "TERM": 1, "INT": 1}


def committed() -> list[dict[str, str]]:
    with TABLE.open() as handle:
        return list(csv.DictReader(handle))


def test_the_committed_table_is_of_a_hundred_kills_that_went_well():
    lines = [line for line in committed() if line.get("signal", "KILL") == "KILL"]
    assert len(lines) >= 100
    assert {line["kind"] for line in lines} == set(strikes.KINDS)
    assert {line["equal"] for line in lines} == {"True"}
    assert {line[name] for line in lines for name in ("lost", "twice", "orphans", "torn")} == {"0"}


def test_the_committed_table_is_of_signals_and_early_kills_too_and_mlflow_was_right_after_each():
    lines = committed()
    struck = Counter(line["signal"] for line in lines)
    assert struck["TERM"] >= 20
    assert struck["INT"] >= 20
    assert sum(line["early"] == "True" for line in lines) >= 20
    assert all(float(line["moment_s"]) <= strikes.EARLY_S for line in lines if line["early"] == "True")
    assert all(line["mlflow_finished"] == line["runs"] for line in lines)
    assert {line[name] for line in lines for name in ("unsaid", "mlflow_running", "mlflow_twice")} == {"0"}


def test_the_judge_sees_what_is_wrong(tmp_path, monkeypatch):
    """A lost row, a torn file, another score, and what MLflow has too much, too little or still at work are found."""
    from experiments.sync.invocation import open_tracking
    from experiments.tracking.mlflow_run import client, synced_as, tracking_uri

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    runs, whole = tmp_path / "runs", tmp_path / "whole"
    processes.run_grid(runs, 2)
    shutil.copytree(runs, whole)
    seen = rows(runs)
    assert is_well(judge(runs, whole, seen), 2)
    tracking, (first, second) = open_tracking(runs, "faults"), sorted(seen)
    mlflow = client(tracking.uri)
    twin = mlflow.create_run(tracking.experiment_id, tags={"spec": first})
    mlflow.set_terminated(twin.info.run_id, "FINISHED")
    mlflow.delete_run(synced_as(runs / second, tracking_uri(runs)))
    judged = judge(runs, whole, seen)
    assert (judged.mlflow_finished, judged.mlflow_running, judged.mlflow_twice) == (1, 1, 1)
    next(runs.glob("*/row.json")).write_text("{")
    judged = judge(runs, whole, seen)
    assert (judged.lost, judged.torn) == (1, 1)
    table = runs / "out" / "runs.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join([*lines, lines[-1]]) + "\n")
    judged = judge(runs, whole, {})
    assert (judged.twice, judged.equal) == (1, False)
