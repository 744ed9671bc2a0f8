"""`vapo trace`: a table and a page of any run, from its checkpoint or trained again; wrong input is one line."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from experiments.cli import main
from experiments.runs.run import run_one
from tests.support.worlds import small_spec
from vapo_core.training.trace import LAMBDA_RULES

FEW = ["--problems", "3", "--answers", "2"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A finished run in either world."""
    folder = tmp_path_factory.mktemp("runs")
    for world in ("walk", "lm"):
        run_one(small_spec(world), folder, "test")
    run_one(small_spec("walk", "grpo"), folder, "test")
    return folder


def trace(runs, spec, *words):
    """The command's table."""
    assert main(["trace", spec.hash[:8], "--runs", str(runs), *FEW, *words]) == 0
    return pd.read_parquet(runs / spec.hash / "trace.parquet")


def test_a_walk_run_is_trained_again_and_says_so(runs, capsys):
    """The same numbers each time; truth everywhere; a record that does not match is told."""
    spec = small_spec("walk")
    first = trace(runs, spec)
    said = capsys.readouterr()
    assert "training 3 of 3 steps from the spec: a walk run keeps no checkpoint" in said.out
    assert str(runs / spec.hash / "trace.html") in said.out
    assert said.err == ""
    pd.testing.assert_frame_equal(first, trace(runs, spec))
    assert first["truth"].notna().all()
    assert first["response"].nunique() == 6
    assert {f"advantage_{rule}" for rule in ("own", *LAMBDA_RULES)} <= set(first)
    assert "after 3 of 3 RL steps" in (runs / spec.hash / "trace.html").read_text()


def test_a_record_that_does_not_match_is_told(runs, capsys, tmp_path):
    spec = small_spec("walk")
    shutil.copytree(runs / spec.hash, tmp_path / spec.hash)
    row = json.loads((tmp_path / spec.hash / "row.json").read_text())
    (tmp_path / spec.hash / "row.json").write_text(json.dumps({**row, "last": row["last"] + 0.1}))
    trace(tmp_path, spec)
    assert "warning: val/exact_j ends at" in capsys.readouterr().err


def test_an_earlier_step_is_another_policy_on_the_same_problems(runs):
    spec = small_spec("walk")
    end, start = trace(runs, spec), trace(runs, spec, "--step", "0")
    firsts = [table[table["position"] == 0].set_index("response") for table in (end, start)]
    assert firsts[0]["prompt"].equals(firsts[1]["prompt"])
    assert not np.allclose(firsts[0]["value"], firsts[1]["value"])


def test_a_checkpoint_is_read_not_trained(runs, capsys):
    """By name, folder and checkpoint folder alike; on text only some answers have a truth."""
    spec = small_spec("lm")
    table = trace(runs, spec, "--truth", "1")
    assert "again" not in capsys.readouterr().out
    assert table.loc[table["truth"].notna(), "response"].unique().tolist() == [0]
    for place in (runs / spec.hash, runs / spec.hash / "checkpoint" / "policy"):
        assert main(["trace", str(place), *FEW, "--truth", "1", "--out", str(runs / "elsewhere")]) == 0
        pd.testing.assert_frame_equal(table, pd.read_parquet(runs / "elsewhere" / "trace.parquet"))
    page = (runs / "elsewhere" / "trace.html").read_text()
    assert page.count("<article>") == 6
    assert sorted(p.name for p in (runs / "elsewhere").iterdir()) == ["trace.html", "trace.parquet"]


def test_training_again_ends_at_the_checkpoint(runs):
    """What a retrained run shows is what its checkpoint would have shown."""
    spec = small_spec("lm")
    pd.testing.assert_frame_equal(trace(runs, spec, "--truth", "0"), trace(runs, spec, "--truth", "0", "--step", "3"))


@pytest.mark.parametrize(
    ("recipe", "words", "said"),
    [
        ("vapo", ["--split", "heldout"], "split: no split 'heldout' in this task; did you mean 'held_out'?"),
        ("vapo", ["--step", "9"], "step = 9: allowed is 0 to 3"),
        ("vapo", ["--answers", "0"], "answers = 0"),
        ("vapo", ["--problmes", "1"], "did you mean '--problems'"),
        ("vapo", ["--out", "/dev/null/x"], "/dev/null"),
        ("grpo", ["--answers", "1"], "answers = 1: the credit of this run compares answers"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(recipe, words, said, runs, capsys):
    name = small_spec("walk", recipe).hash
    assert main(["trace", name, "--runs", str(runs), *words]) == 2
    spoken = capsys.readouterr()
    assert (spoken.err.count("\n"), spoken.out) == (1, "")
    assert said in spoken.err


def test_what_is_no_run_is_one_line(runs, tmp_path, capsys):
    for word, said in (("nope", "no run in"), (str(tmp_path), "allowed are a run's name, folder or checkpoint")):
        assert main(["trace", word, "--runs", str(runs)]) == 2
        error = capsys.readouterr().err
        assert (error.count("\n"), said in error) == (1, True)


def test_a_damaged_checkpoint_is_one_line(runs, tmp_path, capsys):
    spec = small_spec("lm")
    shutil.copytree(runs / spec.hash, tmp_path / spec.hash)
    (tmp_path / "bases").symlink_to(runs / "bases")
    (tmp_path / spec.hash / "checkpoint" / "policy" / "model.safetensors").write_bytes(b"half")
    assert main(["trace", spec.hash, "--runs", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "checkpoint: cannot be read" in error


def test_a_diverging_run_is_one_line(tmp_path, capsys):
    """Before the divergence it can be traced."""
    spec = small_spec("walk", numbers={"policy_lr": 1e30, "max_grad_norm": float("inf"), "mu": 1e30})
    row = run_one(spec, tmp_path, "test")
    assert row["state"] == "diverged"
    assert main(["trace", spec.hash, "--runs", str(tmp_path), *FEW]) == 2
    error = capsys.readouterr().err
    assert (error.count("\n"), "diverges before step 3" in error) == (1, True)
    trace(tmp_path, spec, "--step", "0")
