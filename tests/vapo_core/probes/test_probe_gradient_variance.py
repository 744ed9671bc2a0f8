"""What is read off the scatter of per-response gradients."""

import numpy as np
import pytest
import torch
from torch import nn

from experiments.benchmarks.per_response import random_batch
from tests.support.worlds import view_of
from vapo_core.functional.per_response import layer_gradients, per_response_gradients
from vapo_core.models.base_model import build_model, character_tokenizer
from vapo_core.models.policy import LanguagePolicy
from vapo_core.probes import PROBES, CannotRun, gradient_variance
from vapo_core.probes.expected_gradients import (
    Groups,
    by_prompt,
    clear_of_zero,
    cosine,
    noise_scale,
    product,
    trace_and_square,
    within_prompts,
)
from vapo_core.probes.fresh import fresh_batch, whitening
from vapo_core.probes.gradient_variance import contributions, distances, responses_for, verl_proxy
from vapo_core.types import Batch


def as_sampled(inner: np.ndarray, answers: int) -> Groups:
    """S stated at the answers per prompt that were sampled."""
    return Groups(answers, np.zeros(len(inner)), answers)


def test_contributions_have_the_batch_gradients_as_their_means(cache):
    """Under both reductions, at responses of unequal length."""
    view = view_of("walk", cache)
    batch = Batch.ungraded(view.world.engine.generate(view.pool[:8], 4, 1))
    advantages = torch.randn(batch.mask.shape, generator=torch.Generator().manual_seed(0)).where(batch.mask, 0.0)
    rows = per_response_gradients(view.world.policy, batch, -advantages).numpy()
    parameters = list(view.world.policy.parameters())

    def whole(reduce) -> np.ndarray:
        logp, _ = view.world.policy(batch)
        found = torch.autograd.grad(reduce(-(advantages * logp)), parameters)
        return torch.cat([g.reshape(-1) for g in found]).double().numpy()

    found = contributions(batch.lengths.double().numpy())
    assert batch.lengths.min() < batch.lengths.max()
    np.testing.assert_allclose((found["token"] @ rows).mean(0), whole(lambda x: x.sum() / batch.mask.sum()), atol=1e-5)
    np.testing.assert_allclose(
        (found["sequence"] @ rows).mean(0), whole(lambda x: (x.sum(1) / batch.lengths).mean()), atol=1e-5
    )


def test_trace_and_square_are_unbiased_where_the_plain_ones_are_not():
    """METHODS.md section 3: with |G|^2 = 1, tr S = 10,000 and B = 64, the plain ratio tends to B."""
    rng = np.random.default_rng(1)
    dimensions, batch = 400, 64
    direction = np.zeros(dimensions)
    direction[0] = 1.0
    found, plain = [], []
    for _ in range(1500):
        rows = direction + rng.normal(0, np.sqrt(10_000 / dimensions), size=(batch, dimensions))
        found.append(trace_and_square(rows @ rows.T, as_sampled(rows @ rows.T, 1)))
        plain.append(found[-1][0] / float((rows.mean(0) ** 2).sum()))
    trace, square = np.mean(found, axis=0)
    assert trace == pytest.approx(10_000, rel=0.01)
    assert square == pytest.approx(1.0, abs=0.8)  # se about 0.3
    assert np.mean(plain) == pytest.approx(64, rel=0.05)


def test_clustered_prompts_raise_the_noise_by_their_intraclass_correlation():
    """R13: relative to G = 1 the trace is 1 + (G - 1) ICC."""
    rng = np.random.default_rng(2)
    prompts, answers = 1000, 4
    between = rng.normal(0, np.sqrt(0.25), size=(prompts, 1, 5))
    rows = (between + rng.normal(0, np.sqrt(0.75), size=(prompts, answers, 5))).reshape(-1, 5)
    mean = by_prompt(np.repeat(np.arange(prompts), answers)) @ rows
    assert trace_and_square(mean @ mean.T, as_sampled(mean @ mean.T, answers))[0] == pytest.approx(
        5 * (1 + 3 * 0.25), rel=0.06
    )


def test_identical_responses_have_no_variance():
    rows = np.tile(np.arange(6.0), (8, 1))
    inner = rows @ rows.T
    trace, square = trace_and_square(inner, as_sampled(inner, 1))
    assert trace == pytest.approx(0, abs=1e-12)
    assert square == pytest.approx(55.0)
    assert noise_scale(inner, as_sampled(inner, 1)) == pytest.approx((0, 0, 0), abs=1e-12)
    np.testing.assert_allclose(distances(inner), 0, atol=1e-12)


def test_distances_from_the_mean_row():
    rows = np.random.default_rng(0).normal(size=(7, 5))
    np.testing.assert_allclose(distances(rows @ rows.T), ((rows - rows.mean(0)) ** 2).sum(1))


