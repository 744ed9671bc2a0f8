"""Records: what finished means, what a crash leaves, what a divergence counts."""

import json
import math
import multiprocessing
import os
import signal
import time

import numpy as np
import pandas as pd
import pytest

from experiments.launchers.launch import local_map
from experiments.records.points import JsonLines, read_points
from experiments.runs.collect import collect
from experiments.runs.run import describe, finished_row, run_one
from experiments.runs.scoring import score
from tests.support.worlds import small_spec


def test_finished_run_is_not_run_again(tmp_path):
    spec = small_spec()
    first = run_one(spec, tmp_path, "test")
    assert json.dumps(run_one(spec, tmp_path, "test")) == json.dumps(first)  # as text: a censored column is nan
    assert (tmp_path / spec.hash / "attempts").read_text() == "1"


def test_row_has_every_column_a_table_needs(tmp_path):
    row = run_one(small_spec(), tmp_path, "test")
    assert row["state"] == "finished"
    assert row["arm"] == "vapo"
    assert 0 <= row["auc"] <= 1
    assert row["tokens"] > row["warm_tokens"] > 0
    assert row["warm_key"]
    assert row["settings.alpha"] == 0.5
    assert math.isfinite(row["activity_length_adaptive_gae"])


def test_row_says_which_variants_and_probes():
    told = describe(small_spec(recipe="grpo", probes={"value_error": 2, "credit": 4}), "test")
    assert told["variants"] == "credit=group_relative whiten=none"
    assert told["probes"] == "credit=4 value_error=2"


def test_divergence_is_a_result_with_a_row(tmp_path):
    """It ends with its reason and counts 0 from there on."""
    row = run_one(small_spec(steps=4, numbers={"policy_lr": 1e38}), tmp_path, "test")
    assert row["state"] == "diverged"
    assert "not finite" in row["reason"]
    assert row["last"] == 0.0
    assert row["auc"] < row["first"]


def test_score_by_hand():
    """Trapezoid over RL steps, normalised; uneven steps weigh by their distance; a fall counts 0."""
    spec = small_spec(steps=10)
    points = [(0, {"val/exact_j": 0.2}), (2, {"val/exact_j": 0.4}), (10, {"val/exact_j": 0.8})]
    assert score(spec, points, "finished") == pytest.approx({"first": 0.2, "last": 0.8, "auc": 0.54})
    fallen = score(spec, points[:2], "diverged")  # 0.3 x 2, then from 0.4 to 0 within one step
    assert fallen == pytest.approx({"first": 0.2, "last": 0.0, "auc": 0.08})


def test_record_cut_short_keeps_its_whole_lines(tmp_path):
    path = tmp_path / "metrics.jsonl"
    log = JsonLines(path)
    log.write(1, {"a": 1.0})
    log.write(2, {"a": 2.0})
    log.close()
    path.write_text(path.read_text()[:-9])
    assert read_points(path) == [(1, {"a": 1.0})]
    JsonLines(path, keep_through=1).write(2, {"a": 3.0})
    assert read_points(path) == [(1, {"a": 1.0}), (2, {"a": 3.0})]


def test_killed_run_is_continued_to_the_same_end(tmp_path, cache):
    """Kill -9 in the middle, run again: equal to the uninterrupted run but for seconds and attempts."""
    spec = small_spec("lm", steps=14, numbers={"warmup_steps": 0})
    whole = run_one(spec, _with_bases(tmp_path / "whole", cache), "test")
    home = _with_bases(tmp_path / "cut", cache)
    process = multiprocessing.get_context("spawn").Process(target=run_one, args=(spec, home, "test"))
    process.start()
    deadline = time.monotonic() + 120
    while not (home / spec.hash / "checkpoint").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert finished_row(spec, home) is None
    again = run_one(spec, home, "test")
    assert again["attempts"] == 2
    ignored = {"seconds", "attempts"}
    assert {k: v for k, v in again.items() if k not in ignored} == pytest.approx(
        {k: v for k, v in whole.items() if k not in ignored}, nan_ok=True
    )
    steps = [step for step, _ in read_points(home / spec.hash / "metrics.jsonl")]
    assert steps == sorted(set(steps))


def _with_bases(home, cache):
    home.mkdir()
    (home / "bases").symlink_to(cache / "bases")
    (cache / "bases").mkdir(parents=True, exist_ok=True)
    return home


def test_two_workers_give_the_table_one_process_gives(tmp_path):
    """Parallelism is not part of a run: equal tables but for seconds."""
    specs = [small_spec(seed=seed, recipe=recipe) for seed in (0, 1) for recipe in ("vapo", "ppo")]
    for spec in specs:
        run_one(spec, tmp_path / "one", "test")
    assert local_map(specs, tmp_path / "two", "test", 2, None, lambda spec, row: None) == []
    for name in ("one", "two"):
        assert collect(specs, tmp_path / name, tmp_path / name / "out") == 4
    one, two = (pd.read_csv(tmp_path / n / "out" / "runs.csv").drop(columns=["seconds"]) for n in ("one", "two"))
    pd.testing.assert_frame_equal(one, two)
    curves = [pd.read_parquet(tmp_path / n / "out" / "curves.parquet") for n in ("one", "two")]
    kept = [c[~c["metric"].astype(str).str.startswith("timing/")].reset_index(drop=True) for c in curves]
    pd.testing.assert_frame_equal(kept[0], kept[1])


def test_a_run_that_cannot_start_is_tried_and_reported_and_the_rest_go_on(tmp_path):
    """A broken cell costs itself, not the grid."""
    good, bad = small_spec(), small_spec("lm", base={"model": str(tmp_path / "no-such-checkpoint")})
    done = []
    failures = local_map([bad, good], tmp_path, "test", 1, None, lambda spec, row: done.append(spec))
    assert done == [good]
    assert [failure.spec for failure in failures] == [bad]


def test_rows_are_json_that_comes_back(tmp_path):
    spec = small_spec()
    row = run_one(spec, tmp_path, "test")
    again = json.loads((tmp_path / spec.hash / "row.json").read_text())
    assert {k for k in row if not (isinstance(row[k], float) and np.isnan(row[k])) and row[k] != again[k]} == set()
