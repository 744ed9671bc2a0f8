"""Searches: the space, and the command from plan to recommendation."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from mlflow.tracking import MlflowClient
from optuna.trial import create_trial
from scipy import stats

from analysis.sweeps.sweep import best_range
from experiments.cli import main
from experiments.commands.sweep import configure
from experiments.sweeps.proposals import PRUNERS, SAMPLERS, distribution, propose, values_of
from experiments.sweeps.space import Dimension, dimensions
from experiments.sweeps.sweep import SweepConfig, sweep_folder
from experiments.tracking.mlflow_run import tracking_uri
from tests.experiments.sweeps.test_trials import ALPHA, plan
from tests.experiments.test_cli import TINY
from vapo_core.settings import DEFAULT_SETTINGS

# --- the search space ---


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "nothing to sweep: name a setting"),
        (["alfa"], "did you mean 'alpha'"),
        (["whitening"], "no numeric setting 'whitening'"),
        (["mu"], "mu has no default range"),
        (["alpha", "lambda"], "sweep them separately"),
        (["alpha", "alpha"], "named twice"),
        (["alpha", "--range", "-1", "5"], "range: alpha = -1: Input should be greater than 0"),
        (["alpha", "--range", "5", "1"], "from 5 to 1 is empty"),
        (["alpha", "--range", "5"], "expected LOW HIGH for one setting"),
        (["alpha", "--range", "a", "b"], "range: 'a' is not a number"),
        (["alpha", "--range", "mu", "1", "2"], "'mu' is not swept"),
        (["lambda", "--range", "0", "1"], "has to end below 1"),
        (["epochs", "--range", "1", "2.5"], "whole numbers"),
        (["alpha", "--along", "fillr", "1"], "did you mean 'filler'"),
        (["alpha", "--along", "filler"], "at least one value"),
        (["alpha", "--along", "horizon", "1"], "horizon"),
        (["alpha", "--recipe", "gpro"], "did you mean 'grpo'"),
        (["alpha", "--recipe", "grpo"], "no critic"),
        (["alpha", "--sampler", "grid"], "invalid choice 'grid'"),
        (["alpha", "--trails", "3"], "did you mean '--trials'"),
        (["alpha", "--runs", "/dev/null/x"], "/dev/null"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(words, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["sweep", *words]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert said in error


def test_scales_and_ranges():
    """Log for a wide positive range, horizon for a lambda, else linear; whole numbers where the setting is one."""
    base = DEFAULT_SETTINGS["walk"]
    assert dimensions(["lambda"], [], base, "vapo") == (Dimension("fixed_lambda", "horizon", 0.0, 0.999, False),)
    assert dimensions(["mu"], [["0.01", "1"]], base, "vapo")[0].scale == "log"
    assert dimensions(["mu"], [["0", "1"]], base, "vapo")[0].scale == "linear"
    assert dimensions(["epochs"], [["1", "4"]], base, "vapo") == (Dimension("epochs", "linear", 1, 4, True),)
    both = dimensions(["alpha", "lambda_critic"], [["alpha", "0.1", "2"]], base, "vapo")
    assert [(d.low, d.high) for d in both] == [(0.1, 2.0), (0.0, 0.999)]


def test_a_lambda_is_spread_over_horizons():
    """Half of the trials of a constant lambda have a horizon below the geometric middle of 1 and 1000 tokens."""
    lam = Dimension("fixed_lambda", "horizon", 0.0, 0.999, False)
    values = [values_of(propose(plan(space=(lam,), sampler="qmc"), i, []), (lam,))["fixed_lambda"] for i in range(32)]
    assert 12 <= sum(1 / (1 - v) < math.sqrt(1000) for v in values) <= 20
    assert all(0 <= v <= 0.999 for v in values)


def test_every_sampler_and_pruner_can_be_asked_for():
    fields = SweepConfig.model_fields
    assert set(get_args(fields["sampler"].annotation)) == set(SAMPLERS)
    assert set(get_args(fields["pruner"].annotation)) == set(PRUNERS)


# --- the command ---


def test_dry_run_shows_the_plan_and_runs_nothing(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = [
        "sweep",
        "alpha",
        "lambda_critic",
        "--range",
        "alpha",
        "0.1",
        "2",
        "--along",
        "filler",
        "0",
        "2",
        "--dry-run",
    ]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "4 studies x 16 trials x 10 seeds = at most 640 runs" in said
    assert "core-hours" in said
    assert "main: alpha 0.1 to 2 (log), lambda_critic 0 to 0.999 (horizon), filler = 2" in said
    assert "control: fixed_lambda 0 to 0.999 (horizon), lambda_critic" in said
    assert list(tmp_path.iterdir()) == []


def test_help_and_plan_import_no_torch(tmp_path):
    code = (
        "import sys; from experiments.cli import main; main(['sweep', 'alpha', '--dry-run']);"
        "sys.exit('torch' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=False, capture_output=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_end_to_end_and_again(capsys, tmp_path, monkeypatch):
    """Tables, figures, page and MLflow; given again, no cell runs anew and the recommendation is the same."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    words = ["sweep", "alpha", "--preset", "smoke", "--runs", str(tmp_path), "--workers", "1", "--trials", "3", *TINY]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "recommended: alpha = " in said
    assert "for a mean response length of" in said
    assert "difference to fixed_lambda = " in said
    out = next(tmp_path.glob("sweep-walk-walk-alpha-smoke-*"))
    table = pd.read_csv(out / "sweep.csv")
    assert table.groupby(["role", "trial"])["seed"].nunique().to_list() == [4] * 6
    assert table["spec"].nunique() == 24
    assert set(table.loc[table["half"] == "held back", "seed"]) == {2, 3}
    toggles = {json.loads(p.read_text())["length_adaptive_gae"] for p in tmp_path.glob("*/row.json")}
    assert toggles == {True, False}
    assert (out / "report.html").read_text().count("<img") == 3
    assert {p.name for p in (out / "figures").iterdir()} >= {"history.png", "slice.svg", "slice-constant.csv"}
    first = (out / "recommendation.csv").read_text()
    before = {p: p.stat().st_mtime_ns for p in tmp_path.glob("*/row.json")}
    assert main(words) == 0
    assert {p: p.stat().st_mtime_ns for p in tmp_path.glob("*/row.json")} == before
    assert (out / "recommendation.csv").read_text() == first
    client = MlflowClient(tracking_uri(tmp_path))
    experiment = client.get_experiment_by_name(out.name)
    children = client.search_runs([experiment.experiment_id], "tags.optuna_trial = '2'")
    assert len(children) == 4  # two studies, two choosing seeds
    assert all("mlflow.parentRunId" in run.data.tags for run in children)