@pytest.mark.parametrize(
    ("answers", "true", "heavy", "least"),
    [(1, 5, False, 0.93), (4, 5, False, 0.93), (1, 40, False, 0.93), (1, 5, True, 0.8)],
)
def test_a_planted_noise_scale_is_covered_by_its_interval(answers, true, heavy, least):
    """95 % claimed, also where it is barely resolvable; less where few responses carry most of the noise."""
    rng = np.random.default_rng(3)
    prompts, sizes, draws = 32, np.linspace(1, 3, 30), 500
    sizes *= np.sqrt(true / (sizes**2).sum())  # |G| = 1, tr S = `true`
    direction = np.eye(30)[0]
    covered, resolved = 0, 0
    for _ in range(draws):
        noise = rng.normal(size=(prompts * answers, 30))
        if heavy:
            noise *= rng.exponential(1, size=(len(noise), 1)) / np.sqrt(2)  # E x^2 = 2
        rows = by_prompt(np.repeat(np.arange(prompts), answers)) @ (direction + sizes * noise)
        found = noise_scale(rows @ rows.T, as_sampled(rows @ rows.T, answers))
        if found:
            resolved += 1
            covered += found.low <= true <= found.high
            assert found.low <= found.scale <= found.high
    assert resolved > 100
    assert (covered + draws - resolved) / draws > least  # where it is not resolvable every scale is left possible


def test_noise_around_zero_is_not_resolvable():
    """No number rather than a wild one; the plain ratio would have said about B."""
    rng = np.random.default_rng(4)
    resolved = 0
    for _ in range(300):
        rows = rng.normal(size=(64, 50))
        resolved += noise_scale(rows @ rows.T, as_sampled(rows @ rows.T, 1)) is not None
        assert (noise_scale(rows @ rows.T, as_sampled(rows @ rows.T, 1)) is not None) == clear_of_zero(rows @ rows.T)
    assert resolved / 300 < 0.06


def test_cosines_lose_their_noise_where_plain_ones_do_not():
    """METHODS.md section 3: noise scale 1000, B = 500, true cosine 0.6: plain 0.20 from two batches, 0.87 from one."""
    rng = np.random.default_rng(5)
    a, b = np.eye(300)[0], 0.6 * np.eye(300)[0] + 0.8 * np.eye(300)[1]
    sd, batch = np.sqrt(1000 / 300), 500
    products, apart, together = [], [], []
    for _ in range(100):
        shared, other = sd * rng.normal(size=(2, batch, 300))
        rows_a, rows_b = a + shared, b + 0.9 * shared + np.sqrt(1 - 0.81) * other
        products.append([product(x @ y.T) for x, y in ((rows_a, rows_a), (rows_b, rows_b), (rows_a, rows_b))])
        fresh = (b + sd * rng.normal(size=(batch, 300))).mean(0)
        mean = rows_a.mean(0)
        apart.append(mean @ fresh / np.linalg.norm(mean) / np.linalg.norm(fresh))
        together.append(mean @ rows_b.mean(0) / np.linalg.norm(mean) / np.linalg.norm(rows_b.mean(0)))
    aa, bb, ab = np.mean(products, axis=0)
    assert ab / np.sqrt(aa * bb) == pytest.approx(0.6, abs=0.06)
    assert np.mean(apart) == pytest.approx(0.20, abs=0.03)
    assert np.mean(together) > 0.75


def test_a_cosine_needs_both_denominators():
    rng = np.random.default_rng(6)
    clear, noise = 1 + 0.1 * rng.normal(size=(20, 10)), rng.normal(size=(20, 10))
    assert cosine(clear @ clear.T, clear @ clear.T, clear @ clear.T) == pytest.approx(1.0)
    assert cosine(clear @ clear.T, noise @ noise.T, clear @ noise.T) is None


def proxy_by_formula(logits: torch.Tensor, chosen: torch.Tensor, weights: torch.Tensor) -> np.ndarray:
    """sum_t w^2 (1 - 2 pi_t + sum_v pi_v^2) from tempered logits [B, T, V]."""
    pi = logits.softmax(-1)
    bracket = 1 - 2 * pi.gather(2, chosen[:, :, None]).squeeze(2) + pi.square().sum(2)
    return (weights.square() * bracket).sum(1).detach().double().numpy()


def test_verl_proxy_is_its_formula_on_text():
    policy = LanguagePolicy(build_model("tiny", "llama", character_tokenizer("abcdefgh"), 0).eval(), temperature=0.7)
    batch = random_batch(6, 12, 11)
    weights = torch.randn(batch.mask.shape, generator=torch.Generator().manual_seed(0))
    layers = layer_gradients(policy, batch, weights)
    ids, attention = batch.inputs["ids"], batch.inputs["attention"]
    place = (attention.cumsum(1) - 1).clamp(min=0)
    logits = policy.model(input_ids=ids, attention_mask=attention, position_ids=place).logits[:, -13:-1] / 0.7
    expected = proxy_by_formula(logits, ids[:, -12:], weights.where(batch.mask, 0.0))
    np.testing.assert_allclose(verl_proxy(layers, 0.7), expected, rtol=1e-4)


