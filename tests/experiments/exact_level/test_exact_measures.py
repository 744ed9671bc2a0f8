"""Measurements of the exact level against the oracles they are built on, and the controls that METHODS.md names."""

from dataclasses import replace

import numpy as np
import pytest

from experiments.exact_level import bias, blame, horizon, reductions, rules, sharing, updates
from experiments.exact_level.curves import curve_of, lambda_curve
from experiments.exact_level.family import dials_at, member
from experiments.exact_level.plans import Bias, Blame, Error, Horizon, Reductions, Rules, Sharing, Updates
from vapo_core.oracles.batches import plain_token_mean, simulated
from vapo_core.oracles.instances import InstanceDials
from vapo_core.oracles.tabular import adaptive, by_length, constant_lambda, independent_lambda
from vapo_core.probes.credit import blame_of

EXACT = Error(kind="none", size=0.0)


@pytest.mark.parametrize("growth", ["decisions", "filler", "slow"])
def test_a_grid_of_lambdas_is_each_lambda_by_itself(growth):
    """Four numbers of every estimator, noise drawn afresh included."""
    drawn = member(Bias(measure="bias", growth=growth), 64, 3)
    lambdas = np.array([0.0, 0.4, 0.9, 1.0])
    got = lambda_curve(drawn.mdp, drawn.critic(), lambdas, 0.2)
    want = curve_of([constant_lambda(drawn.mdp, drawn.critic(), x, 0.2) for x in lambdas], drawn.mdp.gradient)
    for one, other in zip(got, want, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)


def test_bias_with_shared_logits_by_enumeration():
    """Every response of three tokens, score times advantage added up over positions by hand; own logits as `bias` has them."""
    from vapo_core.oracles.responses import listed

    drawn = member(Sharing(measure="sharing"), 64, 0)
    one = reductions.tied(member(Bias(measure="bias", dials=InstanceDials(horizon=3), lengths=(3,)), 3, 1).mdp)
    error = np.random.default_rng(0).normal(size=one.shape[:2]) / 10
    every, chance = listed(one)
    critic = one.values.copy()
    critic[:-1] += error
    got = [reductions.response_gradients(one, every, v, lam)[0] for v, lam in ((critic, 0.5), (one.values, 1.0))]
    biased, true = (chance @ whole for whole in got)
    np.testing.assert_allclose(true, one.gradient.sum(0).ravel(), atol=1e-12)
    want = np.linalg.norm(biased - true) / np.linalg.norm(true)
    assert sharing.bias(one, error, 0.5, True) == pytest.approx(want)
    assert sharing.bias(one, error, 1.0, True) == pytest.approx(0, abs=1e-12)
    curve = lambda_curve(drawn.mdp, drawn.critic(), np.array([0.95]))
    assert sharing.bias(drawn.mdp, drawn.error, 0.95, False) == pytest.approx(curve.bias[0])


def test_fvu_of_a_constant_critic_is_1():
    mdp = member(Sharing(measure="sharing"), 64, 0).mdp
    values, weight = mdp.values[:-1], mdp.occupancy / mdp.occupancy.sum()
    assert sharing.fvu(mdp, (weight * values).sum() - values) == pytest.approx(1)
    assert sharing.fvu(mdp, 2 * ((weight * values).sum() - values)) == pytest.approx(4)


def test_families_grow_as_they_say():
    more, pad, slow = (member(Bias(measure="bias", growth=g), 64, 0) for g in ("decisions", "filler", "slow"))
    assert more.mdp.shape[0] == slow.mdp.shape[0] == 64
    assert (more.stride, pad.stride, pad.mdp.shape[0]) == (1, 4, 61)
    decisions = (pad.mdp.policy[:, 0].max(1) < 1).sum()
    assert decisions == 16
    forced = pad.mdp.policy[1, 0].tolist()
    assert forced == [1.0, 0.0, 0.0]
    assert np.ptp(pad.error[1:5], axis=0).max() == 0.0  # an error persists from filler to the decision it leads to
    assert np.ptp(pad.error[4:6], axis=0).max() > 0.0
    stays = (slow.mdp.next[:, :4] == np.arange(4)[:, None]).mean()
    assert stays > 0.6 > (more.mdp.next[:, :4] == np.arange(4)[:, None]).mean()


