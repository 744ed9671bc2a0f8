"""What a person is told before anything starts, and what is written down of it."""

import json

import pandas as pd
import pytest

from experiments.ablations.ablate import ablation_folder, plan
from experiments.cli import main
from experiments.commands.ablate import configure
from tests.experiments.test_cli import TINY


@pytest.fixture(autouse=True)
def _local_tracking(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def record(runs, name, **fields):
    row = {"world": "walk", "task": "walk", "steps": 30, "state": "finished", "seconds": 4.0, "base": "tiny:0",
           "probes": "exploration=30 gradient_variance=30 value_error=30", **fields}  # fmt: skip
    (runs / name).mkdir()
    (runs / name / "row.json").write_text(json.dumps(row))


def planned(*words):
    config, dials = configure(words, {})
    return plan(config, dials)


def said(capsys, *words):
    assert main(["ablate", "--dry-run", *words]) == 0
    return capsys.readouterr().out


def test_plan_tells_hours_from_measured_speed(capsys, tmp_path):
    record(tmp_path, "one", seconds=9.0)
    out = said(capsys, "--runs", str(tmp_path), "--seeds", "10", "--baselines", "ppo", "--workers", "1")
    assert "9 arms x 10 seeds = 90 runs" in out
    assert "0.23 core-hours" in out  # 90 x 9 s
    assert "9.0 s per run; the median of finished runs of the same kind" in out
    assert "1.20 sd of the paired difference" in out


def test_plan_of_a_factorial_tells_what_an_effect_must_be(capsys, tmp_path):
    out = said(capsys, "--runs", str(tmp_path), "--design", "full-factorial", "--seeds", "20")
    assert "128 arms x 20 seeds = 2560 runs" in out
    assert "0.141 sigma = 0.100 sd of the paired difference" in out  # 0.80 x 2 / sqrt(128)
    assert "0.177 sigma" in out
    assert len(out.splitlines()) < 10


@pytest.mark.parametrize(
    ("fraction", "told"),
    [
        ("64", "I = ABCDEFG, resolution VII"),
        ("32", "6 of the 21 two-way interactions are aliased: CE = FG, CF = EG, CG = EF"),
        ("16", "21 of the 21 two-way interactions are aliased"),
    ],
)
def test_plan_of_a_fraction_tells_what_it_cannot_tell_apart(capsys, tmp_path, fraction, told):
    out = said(capsys, "--runs", str(tmp_path), "--design", "fractional-factorial", "--fraction", fraction)
    assert told in out
    assert f"{fraction} arms" in out


def test_too_few_seeds_are_said_to_be(capsys, tmp_path):
    assert "too few" in said(capsys, "--runs", str(tmp_path), "--seeds", "3")


def test_cells_become_specs_with_their_settings_dials_and_labels():
    chosen = planned("--design", "grid", "--vary", "alpha", "0.25", "--vary", "dials.filler", "0", "2", "--seeds", "2")
    by_label = {(chosen.labels[spec.hash], spec.seed): spec for spec in chosen.specs}
    assert set(by_label) == {(a, s) for a in ("vapo", "vapo alpha=0.25", "vapo alpha=0.25 filler=2") for s in (0, 1)}
    spec = by_label["vapo alpha=0.25 filler=2", 1]
    assert (spec.settings.alpha, spec.task.dials, spec.arm) == (0.25, {"filler": 2}, "vapo")


def test_arms_share_runs_with_other_designs():
    """A run is its spec: leave-one-out's cells are among the full factorial's."""
    one, all_ = planned("--seeds", "1", "--baselines"), planned("--design", "full-factorial", "--seeds", "1")
    assert {spec.hash for spec in one.specs} <= {spec.hash for spec in all_.specs}


def test_what_is_varied_is_in_the_folders_name_and_comes_from_yaml_too(tmp_path):
    config, _ = configure([], {"design": "one-at-a-time", "vary": [["alpha", 0.1, 2]]})
    assert config.vary == (("alpha", "0.1", "2"),)
    assert ablation_folder(config, {}).name.startswith("ablate-walk-walk-one-at-a-time-alpha-quick-")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--design", "gird"], "did you mean 'grid'"),
        (["--design", "leave-one-out", "--vary", "alpha", "1"], "design leave-one-out varies no setting"),
        (["--design", "one-at-a-time", "--vary", "alpa", "1"], "did you mean 'alpha'"),
        (["--design", "one-at-a-time", "--vary", "alpha", "-1"], "greater than 0"),
        (["--design", "fractional-factorial", "--fraction", "8"], "--fraction"),
    ],
)
def test_wrong_designs_are_one_line_and_exit_code_2(words, told, capsys):
    assert main(["ablate", "--dry-run", *words]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert told in error


@pytest.mark.parametrize("text", ["vary: alpha", "vary: [alpha, 1]", "vary: {alpha: 1}"])
def test_a_factor_in_yaml_that_is_no_list_is_one_line(text, capsys, tmp_path):
    file = tmp_path / "plan.yaml"
    file.write_text(f"design: one-at-a-time\n{text}\n")
    assert main(["ablate", "--dry-run", "--config", str(file)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "list of lists" in error


def test_tables_call_arms_as_the_design_does_and_the_order_is_recorded(capsys, tmp_path):
    words = ["--design", "one-at-a-time", "--vary", "alpha", "0.25", "0.5", "--steps", "2", "--seeds", "2"]
    assert main(["ablate", *words, *TINY, "--runs", str(tmp_path), "--workers", "1"]) == 0
    (out,) = tmp_path.glob("ablate-walk-walk-one-at-a-time-alpha-quick-*")
    table = pd.read_csv(out / "runs.csv")
    assert sorted(table["arm"]) == ["vapo", "vapo", "vapo alpha=0.25", "vapo alpha=0.25"]
    assert table.loc[table["arm"] == "vapo alpha=0.25", "settings.alpha"].tolist() == [0.25, 0.25]
    assert table["dials.size"].tolist() == [8] * 4
    row = json.loads((tmp_path / table["spec"][0] / "row.json").read_text())
    assert row["auc"] == table["auc"][0]  # calling arms otherwise changes no digit
    config = json.loads((out / "config.json").read_text())
    assert config["order_seed"] == 0
    assert [item["seed"] for item in config["order"]] == [0, 0, 1, 1]
    assert {item["arm"] for item in config["order"]} == {"vapo", "vapo alpha=0.25"}
    capsys.readouterr()
    again = said(capsys, "--config", str(out / "config.json"), "--runs", str(tmp_path))
    assert "2 arms x 2 seeds = 4 runs" in again
    assert "4 of them are finished; remaining: nothing" in again
    assert "vapo alpha=0.25" in (out / "report.html").read_text()
