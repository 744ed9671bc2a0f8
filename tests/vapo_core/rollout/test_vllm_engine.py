"""vLLM itself, on a CPU: it samples from the trained model's distribution, whatever was done to the weights."""

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from vapo_core.models.base_model import character_tokenizer
from vapo_core.models.policy import LanguagePolicy
from vapo_core.rollout.transformers import TransformersEngine
from vapo_core.types import Batch

pytest.importorskip("vllm", reason="vLLM is not installed (make vllm)")

from vapo_core.rollout.vllm import shape_of
from vapo_core.rollout.vllm_engine import VLLMEngine, WrongWeights

TOKENIZER = character_tokenizer("abcdefgh012345=>")
PREFIXES = [[3, 4, 5], [6, 7, 8, 9], [10]]


def model_of(architecture: str = "llama", tied: bool = False, seed: int = 0, heads: int = 32):
    config = AutoConfig.for_model(
        architecture, head_dim=heads, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, vocab_size=len(TOKENIZER), max_position_embeddings=64, tie_word_embeddings=tied,
        pad_token_id=0, eos_token_id=1, bos_token_id=None, initializer_range=0.1,
    )  # fmt: skip
    torch.manual_seed(seed)
    return AutoModelForCausalLM.from_config(config).eval()


def gap(engine, model, temperature: float = 1.0) -> float:
    """Largest difference of the engine's log-probabilities to the policy's, on samples of its own."""
    rollout = engine.complete(PREFIXES, [20, 10, 15], 3, 8)
    with torch.no_grad():
        own, _ = LanguagePolicy(model, temperature)(Batch.ungraded(rollout))
    return float((own - rollout.logp)[rollout.mask].abs().max())


