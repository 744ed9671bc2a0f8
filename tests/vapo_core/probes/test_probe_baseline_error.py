"""The mean of other answers as a value: its error by hand, in limits, and against exact values of the walk."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.worlds import view_of
from tests.vapo_core.probes.test_probe_value_error import Critic, flat
from vapo_core.oracles.truth import Truth, value_variance
from vapo_core.probes import PROBES, CannotRun, baseline_error, value_error
from vapo_core.probes.value_error import Places


def read(view) -> dict[str, float]:
    return {name.removeprefix("baseline_error/"): x for name, x in PROBES["baseline_error"](view).metrics.items()}


def by_hand() -> Places:
    """Two answers of two tokens: V is 0.5, 1.0 along the first and 0.5, 0.0 along the second, known exactly."""
    row, time = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    value = np.array([0.5, 1.0, 0.5, 0.0])
    truth = Truth(row, time, np.full(4, 2), np.array([0.5, 0.9, 0.5, 0.1]), value, np.zeros(4))
    return Places(truth, np.array(["a", "a", "b", "b"]), None, [])


def test_numbers_by_hand():
    """Var(V) = 1/6. Means of the others 2/3 and 1/3: errors 1/36, 4/36, 1/36, 4/36; s^2 / 3 = 1/9 is noise."""
    results = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    found = baseline_error._of_split(by_hand(), results)
    error = (1 / 36 + 4 / 36 + 1 / 36 + 4 / 36) / 4  # 2/3 against 0.5 and 1; 1/3 against 0.5 and 0
    assert found["fvu_group_mean"] == pytest.approx(error * 6)
    assert found["fvu_prompt"] == pytest.approx((error - 1 / 9) * 6)
    assert found["fvu"] == pytest.approx(0.005 * 6)
    assert found["behind"] == pytest.approx(0.03 - error * 6)
    assert found["fvu_position"] == pytest.approx((0 + 0.5) / 2 * 6)
    assert {"behind_low", "behind_high"} <= set(found)


def test_by_quarter_shares_one_variance():
    places = by_hand()
    mean = places.truth._replace(critic=np.full(4, 0.5))
    found = baseline_error._by_quarter(places.truth, mean)
    assert found["baseline_error/fvu_group_mean_q1"] == pytest.approx(0.0)
    assert found["baseline_error/fvu_group_mean_q3"] == pytest.approx(0.25 * 6)


def test_continuation_noise_is_taken_off_and_the_means_own_noise_stays():
    """V uniform per prompt and constant along it: the mean of 15 others errs by E[V (1 - V)] / 15 alone, read off 16 results."""
    rng, prompts = np.random.default_rng(0), 60_000
    v = rng.uniform(0.1, 0.9, prompts)
    returns = rng.random((prompts, 16)) < v[:, None]
    number = np.arange(prompts)
    truth = Truth(
        number, np.zeros(prompts, int), np.ones(prompts, int), v, returns.mean(1), returns.var(1, ddof=1) / 16
    )
    results = (rng.random((prompts, 15)) < v[:, None]).astype(float)
    mean = truth._replace(critic=results.mean(1))
    noise = float((v * (1 - v)).mean()) / 15
    assert value_variance(truth) == pytest.approx(v.var(), rel=0.03)
    assert baseline_error.squared_error(mean) == pytest.approx(noise, rel=0.03)
    assert baseline_error.squared_error(mean) - results.var(1, ddof=1).mean() / 15 == pytest.approx(0, abs=3e-4)


def test_the_walks_exact_values_say_the_same(cache):
    """Mean over draws of the others = E[(V(s_0) - V)^2 + V(s_0)(1 - V(s_0)) / (G - 1)] / Var(V), from exact values alone."""
    view = view_of("walk", cache)
    places = value_error.truth_of(view, "held_out", "baseline_error", baseline_error.RESPONSES, baseline_error.PLACES)
    truth, others = places.truth, view.settings.group_size - 1
    start = view.world.exact_at(places.rollout, truth.row, np.zeros_like(truth.time))
    expected = float(np.mean((start - truth.value) ** 2 + start * (1 - start) / others)) / value_variance(truth)
    between = float(np.mean((start - truth.value) ** 2)) / value_variance(truth)
    draws = [baseline_error._of_split(places, baseline_error.other_results(view, places, n)) for n in range(2, 22)]
    for name, exact in (("fvu_group_mean", expected), ("fvu_prompt", between)):
        found = np.array([draw[name] for draw in draws])
        assert found.mean() == pytest.approx(exact, abs=4 * found.std(ddof=1) / np.sqrt(len(draws)))
    assert expected - between > 0.1, "the noise of the mean is worth seeing"


def test_an_exact_critic_leads_by_all_that_the_mean_leaves(cache):
    view = view_of("walk", cache)
    view.world.critic = Critic(view.world)
    found = read(view)
    for split in ("held_out", "train"):
        assert found[f"fvu_{split}"] == pytest.approx(0, abs=1e-6)
        assert found[f"behind_{split}"] == pytest.approx(-found[f"fvu_group_mean_{split}"], abs=1e-6)
        assert found[f"behind_high_{split}"] < 0
    view.world.critic = Critic(view.world, lambda v: 3 * v)
    assert read(view)["behind_held_out"] > 0


def test_a_larger_group_leaves_less_noise(cache):
    """15 other answers against 3, as the recipe groups them: the mean errs less."""
    few, many = (read(view_of("walk", cache, numbers={"group_size": size})) for size in (4, 16))
    assert many["fvu_group_mean_held_out"] < few["fvu_group_mean_held_out"] - 0.05


def test_what_cannot_be_compared_is_refused(cache, monkeypatch):
    view = view_of("walk", cache)
    with pytest.raises(CannotRun, match="fewer than three"):
        read(replace(view, settings=view.settings.model_copy(update={"group_size": 2})))
    with pytest.raises(CannotRun, match="no critic"):
        read(view_of("walk", cache, "grpo"))
    monkeypatch.setattr(value_error, "sampled_truth", lambda *given: flat(128))
    with pytest.raises(CannotRun, match="too near 0"):
        read(view)
