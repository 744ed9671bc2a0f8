"""The exact transformer oracle against the sampling engine and finite differences."""

from types import SimpleNamespace

import pytest
import torch

from tests.support.full_tree import full_tree
from vapo_core.models.base_model import build_model, character_tokenizer
from vapo_core.rollout.transformers import TransformersEngine

TOKENIZER = character_tokenizer("abq")
A, B, Q = (TOKENIZER.convert_tokens_to_ids(c) for c in "abq")
STOP = TOKENIZER.eos_token_id


def reward(written: tuple[int, ...], stopped: bool) -> float:
    """Right if it stopped with as many a as b, at least one of each."""
    return float(stopped and written.count(A) == written.count(B) > 0)


def model(double: bool = False):
    found = build_model("tiny", "llama", TOKENIZER, 3).eval()
    return found.double() if double else found


def tree(network, horizon: int = 5):
    return full_tree(network, [Q], [A, B], STOP, horizon, reward)


def test_value_of_the_prompt_is_what_sampling_finds():
    """The engine's own samples, restricted to the tree's three tokens by a bias on the others."""
    network = model()
    with torch.no_grad():
        exact = float(tree(network).expected_return)

    class Restricted:
        config = SimpleNamespace(model_type="restricted", get_text_config=lambda: network.config)
        training = False  # a model of this kind is not decoded around the wrapper

        def get_input_embeddings(self):
            return network.get_input_embeddings()

        def __call__(self, **inputs):
            out = network(**inputs)
            bias = torch.full((out.logits.shape[-1],), -1e9)
            bias[[A, B, STOP]] = 0.0
            out.logits = out.logits + bias
            return out

        def eval(self):
            return self

        def train(self, mode):
            return self

        def parameters(self):
            return network.parameters()

    rollout = TransformersEngine(Restricted(), TOKENIZER, 1.0, 5).complete([[Q]] * 20_000, 5, seed=1)
    letters = {"a": A, "b": B}
    graded = [
        reward(tuple(letters[c] for c in text), not cut)
        for text, cut in zip(rollout.responses, rollout.truncated.tolist(), strict=True)
    ]
    mean = sum(graded) / len(graded)
    assert abs(mean - exact) < 4 * (exact * (1 - exact) / len(graded)) ** 0.5


def test_gradient_equals_finite_differences():
    """To 1e-6: the model itself normalises in single precision, whatever its weights are."""
    network = model(double=True)
    parameters = list(network.parameters())
    gradient = torch.autograd.grad(tree(network).expected_return, parameters)
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):
        direction = [torch.randn(p.shape, generator=generator, dtype=torch.double) for p in parameters]
        norm = torch.cat([d.reshape(-1) for d in direction]).norm()
        direction = [d / norm for d in direction]
        expected = float(sum((g * d).sum() for g, d in zip(gradient, direction, strict=True)))

        def shifted(step: float, direction=direction) -> float:
            with torch.no_grad():
                for p, d in zip(parameters, direction, strict=True):
                    p.add_(step * d)
                found = float(tree(network).expected_return)
                for p, d in zip(parameters, direction, strict=True):
                    p.sub_(step * d)
            return found

        h = 0.1
        slope = (8 * (shifted(h) - shifted(-h)) - (shifted(2 * h) - shifted(-2 * h))) / (12 * h)
        assert slope == pytest.approx(expected, abs=1e-6)


def test_values_obey_the_bellman_equation_and_reach_sums_to_one():
    network = model(double=True)
    with torch.no_grad():
        found = tree(network, horizon=4)
    ended = 0.0
    for t in range(3):
        going = found.reach[t + 1].view(-1, 2).sum(1)
        ended += float((found.reach[t] - going).sum())
    assert ended + float(found.reach[3].sum()) == pytest.approx(1, abs=1e-12)
    one = full_tree(network, [Q, A], [A, B], STOP, 3, lambda w, s: reward((A, *w), s))
    assert float(one.values[0][0].detach()) == pytest.approx(float(found.values[1][0]), abs=1e-12)
