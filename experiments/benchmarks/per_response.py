"""What the gradient of every response costs beside one gradient of the whole batch, and how exact it is."""

import numpy as np
import torch

from experiments.benchmarks.models import model_of
from experiments.benchmarks.timing import TimingRow, number, rows, take_turns
from vapo_core.functional.per_response import loop_gradients, per_response_gradients
from vapo_core.models.policy import LanguagePolicy
from vapo_core.types import Batch

PROMPT = 12


RESPONSES, TOKENS = 64, 40


def measure(quick: bool) -> list[TimingRow]:
    """Both architectures of the tiny model, 64 responses; beside the seconds, how far from a loop of backward passes."""
    found = []
    for architecture in ("llama",) if quick else ("llama", "qwen3"):
        found += _case(architecture, 3 if quick else 11)
    return found


def _case(architecture: str, repetitions: int) -> list[TimingRow]:
    model, tokenizer = model_of("tiny", architecture)
    policy = LanguagePolicy(model, temperature=1.0)
    batch = random_batch(RESPONSES, TOKENS, len(tokenizer))
    weights = torch.randn(batch.mask.shape, generator=torch.Generator().manual_seed(1))
    parameters = list(policy.parameters())
    ways = {
        "one batch gradient": lambda: torch.autograd.grad((weights * policy(batch)[0]).sum(), parameters),
        "every response's gradient": lambda: per_response_gradients(policy, batch, weights),
        "one backward per response": lambda: loop_gradients(policy, batch, weights),
    }
    case = f"{architecture} tiny, {RESPONSES} responses of up to {TOKENS} tokens"
    seconds = take_turns(ways, repetitions)
    expected = loop_gradients(policy, batch, weights)
    error = (per_response_gradients(policy, batch, weights) - expected).norm(dim=1) / expected.norm(dim=1)
    exact = number("per response", case, "largest difference to the loop", np.array([float(error.max())]), "relative")
    return [*rows("per response", case, seconds, "one batch gradient", RESPONSES, "responses"), exact]


def random_batch(responses: int, tokens: int, vocabulary: int) -> Batch:
    """Random text with prompts and responses of every length, padded left and right as the engine does."""
    generator = torch.Generator().manual_seed(0)
    length = torch.randint(tokens // 3, tokens + 1, (responses, 1), generator=generator)
    prompt = torch.randint(PROMPT // 2, PROMPT + 1, (responses, 1), generator=generator)
    mask = torch.arange(tokens) < length
    attention = torch.cat([torch.arange(PROMPT) >= PROMPT - prompt, mask], dim=1).long()
    ids = torch.randint(3, vocabulary, attention.shape, generator=generator) * attention
    zeros, each = torch.zeros(mask.shape), torch.zeros(responses)
    inputs = {"ids": ids, "attention": attention}
    place = torch.arange(tokens).expand(mask.shape)
    return Batch(inputs, mask, zeros, zeros, each, each.bool(), torch.arange(responses), place)