def test_verl_proxy_is_its_formula_in_the_walk(cache):
    """Where the base policy's offset joins the logits after the last layer."""
    view = view_of("walk", cache)
    batch = Batch.ungraded(view.world.engine.generate(view.pool[:8], 2, 1))
    weights = torch.randn(batch.mask.shape, generator=torch.Generator().manual_seed(0)).where(batch.mask, 0.0)
    state, decision = (batch.inputs[name].flatten() for name in ("state", "decision"))
    logits = view.world.policy.log_probs(state, decision).view(*batch.mask.shape, 3)
    found = verl_proxy(layer_gradients(view.world.policy, batch, weights), 1.0)
    np.testing.assert_allclose(found, proxy_by_formula(logits, batch.inputs["action"], weights), rtol=1e-4)


def test_verl_proxy_is_the_truth_where_logits_are_the_parameters():
    """A table of logits, every token in a state of its own: the proxy is the squared gradient norm, to rounding."""

    class Table(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.logits = nn.Embedding(12, 5)

        def forward(self, batch):
            rows = self.logits(batch.inputs["state"]).log_softmax(-1)
            return rows.gather(2, batch.inputs["action"][:, :, None]).squeeze(2), torch.zeros(batch.mask.shape)

    torch.manual_seed(0)
    zeros, mask = torch.zeros(3, 4), torch.ones(3, 4, dtype=torch.bool)
    inputs = {"state": torch.arange(12).view(3, 4), "action": torch.randint(5, (3, 4))}
    batch = Batch(inputs, mask, zeros, zeros, zeros[:, 0], mask[:, 0], torch.arange(3), inputs["state"])
    policy, weights = Table(), torch.randn(3, 4)
    truth = per_response_gradients(policy, batch, weights).square().sum(1).double().numpy()
    np.testing.assert_allclose(verl_proxy(layer_gradients(policy, batch, weights), 1.0), truth, rtol=1e-5)


def test_expected_gradients_of_the_walk_follow_theory(cache, monkeypatch):
    """R5, R7: at lambda 1 the token mean and the positive-example loss point along grad J."""
    monkeypatch.setattr(gradient_variance, "MOST", 1024)
    metrics = PROBES["gradient_variance"](view_of("walk", cache, "ppo", numbers={"fixed_lambda": 1.0})).metrics
    assert metrics["gradient_variance/cosine_token"] == pytest.approx(1, abs=0.05)
    assert metrics["gradient_variance/cosine_positive_lm"] == pytest.approx(1, abs=0.1)
    low, scale, high = (metrics[f"gradient_variance/noise_scale{end}_token"] for end in ("_low", "", "_high"))
    assert low < scale < high


def test_frozen_whitening_is_the_recipes_own_on_the_batch_it_came_from(cache):
    view = view_of("walk", cache)
    fresh = fresh_batch(view, view.recipe, 32, "test")
    expected = view.recipe.whiten(fresh.advantages, fresh.batch.mask)
    torch.testing.assert_close(whitening(view.recipe, fresh)(fresh), expected, atol=1e-5, rtol=1e-5)
    assert len(fresh.problems) == len(fresh.rewards) == 32


def test_a_network_too_large_for_a_gradient_per_response_is_left_out():
    with torch.device("meta"):
        network = nn.Linear(10_000, 10_000)
    with pytest.raises(CannotRun, match="too many"):
        responses_for(network)
    assert responses_for(nn.Linear(10, 10)) == gradient_variance.MOST


def test_trace_is_stated_at_the_recipes_answers_per_prompt():
    """R13: W = 2 and b = 0.5 per dimension, sampled with 4 answers each: W + 4 b there, W + 16 b for groups of 16."""
    rng = np.random.default_rng(7)
    prompts, answers, size = 3000, 4, 5
    between = rng.normal(0, np.sqrt(0.5), size=(prompts, 1, size))
    rows = (between + rng.normal(0, np.sqrt(2), size=(prompts, answers, size))).reshape(-1, size)
    mean = rows.reshape(prompts, answers, size).mean(1)
    inner = mean @ mean.T
    within = within_prompts((rows**2).sum(1), inner, answers)
    assert within.mean() == pytest.approx(size * 2, rel=0.05)
    for group in (4, 16):
        found = trace_and_square(inner, Groups(answers, within, group))[0]
        assert found == pytest.approx(size * (2 + group * 0.5), rel=0.06)