def test_chances_per_response_stay_along_length():
    plan = Bias(measure="bias", variable=True)
    short, long = (dials_at(plan, length) for length in (16, 256))
    assert short.fatal * 16 == pytest.approx(long.fatal * 256)
    assert long.horizon == 1024
    lengths = [member(plan, 64, seed).mdp.length_probabilities @ np.arange(257) for seed in range(4)]
    assert np.mean(lengths) == pytest.approx(64, rel=0.1)


@pytest.mark.parametrize("growth", ["filler", "slow"])
def test_what_cannot_grow_is_refused(growth):
    with pytest.raises(ValueError, match=r"below dials\.horizon"):
        Bias(measure="bias", growth=growth, lengths=(8,))
    with pytest.raises(ValueError, match="stop early"):
        Bias(measure="bias", growth=growth, variable=True)


def shown(table, **where):
    """Rows of a table of columns."""
    kept = np.all([np.isclose(table[name], value) for name, value in where.items()], axis=0)
    return {name: column[kept] for name, column in table.items()}


def test_bias_is_linear_in_the_error_and_gone_at_lambda_one():
    """h1b's controls: a state error at lambda 0.5 biases, at 1 it does not; twice the error, twice the bias."""
    table = bias.measure(Bias(measure="bias", lengths=(16,)), 1).arrays["bias"]
    at = {size: shown(table, size=size, **{"lambda": 0.5})["bias"][0] for size in (0.0, 0.05, 0.1, 0.2)}
    assert at[0.0] < 1e-9
    assert at[0.05] > 0.05
    assert [at[0.1] / at[0.05], at[0.2] / at[0.05]] == pytest.approx([2, 4])
    assert shown(table, **{"lambda": 1.0})["bias"].max() < 1e-9


@pytest.mark.parametrize(
    "error", [Error(kind="position"), Error(kind="constant"), Error(kind="none", size=0, noise=0.1)]
)
def test_inert_errors_at_fixed_length(error):
    """Of position alone, constant, or drawn afresh: no bias, and no spread over the situations of a position."""
    found = bias.measure(Bias(measure="bias", lengths=(16,), error=error), 1)
    assert found.arrays["bias"]["bias"].max() < 1e-9
    assert found.metrics["exact/spread"] < 1e-9
    varied = bias.measure(Bias(measure="bias", lengths=(16,), error=error, variable=True), 1).arrays["bias"]
    assert (shown(varied, size=0.2, **{"lambda": 0.5})["bias"][0] > 0.01) == (error.kind != "none")


def test_fresh_noise_is_variance_in_its_square():
    table = bias.measure(Bias(measure="bias", lengths=(16,), error=Error(kind="none", size=0, noise=0.1)), 1).arrays[
        "bias"
    ]
    noise = [shown(table, size=size, **{"lambda": 0.9})["noise"][0] for size in (0.0, 0.1, 0.2)]
    assert (noise[2] - noise[0]) / (noise[1] - noise[0]) == pytest.approx(4)
    mdp = member(Bias(measure="bias", lengths=(16,), error=EXACT), 16, 1).mdp
    at_a_tenth = constant_lambda(mdp, mdp.values, 0.9, 0.1).variance() / (mdp.gradient**2).sum()
    assert noise[1] == pytest.approx(at_a_tenth)


def test_an_exact_critic_wants_the_shortest_horizon_and_filler_a_longer_one():
    """h2a's controls on real curves: h* = 1 under exact values; filler stretches h* with length."""

    def best(growth, error):
        plan = Horizon(measure="horizon", lengths=(64, 1024), growth=growth, error=error, observed=8)
        table = horizon.measure(plan, 0).arrays["horizon"]
        found = []
        for length in np.unique(table["length"]):
            rows = shown(table, length=length)
            quality = rows["along"] ** 2 / (rows["power"] + np.exp(rows["log_noise"]) / 512)
            found.append(rows["h"][quality.argmax()])
        return found

    assert best("decisions", EXACT) == [1.0, 1.0]
    short, long = best("filler", Error())
    assert 10 < long / short < 30