def simulated(rng, index, seeds=10, trials=14):
    """(covered, decades) of a sweep with the real sampler: a parabola in log alpha, levels by seed, noise by cell."""
    wanted, truth = plan(trials)._replace(seed=index), rng.uniform(-0.7, 0.7)
    levels, history, scores = rng.normal(0, 0.05, seeds), [], []
    for slot in range(trials):
        params = propose(wanted, slot, history)
        off = math.log10(params["alpha"]) - truth
        scores.append(0.6 - 0.06 * off**2 + levels + rng.normal(0, 0.02, seeds))
        value, space = float(scores[-1][: seeds // 2].mean()), dict([distribution(ALPHA)])
        history.append(create_trial(params=params, distributions=space, value=value, user_attrs={"slot": slot}))
    values, held = np.array([t.params["alpha"] for t in history]), np.array(scores)[:, seeds // 2 :]
    low, high, *_ = best_range(values, held, int(np.argmax([t.value for t in history])), (0.02, 20.0))
    return low <= 10**truth <= high, math.log10(high / low)


@pytest.mark.slow
def test_the_recommended_interval_holds_the_best_alpha_at_its_rate():
    """200 simulated sweeps by TPE: 95 % or more, allowing for the simulation, and it is not the whole range."""
    rng = np.random.default_rng(5)
    covered, width = np.array([simulated(rng, index) for index in range(200)]).T
    assert covered.sum() >= stats.binom.ppf(0.01, 200, 0.95)
    assert width.mean() < 2.2


# --- a sweep writes over no other ---


OTHERS = [
    ["--settings.mu", "0.3"], ["--range", "0.1", "1"], ["--dials.filler", "2"], ["--along", "filler", "0", "2"], ["--steps", "7"],
    ["--along", "filler", "0", "3"], ["--seeds", "12"], ["--first-seed", "5"], ["--recipe", "ppo"], ["--sampler", "gp"],
    ["--sampler-seed", "1"], ["--pruner", "none"], ["--no-control"], ["--evaluation.every", "5"], ["--base.model", "small"],
]  # fmt: skip


def test_sweeps_that_differ_have_folders_of_their_own(tmp_path):
    places = [sweep_folder(*configure(["alpha", *words], {})).name for words in ([], *OTHERS)]
    assert places[0] == "sweep-walk-walk-alpha-quick"
    assert len(set(places)) == len(places)


@pytest.mark.parametrize("words", [["--trials", "40"], ["--workers", "1"], ["--dry-run"]])
def test_more_trials_go_on_in_the_same_folder(words):
    plain, same = (sweep_folder(*configure(["alpha", *more], {})) for more in ([], words))
    assert plain == same
