"""Q and rho against simulation, planted tokens and the formula for lengths."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from tests.support.worlds import view_of
from vapo_core.components.group_sampling import SamplingPlan
from vapo_core.probes import PROBES, gradient_quality
from vapo_core.probes.directions import REDUCTIONS, reduced, summed_gradient
from vapo_core.probes.fresh import Fresh, fresh_batch, whitening
from vapo_core.probes.gradient_quality import predicted_ratio, token_correlation, traces
from vapo_core.types import Batch


class Planted(nn.Module):
    """log pi_t = x_t . theta, so that the score of a token is x_t."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.zeros(size))

    def forward(self, batch):
        return batch.inputs["x"] @ self.theta, torch.zeros(batch.mask.shape)


def planted(rho: float, lengths: np.ndarray, size: int = 12, seed: int = 0) -> Fresh:
    """Token gradients of unit variance and correlation rho within responses, expectation 0, prompts all different."""
    draw = torch.Generator().manual_seed(seed)
    count, tokens = len(lengths), int(lengths.max())
    shared, own = torch.randn(count, 1, size, generator=draw), torch.randn(count, tokens, size, generator=draw)
    mask = torch.arange(tokens) < torch.from_numpy(lengths)[:, None]
    zeros, each = torch.zeros(mask.shape), torch.zeros(count)
    inputs = {"x": rho**0.5 * shared + (1 - rho) ** 0.5 * own}
    batch = Batch(inputs, mask, zeros, zeros, each, each.bool(), torch.arange(count), zeros.long())
    return Fresh(batch, mask.float(), [], each, torch.ones(mask.shape))


def lengths_of(count: int, seed: int = 0) -> np.ndarray:
    """Log-normal, mean about 10 tokens, CV about 0.7."""
    return np.random.default_rng(seed).lognormal(2.1, 0.65, count).astype(int) + 1


@pytest.mark.parametrize("rho", [0.0, 0.1, 0.5])
def test_correlation_of_tokens_is_the_planted_one(rho):
    fresh = planted(rho, lengths_of(300), size=40)
    assert token_correlation(Planted(40), fresh.batch, fresh.advantages) == pytest.approx(rho, abs=0.02)


def test_correlation_reads_advantages_and_takes_the_mean_out(monkeypatch):
    """Advantages of one size and either sign, drawn by token, undo a correlation; a common drift is none. In small parts."""
    monkeypatch.setattr(gradient_quality, "CORRELATED", 100)
    fresh = planted(0.5, lengths_of(100))
    signs = torch.randn(fresh.batch.mask.shape, generator=torch.Generator().manual_seed(1)).sign()
    assert token_correlation(Planted(12), fresh.batch, signs * fresh.advantages) == pytest.approx(0, abs=0.05)
    drift = replace(fresh.batch, inputs={"x": fresh.batch.inputs["x"] + 3})
    assert token_correlation(Planted(12), drift, fresh.advantages) == pytest.approx(0.5, abs=0.06)


def test_formula_has_the_checked_values():
    """R6 at E l = 100, CV^2 = 0.9; 0 where all lengths agree, whatever rho."""
    rng = np.random.default_rng(0)
    spread = np.log(1.9)
    lengths = rng.lognormal(np.log(100) - spread / 2, spread**0.5, 2_000_000)
    for rho, ratio in ((0.0, 0.53), (0.005, 0.81), (0.02, 1.24), (0.1, 1.69)):
        assert np.exp(predicted_ratio(rho, lengths)) == pytest.approx(ratio, abs=0.01)
    assert predicted_ratio(0.3, np.full(9, 7.0)) == pytest.approx(0)
    assert np.isnan(predicted_ratio(-0.9, np.array([1.0, 50.0])))


@pytest.mark.parametrize("rho", [0.0, 0.087, 0.3])
def test_variance_of_planted_gradients_follows_the_formula(rho):
    lengths, found = lengths_of(400, seed=3), []
    for seed in range(5):
        fresh = planted(rho, lengths, seed=seed)
        noise = traces(Planted(12), fresh, fresh.advantages, 1)
        found.append(np.log(noise["token"] / noise["sequence"]))
    assert np.mean(found) == pytest.approx(predicted_ratio(rho, lengths), abs=0.1)


def test_trace_is_stated_at_the_recipes_answers_per_prompt():
    """Answers to a prompt that are all alike: with four the trace is four times as large (R13)."""
    fresh = planted(0.0, np.full(200, 4))
    x = fresh.batch.inputs["x"].view(50, 4, 4, 12)[:, :1].expand(-1, 4, -1, -1).reshape(200, 4, 12)
    alike = fresh._replace(batch=replace(fresh.batch, inputs={"x": x}, group=torch.arange(200) // 4))
    one, four = (traces(Planted(12), alike, alike.advantages, group)["token"] for group in (1, 4))
    assert four == pytest.approx(4 * one, rel=0.01)


def test_quality_is_that_of_simulated_batches(cache):
    """Q from a thousand batches of one optimiser step's size, with grad J known: both reductions."""
    view = view_of("walk", cache, "ppo", numbers={"responses_per_step": 64, "mini_batches": 2})
    metrics = PROBES["gradient_quality"](view).metrics
    white = whitening(view.recipe, fresh_batch(view, view.recipe, 4096, "test/whitening"))
    single = replace(view.recipe, group_sampling=SamplingPlan(32, 1))
    truth = view.world.exact_gradient(view.pool)
    rows = {name: [] for name in REDUCTIONS}
    for number in range(600):
        fresh = fresh_batch(view, single, 32, "test", number)
        for name, found in rows.items():
            weights = reduced(name, white(fresh), fresh.batch.mask)
            found.append(summed_gradient(view.world.policy, fresh.batch, weights))
    for name, found in rows.items():
        g = torch.stack(found)
        simulated = float((g @ truth).mean() ** 2 / (truth.square().sum() * g.square().sum(1).mean()))
        assert metrics[f"gradient_quality/quality_{name}"] == pytest.approx(simulated, rel=0.15)
    assert metrics["gradient_quality/true_square"] == pytest.approx(float(truth.square().sum()))


def test_noise_that_comes_out_below_zero_stops_no_run(cache, monkeypatch):
    """An unbiased trace may be negative where hardly any noise is left: it stands, and what divides by it is left out."""
    view = view_of("walk", cache, "ppo", numbers={"responses_per_step": 64, "mini_batches": 2})
    usual = PROBES["gradient_quality"](view).metrics
    monkeypatch.setattr(gradient_quality, "traces", lambda *_: {"token": -1e-12, "sequence": 1.0})
    metrics = PROBES["gradient_quality"](view).metrics
    assert "gradient_quality/log_noise_ratio" in usual
    assert set(usual) - set(metrics) == {"gradient_quality/log_noise_ratio"}
    monkeypatch.setattr(gradient_quality, "traces", lambda *_: {"token": -1e9, "sequence": 1.0})
    metrics = PROBES["gradient_quality"](view).metrics
    assert metrics["gradient_quality/trace_token"] == -1e9
    assert metrics["gradient_quality/square_token"] == usual["gradient_quality/square_token"]
    lost = {name for name in set(usual) - set(metrics) if name.endswith("token")}
    divided = {f"gradient_quality/{name}_token" for name in ("useful", "quality")}
    assert lost == divided & set(usual)
    assert "gradient_quality/quality_token" in lost
