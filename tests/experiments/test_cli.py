"""Wrong input is one line and exit code 2; right input does what it says."""

import json
from pathlib import Path

import pytest

from experiments.cli import main

TINY = [
    "--settings.responses-per-step", "32", "--settings.group-size", "4", "--settings.pool-size", "16",
    "--settings.warmup-steps", "2", "--settings.mini-batches", "2", "--dials.size", "8", "--dials.horizon", "12",
    "--evaluation.problems", "16", "--evaluation.k", "2", "--evaluation.k-problems", "4",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _local_tracking(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["abllate"], "did you mean 'ablate'"),
        (["ablate", "--sedes", "3"], "did you mean '--seeds'"),
        (["ablate", "--settings.alpa", "0.4"], "did you mean '--settings.alpha'"),
        (["train", "--settings.alpha", "-1"], "settings.alpha = -1.0: input should be greater than 0"),
        (["train", "--settings.alpha", "much"], "could not convert string to float: 'much'"),
        (["train", "--settings.group-size", "7"], "multiple of group_size 7"),
        (["train", "--recipe", "vappo"], "did you mean 'vapo'"),
        (["train", "--settings.reward-low", "nan"], "settings.reward_low = nan: input should be a finite number"),
        (["train", "--settings.alpha", "inf"], "finite number"),
        (["train", "--world", "walk", "--dials.sparsity", "100"], "dials.sparsity = 100"),
        (["train", "--config"], "--config needs a value"),
        (["train", "--task", "text-walk"], "did you mean 'text_walk'"),
        (["train", "--dials.size", "99"], "dials.size = 99"),
        (["train", "--config", "no/such/file.yaml"], "No such file or directory: no/such/file.yaml"),
        (["train", "--recipe", "grpo", "--settings.group-size", "1"], "needs group_sampling on"),
        (["train", "--world", "walk", "--variants", "clip_higher", "above_treshold"], "did you mean 'above_threshold'"),
        (["train", "--world", "walk", "--variants", "clip_hihger", "x"], "did you mean 'clip_higher'"),
        (["train", "--world", "walk", "--base.model", "huge"], "'huge' is no walk size"),
        (["ablate", "--baselines", "pppo"], "no recipe 'pppo'"),
        (["ablate", "--runs", "/dev/null/x"], "/dev/null"),
        (["train", "--world", "walk", "--runs", "/dev/null/x"], "/dev/null"),
        (["sync", "--runs", "/no/such/folder"], "no folder /no/such/folder"),
        (["report", "--runs", "/no/such/folder"], "run `vapo ablate` first"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(words, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert said in error


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("settings: {alpa: 0.4}", "unknown key 'settings.alpa'; did you mean 'alpha'"),
        ("sede: 1", "unknown key 'sede'; did you mean 'seed'"),
        ("steps: [", "not YAML"),
        ("- 1", "expected a mapping"),
        ("settings: {alpha: -1}", "settings.alpha = -1"),
    ],
)
def test_wrong_yaml_is_one_line_and_exit_code_2(text, said, capsys, tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text(text)
    assert main(["train", "--config", str(file)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert said in error


def test_flags_win_over_yaml_and_yaml_over_defaults(capsys, tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("world: walk\nsettings: {alpha: 0.7, mu: 0.3}\ndials: {size: 10}\n")
    assert main(["train", "--config", str(file), "--settings.alpha", "0.9", "--dry-run"]) == 0
    spec = json.loads(capsys.readouterr().out)
    assert (spec["world"], spec["settings"]["alpha"], spec["settings"]["mu"]) == ("walk", 0.9, 0.3)
    assert spec["settings"]["responses_per_step"] == 256
    assert spec["task"]["dials"] == {"size": 10}


def test_help_of_every_command(capsys):
    assert main([]) == 0
    assert "ablate" in capsys.readouterr().out
    for command in ("ablate", "train", "report", "sync"):
        with pytest.raises(SystemExit) as stop:
            main([command, "--help"])
        assert not stop.value.code
        assert f"vapo {command}" in capsys.readouterr().out


def test_dry_run_shows_the_plan_and_runs_nothing(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["ablate", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "11 arms x 20 seeds = 220 runs" in said
    assert "core-hours" in said
    assert list(tmp_path.iterdir()) == []


def test_ablate_end_to_end_and_again(capsys, tmp_path):
    """Tables, figures, one page without outside resources, MLflow beside it; a second call runs nothing anew."""
    words = ["ablate", "--preset", "smoke", "--runs", str(tmp_path), *TINY]
    assert main(words) == 0
    (out,) = tmp_path.glob("ablate-walk-walk-leave-one-out-smoke-*")  # not the plain preset, so marked
    page = (out / "report.html").read_text()
    assert "clip_higher" in page
    assert 'src="http' not in page
    assert {p.name for p in (out / "figures").iterdir()} >= {"effects.png", "effects.csv", "learning_curves.svg"}
    before = {p: p.stat().st_mtime_ns for p in tmp_path.glob("*/row.json")}
    assert len(before) == 16
    assert main(words) == 0
    assert before == {p: p.stat().st_mtime_ns for p in tmp_path.glob("*/row.json")}
    assert main(["report", "--runs", str(tmp_path), "--out", str(tmp_path / "all.html")]) == 0
    assert (tmp_path / "all.html").exists()
    assert Path(tmp_path / "mlflow.db").exists()


def test_train_says_what_came_of_it_and_where(capsys, tmp_path):
    assert main(["train", "--world", "walk", "--steps", "3", "--runs", str(tmp_path), *TINY]) == 0
    said = capsys.readouterr().out
    assert "val/exact_j" in said
    assert str(tmp_path) in said


def test_version_is_the_installed_one(capsys):
    from importlib.metadata import version

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"vapo-lab {version('vapo-lab')}\n"
