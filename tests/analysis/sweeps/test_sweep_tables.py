"""The choice, its score and its interval, by hand and on simulated sweeps whose best alpha is known."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.sweeps.sweep import SweepTables, best_range, chosen, load_sweep, recommendations, trials_of
from analysis.sweeps.text import sentences

SEEDS = {"choosing": (0, 1), "held back": (2, 3, 4)}


def make(values, scores, role="main", setting="alpha", place="", outcomes=None, length=20.0) -> SweepTables:
    """Tables of one study: values [N], scores [N, 5], the first two seeds choose."""
    seeds = [(seed, half) for half, own in SEEDS.items() for seed in own]
    rows = []
    for trial, (value, own) in enumerate(zip(values, scores, strict=True)):
        outcome = outcomes[trial] if outcomes else "complete"
        for (seed, half), score in zip(seeds, own, strict=False):
            rows.append(
                {"place": place, "role": role, "outcome": outcome, "half": half, "world": "walk", "task": "walk",
                 "arm": "vapo", "state": "finished", "reason": "", "metric": "val/exact_j", "git_commit": "abc1234",
                 "spec": f"{role}{place}{trial}-{seed}", "trial": trial, "number": trial, "steps": 30, "seed": seed,
                 "score": score, "mean_length": length + trial, "tokens": 1e4, "seconds": 2.0, setting: value}
            )  # fmt: skip
    low, high = (0.02, 20.0) if setting == "alpha" else (0.0, 0.999)
    scale = "log" if setting == "alpha" else "horizon"
    space = {"place": place, "role": role, "setting": setting, "scale": scale, "low": low, "high": high}
    shares = {"place": place, "role": role, "setting": setting, "importance": 1.0, "evaluator": "fANOVA (64 trees)"}
    return SweepTables(pd.DataFrame(rows), pd.DataFrame([space]), pd.DataFrame([shares]))


def join(*parts: SweepTables) -> SweepTables:
    return SweepTables(*(pd.concat(tables, ignore_index=True) for tables in zip(*parts, strict=True)))


ALPHA = make([0.1, 0.5, 2.0], [[0.3, 0.3, 0.30, 0.31, 0.32], [0.6, 0.4, 0.50, 0.52, 0.54], [0.9, 0.0, 0.8, 0.8, 0.8]])
LAMBDA = make(
    [0.5, 0.9], [[0.4, 0.4, 0.45, 0.46, 0.50], [0.2, 0.2, 0.9, 0.9, 0.9]], role="control", setting="fixed_lambda"
)


def test_the_choice_knows_nothing_of_the_held_back_seeds():
    """Trial 2 is best on the held-back seeds and on all; trial 1 on those that choose."""
    best = chosen(trials_of(ALPHA, "", "main"))
    assert best["trial"] == 1
    assert best["choosing"] == pytest.approx(0.5)
    assert best["held_back"] == pytest.approx(0.52)


def test_recommendation_by_hand():
    """Score and difference on the held-back seeds alone; gaps 0.05, 0.06, 0.04: t(0.975, 2) sd / sqrt(3) = 0.0248."""
    found = recommendations(join(ALPHA, LAMBDA))
    main, control = (found[found["role"] == role].iloc[0] for role in ("main", "control"))
    assert main["value"] == 0.5
    assert main["score"] == pytest.approx(0.52)
    assert main["choosing_score"] == pytest.approx(0.5)
    assert main["mean_length"] == pytest.approx(21)
    assert main["constant"] == "fixed_lambda = 0.5"
    assert main["difference"] == pytest.approx(0.05)
    assert main["difference_high"] - main["difference"] == pytest.approx(0.024841, rel=1e-4)
    assert main["pairs"] == 3
    assert control["value"] == 0.5
    assert math.isnan(control["difference"])


def test_pruned_trials_are_never_chosen():
    best = make([0.1, 0.5], [[0.3] * 5, [0.9, 0.9]], outcomes=["complete", "pruned"])
    assert chosen(trials_of(best, "", "main"))["trial"] == 0
    assert chosen(trials_of(make([0.5], [[0.9]], outcomes=["pruned"]), "", "main")) is None
    assert recommendations(make([0.5], [[0.9]], outcomes=["pruned"])).empty


def test_a_missing_held_back_run_leaves_its_pair_out():
    tables = join(ALPHA, LAMBDA)
    runs = tables.runs[tables.runs["spec"] != "control0-4"]
    row = recommendations(tables._replace(runs=runs)).iloc[0]
    assert (row["pairs"], row["seeds"]) == (2, 3)
    assert row["difference"] == pytest.approx(0.055)


def test_the_interval_ends_at_the_nearest_values_ruled_out():
    """Worse by 0.1 with hardly any spread at 0.1 and 8, not to be told apart at 0.3 and 2: from 0.1 to 8."""
    values, level = np.array([2.0, 0.1, 0.5, 0.3, 8.0, 15.0]), np.array([0, 0.1, 0, 0, 0.1, 0.2])
    wobble = np.array([[0.01, -0.01, 0.0], [0.001, 0, 0], [0, 0, 0], [0, 0.01, -0.01], [0, 0.001, 0], [0, 0, 0.001]])
    scores = 0.5 - level[:, None] + wobble
    assert best_range(values, scores, 2, (0.02, 20.0)) == (0.1, 8.0, False, False)
    assert best_range(values[[0, 2, 3]], scores[[0, 2, 3]], 1, (0.02, 20.0)) == (0.02, 20.0, True, True)


def test_one_held_back_seed_rules_nothing_out():
    assert best_range(np.array([1.0, 2.0]), np.array([[0.9], [0.1]]), 0, (0.0, 3.0)) == (0.0, 3.0, True, True)


def simulate(rng, seeds=10, trials=16, noise=0.02, peak=0.06):
    """(covered, decades, overlooked) of a sweep over three decades whose scores have a parabola in log alpha.

    Returns whether the interval holds the best alpha, its width, and whether the score of the chosen on the seeds that
    chose it is above its true one.
    """
    truth = rng.uniform(-0.7, 0.7)
    x = rng.uniform(math.log10(0.02), math.log10(20), trials)
    true = 0.6 - peak * (x - truth) ** 2
    scores = true[:, None] + rng.normal(0, 0.05, seeds) + rng.normal(0, noise, (trials, seeds))
    best = int(scores[:, : seeds // 2].mean(axis=1).argmax())
    low, high, *_ = best_range(10**x, scores[:, seeds // 2 :], best, (0.02, 20.0))
    return low <= 10**truth <= high, math.log10(high / low)


def test_the_interval_holds_the_best_alpha_at_its_rate():
    """200 simulated sweeps: at least 95 % of intervals hold it (allowing for the simulation), and they say something."""
    rng = np.random.default_rng(0)
    covered, width = np.array([simulate(rng) for _ in range(200)]).T
    assert covered.sum() >= stats.binom.ppf(0.01, 200, 0.95)
    assert width.mean() < 2.2  # of 3 decades searched
    assert np.mean([simulate(rng, seeds=32)[1] for _ in range(50)]) < width.mean() - 0.3  # more seeds, sharper


def test_the_held_back_score_of_the_best_of_many_is_not_too_good():
    """Twenty equal settings: on the seeds that chose it the best looks better than it is; on the others it does not."""
    rng, found = np.random.default_rng(1), []
    for _ in range(60):
        scores = 0.5 + rng.normal(0, 0.05, (20, 5))
        found.append(recommendations(make(np.geomspace(0.02, 20, 20), scores)).iloc[0])
    chosen_by, held = (np.array([row[name] for row in found]) for name in ("choosing_score", "score"))
    assert chosen_by.mean() > 0.55
    assert held.mean() == pytest.approx(0.5, abs=4 * 0.05 / math.sqrt(3 * 60))


def test_sentences_give_alpha_with_its_length_and_the_verdict_with_its_pairs():
    said = "\n".join(sentences(join(ALPHA, LAMBDA), recommendations(join(ALPHA, LAMBDA))))
    assert "recommended: alpha = 0.5 (95 % interval" in said
    assert "mean response length of 21.0 tokens" in said
    assert "difference to fixed_lambda = 0.5: +0.050 [+0.025, +0.075]" in said
    assert "better than the constant" in said
    assert "3 pairs are too few for a verdict" in said


def write(tables: SweepTables, folder):
    for name, table in zip(("sweep", "space", "importances"), tables, strict=True):
        table.to_csv(folder / f"{name}.csv", index=False)
    return folder


def test_tables_come_back(tmp_path):
    tables = join(ALPHA, LAMBDA)
    again = load_sweep(write(tables, tmp_path))
    pd.testing.assert_frame_equal(recommendations(again), recommendations(tables))


def test_what_is_missing_is_named(tmp_path):
    write(ALPHA, tmp_path)
    ALPHA.runs.drop(columns="half").to_csv(tmp_path / "sweep.csv", index=False)
    with pytest.raises(ValueError, match=r"sweep.csv lacks the column half"):
        load_sweep(tmp_path)
    ALPHA.runs.assign(score=np.nan).to_csv(tmp_path / "sweep.csv", index=False)
    with pytest.raises(ValueError, match="a run has no score"):
        load_sweep(tmp_path)
    (tmp_path / "space.csv").unlink()
    ALPHA.runs.to_csv(tmp_path / "sweep.csv", index=False)
    with pytest.raises(FileNotFoundError, match=r"space.csv"):
        load_sweep(tmp_path)
