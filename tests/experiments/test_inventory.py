"""Commands that look at records: ls, show, compare, clean, ui, completion; and evaluate on a checkpoint."""

import json

import numpy as np
import pytest

from experiments.cli import COMMANDS, main
from experiments.commands.ui import UiConfig, command, environment
from experiments.run import run_one
from tests.worlds import small_spec
from vapo_core.exam import _bins, examine


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    home = tmp_path_factory.mktemp("records")
    for recipe in ("vapo", "ppo"):
        run_one(small_spec(recipe=recipe), home, "study")
    unfinished = home / "0123456789abcdef"
    unfinished.mkdir()
    (unfinished / "attempts").write_text("1")
    (unfinished / "spec.json").write_text(small_spec(seed=9).model_dump_json())
    return home


def test_ls_lists_and_filters(runs, capsys):
    assert main(["ls", "--runs", str(runs)]) == 0
    said = capsys.readouterr().out
    assert small_spec().hash in said
    assert "3 runs" in said
    assert main(["ls", "--runs", str(runs), "--state", "unfinished"]) == 0
    said = capsys.readouterr().out
    assert "1 runs" in said
    assert small_spec().hash not in said


def test_show_tells_what_differs_and_what_came_of_it(runs, capsys):
    assert main(["show", small_spec().hash[:8], "--runs", str(runs)]) == 0
    said = capsys.readouterr().out
    assert "settings.alpha = 0.5" in said
    assert "state = finished" in said
    assert "actor/entropy" in said


def test_compare_shows_differences_only(runs, capsys):
    names = [small_spec(recipe=recipe).hash for recipe in ("vapo", "ppo")]
    assert main(["compare", *names, "--runs", str(runs)]) == 0
    said = capsys.readouterr().out
    assert "toggles.clip_higher" in said
    assert "settings.alpha" not in said


def test_unknown_or_ambiguous_run_is_one_line(runs, capsys):
    for name in ("zzz", ""):
        assert main(["show", name, "--runs", str(runs)]) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_clean_asks_first_and_never_touches_finished_runs(runs, capsys):
    assert main(["clean", "--runs", str(runs)]) == 0
    assert (runs / "0123456789abcdef").exists()
    assert main(["clean", "--runs", str(runs), "--yes"]) == 0
    assert not (runs / "0123456789abcdef").exists()
    assert (runs / small_spec().hash / "row.json").exists()


def test_ui_binds_to_the_loopback_address(runs):
    words = command(UiConfig(runs=runs))
    assert words[words.index("--host") + 1] == "127.0.0.1"


def test_ui_shows_no_password_to_other_users_of_the_machine(runs, monkeypatch):
    """A command line is everybody's to read."""
    pytest.importorskip("psycopg", reason="needs psycopg (pip install -e '.[cluster]')")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://me:open-sesame@db/mlflow")
    assert "open-sesame" not in " ".join(command(UiConfig(runs=runs)))
    assert "open-sesame" in environment(UiConfig(runs=runs))["MLFLOW_BACKEND_STORE_URI"]


def test_completion_knows_every_command(capsys):
    assert main(["completion", "bash"]) == 0
    said = capsys.readouterr().out
    assert all(f"    {name})" in said for name in COMMANDS)
    assert "--settings.alpha" in said


def test_evaluate_a_checkpoint_as_table_and_json(tmp_path, cache, capsys):
    spec = small_spec("lm", steps=1)
    home = tmp_path / "runs"
    home.mkdir()
    (cache / "bases").mkdir(parents=True, exist_ok=True)
    (home / "bases").symlink_to(cache / "bases")
    run_one(spec, home, "study")
    out = tmp_path / "exam.json"
    words = ["--problems", "20", "--answers", "8", "--k", "2", "4", "--out", str(out)]
    assert main(["evaluate", str(home / spec.hash / "checkpoint" / "policy"), *words]) == 0
    exam = json.loads(out.read_text())
    assert 0 <= exam["pass_at_1"] <= exam["pass_at_k"]["2"] <= exam["pass_at_k"]["4"] <= 1
    assert sum(exam["modes"].values()) == pytest.approx(1)
    assert sum(item["responses"] for item in exam["by_length"]) == 160
    assert "pass@1 (avg@8)" in capsys.readouterr().out
    assert main(["evaluate", str(tmp_path / "nothing")]) == 2
    assert main(["evaluate", str(home / spec.hash / "checkpoint" / "policy"), "--k", "20"]) == 2
    assert main(["evaluate", str(home / spec.hash / "checkpoint" / "policy"), "--split", "hold_out"]) == 2


def test_bins_cover_all_and_keep_equal_lengths_together():
    lengths = np.array([1, 1, 1, 1, 2, 3, 9, 9])
    right = np.array([1, 0, 0, 0, 1, 1, 1, 1], bool)
    found = _bins(lengths, right)
    assert sum(b.responses for b in found) == 8
    assert (found[0].shortest, found[0].longest, found[0].accuracy) == (1, 1, 0.25)
    assert found[-1].accuracy == 1.0


def test_exam_refuses_k_beyond_half_the_answers():
    with pytest.raises(ValueError, match="needs at least 16 answers"):
        examine(None, None, [], 8, (8,), 0)
