"""Out of distribution, like compared with like: what only differs in length or in V is no loss of the critic's."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.worlds import view_of
from tests.vapo_core.probes.test_probe_value_error import Critic
from vapo_core.oracles.truth import Truth
from vapo_core.probes import PROBES, CannotRun, value_transfer
from vapo_core.probes.value_transfer import Judged, compared

RESULTS = 16


def places(number, rng, a, b, critic, exact=False) -> Judged:
    """V of a beta distribution, seen through 16 results in each half."""
    v = rng.beta(a, b, number)
    halves = [v if exact else rng.binomial(RESULTS, v) / RESULTS for _ in range(2)]
    noise = 0 * v if exact else halves[0] * (1 - halves[0]) / (RESULTS - 1)
    label = np.arange(number)
    return Judged(Truth(label, label * 0, np.full(number, 8), critic(v), halves[0], noise), halves[1], label // 2)


def mean_over_draws(name: str, inside, outside, draws: int = 24, **more) -> float:
    found = []
    for draw in range(draws):
        rng = np.random.default_rng(draw)
        found.append(compared(inside(rng, **more), outside(rng, **more))[name])
    return float(np.mean(found))


@pytest.mark.parametrize("exact", [True, False])
def test_noise_in_the_critic_out_of_distribution_alone_is_found(exact):
    """METHODS.md h5a's positive control: V in distribution, V + noise beyond it; the excess is the noise's variance."""
    size = 0.15

    def inside(rng, exact):
        return places(512, rng, 0.6, 1.2, lambda v: v, exact)

    def outside(rng, exact):
        return places(512, rng, 0.6, 1.2, lambda v: v + size * rng.choice([-1, 1], len(v)), exact)

    variance = 0.6 * 1.2 / (1.8**2 * 2.8)  # of the beta distribution
    assert mean_over_draws("excess", inside, outside, exact=exact) == pytest.approx(size**2 / variance, abs=0.02)
    assert mean_over_draws("fvu_inside", inside, outside, exact=exact) == pytest.approx(0, abs=0.01)


def shrunken(v):
    """A critic that keeps half of the distance to 0.3: its error depends on V."""
    return 0.3 + 0.5 * (v - 0.3)


@pytest.mark.parametrize("critic", [shrunken, lambda v: np.full_like(v, 0.1), lambda v: np.full_like(v, 0.5)])
def test_a_split_that_differs_in_v_alone_is_no_worse(critic):
    """METHODS.md h5a's negative control: any pessimist looks good where V is low; the unmatched difference is large."""

    def inside(rng):
        return places(512, rng, 0.6, 1.2, critic)

    def outside(rng):
        return places(512, rng, 0.4, 2.0, critic)

    assert abs(mean_over_draws("excess_unmatched", inside, outside)) > 0.08
    assert mean_over_draws("excess", inside, outside) == pytest.approx(0, abs=0.015)
    assert 0.7 < mean_over_draws("effective", inside, outside) < 0.95


def test_matching_on_the_half_that_errors_are_read_on_would_mislead():
    """Why there are two halves: places whose luck was good would stand beside places that are good. V known exactly to the
    critic, so that the true difference is 0."""

    def outcome(draw: int, halves: bool) -> float:
        rng = np.random.default_rng(draw)
        both = [places(512, rng, *ab, lambda v: v) for ab in ((1, 1), (0.5, 4))]
        first, second = (x if halves else x._replace(other=x.truth.value) for x in both)
        return compared(first, second)["excess"]

    assert np.mean([outcome(draw, False) for draw in range(40)]) < -0.04
    assert np.mean([outcome(draw, True) for draw in range(40)]) == pytest.approx(0, abs=0.02)


def test_length_is_matched_too():
    """A critic that is wrong on long responses, and a split that has more of them."""

    def judged(rng, share: float) -> Judged:
        plain = places(2000, rng, 1, 1, lambda v: v, exact=True)
        long = rng.random(2000) < share
        truth = plain.truth
        wrong = truth.value + 0.2 * long
        return plain._replace(truth=truth._replace(length=np.where(long, 20, 8), critic=wrong))

    rng = np.random.default_rng(0)
    found = compared(judged(rng, 0.2), judged(rng, 0.8))
    assert found["excess_unmatched"] > 0.2
    assert found["excess"] == pytest.approx(0, abs=0.01)
    assert found["bias"] == pytest.approx(0, abs=0.01)


def test_what_is_not_comparable_is_left_out():
    rng = np.random.default_rng(0)
    low, high = (places(200, rng, *ab, lambda v: v, exact=True) for ab in ((1, 400), (400, 1)))
    assert compared(low, high) == {}
    flat = places(200, rng, 1e6, 1e6, lambda v: v)  # V is 1/2 everywhere
    assert compared(flat, flat) == {}


def test_on_text_a_split_of_training_problems_is_compared_like_any_other(cache, monkeypatch):
    view = view_of("lm", cache)
    task = view.world.task
    task.problems |= {"ood_length": task.problems["train"]}
    task.splits = tuple(task.problems)
    monkeypatch.setattr(value_transfer, "PLACES", 96)
    found = {name.removeprefix("value_transfer/"): x for name, x in PROBES["value_transfer"](view).metrics.items()}
    assert found["fvu_ood_length"] - found["fvu_inside_ood_length"] == pytest.approx(found["excess_ood_length"])
    assert 0.02 < found["effective_ood_length"] < 1
    assert abs(found["value_ood_length"] - found["value_inside_ood_length"]) < 0.15
    task.problems["ood_length"] = [replace(p, prompt="a!a:") for p in task.problems["train"]]  # not what is verified
    with pytest.raises(CannotRun, match="no split has places like"):
        PROBES["value_transfer"](view)


def test_held_out_hazards_of_the_walk_have_exact_values(cache):
    view = view_of("walk", cache, dials={"size": 8, "horizon": 12, "novel_hazards": 2})
    view.world.critic = Critic(view.world)
    found = PROBES["value_transfer"](view).metrics
    assert found["value_transfer/excess_ood_hazard"] == pytest.approx(0, abs=1e-9)
    assert found["value_transfer/gap_captured_ood_hazard"] == pytest.approx(1)
    assert found["value_transfer/gap_lost_ood_hazard"] == pytest.approx(0, abs=1e-9)
    view.world.critic = Critic(view.world, torch.zeros_like)
    assert PROBES["value_transfer"](view).metrics["value_transfer/fvu_ood_hazard"] > 1


def test_transfer_needs_a_critic_and_a_split_to_transfer_to(cache):
    with pytest.raises(CannotRun, match="no critic"):
        PROBES["value_transfer"](view_of("walk", cache, "grpo"))
    with pytest.raises(CannotRun, match="no split out of distribution"):
        PROBES["value_transfer"](view_of("walk", cache))
