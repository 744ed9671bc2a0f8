"""The search for failing regimes: what is run, on which seeds, and that a search that was stopped goes on."""

from itertools import combinations
from math import prod

import pandas as pd
import pytest

from analysis.tables.regimes import WALKS
from experiments.regimes import grid, search
from experiments.regimes.grid import BASE_J, CONFIRMATION_SEEDS, EASY, HARD, SEARCH_SEEDS, fraction, planned, regimes
from experiments.regimes.search import RegimesConfig, confirmed_regimes
from experiments.runs.run import build_trainer


def test_seeds_serve_nothing_else():
    used = {*SEARCH_SEEDS, *CONFIRMATION_SEEDS}
    assert len(used) == len(SEARCH_SEEDS) + len(CONFIRMATION_SEEDS)
    assert min(used) >= 800
    assert max(used) < 900


@pytest.mark.parametrize(("runs", "clear"), [(16, 2), (8, 1)])
def test_main_effects_are_told_apart(runs, clear):
    """In 16 runs no product of up to three columns is constant, so no main effect equals another or a pair; in 8 runs of two."""
    cells = [[1 - 2 * bit for bit in bits] for bits in fraction(runs)]
    assert len({tuple(cell) for cell in cells}) == runs
    for size in range(1, clear + 2):
        for columns in combinations(range(6), size):
            assert sum(prod(cell[at] for at in columns) for cell in cells) == 0, columns


def test_the_search_knows_nothing_of_vapo():
    runs = list(planned(regimes(), SEARCH_SEEDS))
    assert {run.spec.recipe for run in runs} == {"ppo", "grpo"}
    assert not any(run.spec.toggles.value_pretraining or run.spec.toggles.length_adaptive_gae for run in runs)
    assert {run.spec.settings.fixed_lambda for run in runs if run.arm == "ppo_lambda_1"} == {1.0}
    assert {run.spec.settings.fixed_lambda for run in runs if run.arm == "ppo"} == {0.95}
    assert len({run.regime for run in runs}) == 72
    assert len(grid.declared()) == 84


def test_regimes_that_differ_in_critics_alone_share_grpo():
    by_arm = {arm: {run.spec for run in planned(regimes(), SEARCH_SEEDS) if run.arm == arm} for arm in grid.ARMS}
    assert len(by_arm["ppo"]) == 72 * 4
    assert len(by_arm["grpo"]) < 72 * 4


@pytest.mark.parametrize("length", [length.tokens for length in WALKS])
@pytest.mark.parametrize("start", [EASY, HARD])
def test_a_right_answer_is_as_rare_at_every_length(length, start, tmp_path):
    first = next(p for p in planned(regimes(), [700]) if (p.regime.length, p.regime.start) == (length, start))
    world = build_trainer(first.spec, tmp_path).world
    problems = world.task.problems["held_out"]
    assert world.exact_return(problems).mean().item() == pytest.approx(BASE_J[start], rel=0.2)


@pytest.fixture
def small(monkeypatch):
    """Two short regimes, two seeds a stage, three steps; every regime fails, so that both stages run."""
    monkeypatch.setattr(grid, "STEPS", 3)
    monkeypatch.setattr(search, "SEARCH_SEEDS", (800, 801))
    monkeypatch.setattr(search, "CONFIRMATION_SEEDS", (820, 821))
    monkeypatch.setattr(search, "regimes", lambda: regimes()[:2])
    monkeypatch.setattr("analysis.regimes.rule.LEARNABLE", 0.0)
    monkeypatch.setattr("analysis.regimes.rule.SHORT", 100.0)


def test_search_confirm_and_go_on(small, tmp_path, capsys):
    config = RegimesConfig(runs=tmp_path / "runs", out=tmp_path / "out", workers=1)
    assert search.search(config) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {
        "runs.csv",
        "search.csv",
        "confirmation.csv",
        "README.md",
    }
    assert len(pd.read_csv(tmp_path / "out" / "search.csv")) == 2
    assert set(pd.read_csv(tmp_path / "out" / "confirmation.csv")["seeds"]) == {2}
    before = (tmp_path / "out" / "README.md").read_text()
    elsewhere = RegimesConfig(runs=tmp_path / "other", out=tmp_path / "out", workers=1)
    capsys.readouterr()
    assert search.search(elsewhere) == 0  # the outcome folder holds every run: none is made again
    assert "12 finished" in capsys.readouterr().out
    assert (tmp_path / "out" / "README.md").read_text() == before
    assert [regime.length for regime in confirmed_regimes(tmp_path / "out")] == [8, 8]
    assert confirmed_regimes(tmp_path / "nothing") == []


def test_the_plan_is_shown_without_running(tmp_path, capsys):
    assert search.search(RegimesConfig(runs=tmp_path, out=tmp_path / "out", dry_run=True)) == 0
    assert "736 runs" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()