@pytest.mark.parametrize("architecture", ["llama", "qwen3"])
@pytest.mark.parametrize("tied", [False, True])
def test_both_engines_agree_before_and_after_training(architecture, tied):
    """Weights handed over in memory are the trained ones, tied embeddings included."""
    model = model_of(architecture, tied)
    engine, own = VLLMEngine(model, TOKENIZER, 1.0, 20), TransformersEngine(model, TOKENIZER, 1.0, 20)
    assert max(gap(engine, model), gap(own, model)) < 1e-3
    before = engine.complete(PREFIXES, 20, 3, 8)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, fused=True)
    ids = torch.randint(3, len(TOKENIZER), (8, 20), generator=torch.Generator().manual_seed(1))
    for _ in range(20):
        model(ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        engine.sync()
    assert max(gap(engine, model), gap(own, model)) < 1e-3
    with torch.no_grad():
        moved, _ = LanguagePolicy(model, 1.0)(Batch.ungraded(before))
    assert (moved - before.logp)[before.mask].abs().max() > 0.3  # the test would see weights that stayed behind


@pytest.fixture(scope="module")
def model():
    return model_of()


@pytest.fixture(scope="module")
def engine(model):
    return VLLMEngine(model, TOKENIZER, 1.0, 20)


def test_same_seed_same_samples_whatever_else_is_sampled(engine):
    """A row's stream is its own: neither its neighbours nor the share that this process samples matter."""
    whole = engine.complete(PREFIXES, 20, 7, 4)
    again = engine.complete(PREFIXES, 20, 7, 4)
    assert whole.responses == again.responses
    torch.testing.assert_close(whole.logp, again.logp, atol=1e-5, rtol=0)
    tokens, _ = engine.sample(PREFIXES, [20, 20, 20], 7, 4, slice(1, 2))
    assert engine.texts([[t for t in row if t >= 0] for row in tokens.tolist()]) == list(whole.responses[4:8])
    assert whole.responses != engine.complete(PREFIXES, 20, 8, 4).responses
    assert len(set(whole.responses[:4])) > 1
    assert engine.endings(PREFIXES, 20, 7, 4) == [
        row[mask].tolist() for row, mask in zip(whole.inputs["ids"][:, -whole.mask.shape[1] :], whole.mask, strict=True)
    ]


def test_samples_follow_the_policy(engine, model):
    """First tokens of 3,000 answers occur as often as the policy says: chi-square below its 99.9th percentile."""
    first = engine.complete([PREFIXES[1]], 1, 11, 3000).inputs["ids"][:, -1]
    with torch.no_grad():
        expected = model(torch.tensor([PREFIXES[1]])).logits[0, -1].softmax(0) * 3000
    seen = torch.bincount(first, minlength=len(TOKENIZER))
    common = expected > 5
    score = float(((seen - expected)[common].square() / expected[common]).sum())
    from scipy.stats import chi2

    assert common.sum() > 8
    assert score < chi2.ppf(0.999, int(common.sum()))


def test_more_prompts_than_are_read_at_once(engine, model):
    """No prompt is cut in two: on a CPU its random stream could not go back to where the answer begins."""
    prompts = [[3 + (i + j) % 16 for j in range(20)] for i in range(250)]
    rollout = engine.complete(prompts, 2, 5)
    with torch.no_grad():
        own, _ = LanguagePolicy(model, 1.0)(Batch.ungraded(rollout))
    torch.testing.assert_close(own, rollout.logp, atol=1e-3, rtol=0)


def test_limits_and_stops(engine):
    """An answer ends at a stop token, which it contains, or at its own limit."""
    rollout = engine.complete(PREFIXES, [2, 20, 1], 5, 40)
    lengths, last = rollout.mask.sum(1).view(3, 40), rollout.inputs["ids"][:, -rollout.mask.shape[1] :]
    assert lengths[0].max() == 2
    assert lengths[2].max() == 1
    ended = ((last == 1) & rollout.mask).any(1)
    assert torch.equal(rollout.truncated, ~ended)
    assert (
        lengths.flatten()[rollout.truncated] == torch.tensor([2, 20, 1]).repeat_interleave(40)[rollout.truncated]
    ).all()


def test_temperature_is_in_the_log_probabilities(model):
    """They are of the distribution that was sampled from, as the policy's are."""
    assert gap(VLLMEngine(model, TOKENIZER, 0.7, 20), model, 0.7) < 1e-3
    with pytest.raises(ValueError, match=r"settings.temperature = 0.001: engine vllm samples at 0.01 or above"):
        VLLMEngine(model, TOKENIZER, 0.001, 20)


def test_wrong_weights_are_noticed(model, monkeypatch):
    """Weights that are not the policy's stop the run at once, and are not sampled from afterwards."""
    engine = VLLMEngine(model, TOKENIZER, 1.0, 20)
    take = engine._server.take
    spoilt = {"lm_head.weight": 1.1 * model.lm_head.weight.detach()}
    monkeypatch.setattr(engine._server, "take", lambda weights: take({**weights, **spoilt}))
    with pytest.raises(WrongWeights, match="nats off the policy's"):
        engine.sync()
    with pytest.raises(WrongWeights):
        engine.complete(PREFIXES, 20, 7)
    monkeypatch.undo()
    assert gap(engine, model) < 1e-3


def test_models_of_one_shape_take_turns(engine, model):
    """Engines share one vLLM, and each samples from its own model's present weights without being told to sync."""
    other = model_of(seed=1)
    second = VLLMEngine(other, TOKENIZER, 1.0, 20)
    assert shape_of(model) == shape_of(other)
    assert second._server is engine._server
    assert max(gap(engine, model), gap(second, other), gap(engine, model)) < 1e-3
    with torch.no_grad():
        other.lm_head.weight.mul_(1.5)
    assert gap(second, other) < 1e-3


def test_random_states_and_threads_stay(model):
    """Paired seeds: building vLLM, which seeds everything anew, disturbs nothing else."""
    torch.manual_seed(5)
    expected = torch.rand(3)
    np.random.seed(5)  # noqa: NPY002
    numbers = np.random.random(3)  # noqa: NPY002
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    wide = model_of(heads=64)
    torch.manual_seed(5)
    VLLMEngine(wide, TOKENIZER, 1.0, 20).complete(PREFIXES, 4, 0)
    assert torch.equal(torch.rand(3), expected)
    assert np.array_equal(np.random.random(3), numbers)  # noqa: NPY002
    torch.set_num_threads(1)
    assert torch.get_num_threads() == 1


def test_what_it_cannot_do_is_said(engine, monkeypatch):
    """Heads without a kernel, and answers for which its cache has no room: one line each."""
    with pytest.raises(ValueError, match=r"base.model: its head dimension is 16"):
        VLLMEngine(model_of(heads=16), TOKENIZER, 1.0, 20)
    monkeypatch.setattr(engine._server, "room", 16)
    with pytest.raises(ValueError, match="allowed is 16 together, the room in the cache of engine vllm"):
        engine.complete([[3, 4, 5, 6]], 20, 0)