def test_observed_squares_show_the_size_of_an_independent_error():
    """About 2 sigma^2 per token beyond Var(R)."""
    table = horizon.measure(Horizon(measure="horizon", lengths=(1024,), sizes=(0.1, 0.3)), 0).arrays["observed"]
    assert np.exp(table["log_excess"]) == pytest.approx([0.02, 0.18], rel=0.1)


def test_the_others_mean_length_of_one_other_is_an_independent_length():
    """With two answers it is the oracle's mixture, prompt by prompt; with an exact critic it has no bias (R11)."""
    plan = Rules(measure="rules", lengths=(8,))
    drawn = member(plan, 8, 0)
    one = replace(drawn.mdp, start=np.eye(drawn.mdp.shape[1])[0])
    for critic in (one.values, drawn.critic()):
        want = independent_lambda(one, critic, adaptive(0.5, one.shape[0]), noise=0.1)
        (got,) = rules.others_mean(one, critic, [0.5], 2, noise=0.1)
        # the lengths are gathered in 24 parts
        np.testing.assert_allclose(got.mean, want.mean, atol=2e-3 * np.abs(want.mean).max())
        assert got.square == pytest.approx(want.square, rel=5e-3)
    (free,) = rules.others_mean(drawn.mdp, drawn.mdp.values, [0.5], 16)
    assert free.bias(drawn.mdp.gradient) < 1e-9


def test_mean_length_distribution():
    weight, length = rules.mean_length_of(np.array([0.0, 0.5, 0.0, 0.5]), 15)
    assert weight.sum() == pytest.approx(1)
    assert weight @ length == pytest.approx(2)
    assert weight @ length**2 - 4 == pytest.approx(1 / 15, rel=0.05)


def test_reductions_agree_with_simulated_batches():
    """Token mean's quality from the delta method, the sequence mean's from exact moments: 1,500 batches of 64."""
    plan = Reductions(measure="reductions", lengths=(8,), lambdas=(1.0,), batch=64, error=EXACT)
    found = {k: float(v[0]) for k, v in reductions.measure(plan, 0).arrays["reductions"].items()}
    mdp = member(plan, 8, 0).mdp
    ones = np.ones(mdp.shape[0] + 1)
    token = simulated(mdp, plain_token_mean(mdp.values, ones), 64, 1500, np.random.default_rng(0))
    weight = np.divide(1.0, np.arange(len(ones)), where=np.arange(len(ones)) > 0, out=np.zeros(len(ones)))
    sequence = by_length(mdp, mdp.values, ones, weight).quality(mdp.gradient, 64)
    assert found["log_quality"] == pytest.approx(np.log(token.quality(mdp.gradient) / sequence), abs=0.03)
    assert found["cos_token"] == pytest.approx(1, abs=1e-3)
    assert found["cos_sequence"] < 0.95


def test_shared_logits_give_the_variance_of_whole_responses():
    """Simulated per-response gradients average to the exact one, summed over positions."""
    plan = Reductions(measure="reductions", shared=True)
    mdp = reductions.tied(member(plan, 8, 0).mdp)
    from vapo_core.oracles.responses import sampled

    responses = sampled(mdp, 60_000, np.random.default_rng(1))
    whole, own, length = reductions.response_gradients(mdp, responses, mdp.values, 1.0)
    error = whole.std(0) / np.sqrt(len(length))
    assert (np.abs(whole.mean(0) - mdp.gradient.sum(0).ravel()) < 5 * error + 1e-12).all()
    exact = constant_lambda(mdp, mdp.values, 1.0).square
    assert own.mean() == pytest.approx(exact, rel=0.03)


def blame_table(**fields):
    plan = Blame.model_validate({"measure": "blame", "lengths": (256, 1024), **fields})
    return blame.measure(plan, 0).arrays["blame"]


def test_blame_is_what_the_probe_says_it_is():
    rng = np.random.default_rng(0)
    advantage, place = rng.normal(size=(6, 40)).round(1), rng.integers(0, 5, 6)
    got = blame.blamed(advantage, place, 8)
    inside = [(np.arange(40) // 8) == p for p in place]
    want = np.mean([blame_of(a, i, 8 * p + 7) for a, i, p in zip(advantage, inside, place, strict=True)], axis=0)
    assert [np.exp(got["log_share"]), got["precision"], got["auroc"]] == pytest.approx(list(want[:3]))


def test_blame_controls():
    """h7a's: under true values lambda = 0 puts nearly all on the error; a blind critic blames early errors below chance."""
    exact = shown(blame_table(), alpha=0.0, **{"lambda": 0.0})
    assert exact["precision"].min() > 0.95
    assert np.exp(exact["log_share"]).min() > 0.5
    blind = shown(blame_table(blind=True), alpha=0.0, **{"lambda": 0.99})
    assert blind["auroc_early"].max() < 0.25
    assert blind["precision"].max() == 0.0


def test_blame_without_other_noise_is_the_closed_form():
    """One error alone: the step holds (1 - lambda^w) / (1 - lambda^(j+1))."""
    delta, place = np.zeros((3, 64)), np.array([1, 3, 7])
    delta[np.arange(3), 8 * place + 7] = -0.4
    lam = 0.9
    got = blame.blamed(blame.advantages(delta, lam), place, 8)["log_share"]
    assert np.exp(got) == pytest.approx(np.mean((1 - lam**8) / (1 - lam ** (8 * place + 8))))


def test_a_late_critic_shows_the_error_late():
    table = shown(blame_table(delay=64), alpha=0.0, **{"lambda": 0.95})
    assert table["precision"].max() == 0.0
    assert np.exp(table["log_delay"]) - 1 == pytest.approx([64, 64], rel=0.5)


def small_updates(**fields):
    base = {"measure": "updates", "lengths": (4,), "variable": True, "spare": 2.0, "updates": 3, "error": EXACT}
    return Updates.model_validate({**base, **fields})


def problem_of(plan):
    drawn = member(plan, plan.lengths[0], 0)
    return updates.EnumeratedProblem.of(drawn.mdp, plan), np.log(drawn.mdp.policy), drawn


def test_the_ascent_direction_is_the_slope_of_the_objective():
    """Finite differences of the clipped surrogate plus the positive-example log-likelihood, away from the old policy."""
    plan = small_updates()
    problem, logits, drawn = problem_of(plan)
    batch = problem.batch(logits, drawn.error)
    rng = np.random.default_rng(0)
    there, way = logits + 0.3 * rng.normal(size=logits.shape), rng.normal(size=logits.shape)

    def objective(at):
        told = problem.compare(batch, logits, at)
        return told["predicted"] / (batch.scale * float(batch.chance @ problem.responses.length))

    slope = (objective(there + 1e-5 * way) - objective(there - 1e-5 * way)) / 2e-5
    assert float((problem.gradient(batch, there) * way).sum()) == pytest.approx(slope, rel=1e-4)


def test_a_tiny_exact_step_does_what_it_promises():
    """h6a's negative control: exact values, lambda 1, no positive-example loss, a step far inside the clip."""
    plan = small_updates(lam=1.0, mu=0.0, move=1e-4, inner=1)
    found = updates.measure(plan, 0)
    table = found.arrays["updates"]
    assert table["delta_j"] == pytest.approx(table["predicted"], rel=5e-3)
    assert table["delta_j"] == pytest.approx(table["surrogate"], rel=5e-3)
    assert found.metrics["exact/fell"] == 0.0
    assert (np.abs(table["shift"]) <= table["bound"] + 1e-12).all()


def test_updates_against_the_critics_error_can_fall():
    """h6a's positive control: a critic of large error and the short horizon of lambda = 0, all responses of one length."""
    plan = small_updates(variable=False, lam=0.0, mu=0.0, error=Error(kind="state", size=1.0), updates=20)
    fell = [updates.measure(plan, seed).metrics["exact/fell"] for seed in range(3)]
    assert max(fell) > 0.1


def test_exact_steps_and_shares_of_falls_are_counted():
    table = {"delta_j": np.array([0.1, -0.1, 1e-12, -0.2]), "j": np.array([0.5, 0.6, 0.96, 0.9]),
             "predicted": np.array([0.1, 0.1, 0.1, 0.1])}  # fmt: skip
    told = updates._summary(table)
    assert (told["fell"], told["fell_early"], told["fell_late"]) == (0.5, 0.5, 0.5)
    assert told["slope"] == pytest.approx(-0.5)
