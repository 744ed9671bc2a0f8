"""RL steps on a model of a public shape with random weights: tokens per second, memory, share of the device's peak.

The same code runs everywhere: on a GPU with the shape of Qwen2.5-0.5B in bfloat16, elsewhere with a narrow one. Random
weights cost what trained ones do, but hardly ever write a stop token, so every answer has the full length.
"""

import resource
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from experiments.benchmarks.timing import TimingRow, number
from vapo_core.devices import device
from vapo_core.models.base_model import character_tokenizer
from vapo_core.recipe import RECIPES, assemble
from vapo_core.seeds import seeds_of
from vapo_core.settings import Base, Evaluation, Settings
from vapo_core.tasks.base import FunctionTask
from vapo_core.trainer import Trainer
from vapo_core.types import Problem
from vapo_core.worlds import build_world


class Load(NamedTuple):
    """What is trained, and on how much."""

    name: str
    shape: Mapping[str, int]
    prompt: int
    """Characters, which are tokens here."""
    answer: int
    """Most tokens of an answer."""
    settings: Mapping[str, Any]
    steps: int


QWEN_HALF = Load(
    "shape of Qwen2.5-0.5B",
    {"hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24, "num_attention_heads": 14,
     "num_key_value_heads": 2, "vocab_size": 151_936},
    128, 512,
    {"responses_per_step": 256, "group_size": 16, "pool_size": 64, "warmup_steps": 1, "mini_batches": 4,
     "tokens_per_micro_batch": 16_384},
    20,
)  # fmt: skip

NARROW = Load(
    "narrow",
    {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
     "num_key_value_heads": 2, "vocab_size": 512},
    16, 24,
    {"responses_per_step": 16, "group_size": 4, "pool_size": 4, "warmup_steps": 1, "mini_batches": 2,
     "tokens_per_micro_batch": 400},
    3,
)  # fmt: skip

PEAKS: Mapping[str, float] = {"H200": 989e12, "H100": 989e12, "A100": 312e12}
"""Dense bfloat16 operations per second, from the makers' data sheets (SXM models), by a part of the device's name."""

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def measure(quick: bool) -> list[TimingRow]:
    """Recipe vapo in bfloat16, with and without gradient checkpointing; medians over steps after the first."""
    load = QWEN_HALF if device().type == "cuda" and not quick else NARROW
    found = []
    for again in (False, True):
        found += _rows(load, again, *train(load, again))
    return found


def train(load: Load, gradient_checkpointing: bool) -> tuple[list[dict[str, float]], Any]:
    """Points of every RL step, and the trained world."""
    with tempfile.TemporaryDirectory() as folder:
        base = Base(
            model=write_checkpoint(load, Path(folder)), dtype="bfloat16", gradient_checkpointing=gradient_checkpointing
        )
        settings = Settings(**load.settings)
        world = build_world("lm", _task(load), "noise", base, settings, seeds_of(0), Path(folder))
        recipe = assemble(RECIPES["vapo"].toggles, settings, {})
        evaluation = Evaluation(every=load.steps, problems=2, k=1, k_problems=2)
        points: list[dict[str, float]] = []
        if device().type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        trainer = Trainer(world, recipe, settings, evaluation, 0, load.steps, Path(folder))
        trainer.run(lambda step, metrics: points.append(dict(metrics)))
    return points[1:], world


def write_checkpoint(load: Load, folder: Path) -> str:
    """A random model of the shape, its vocabulary padded beyond a tokenizer of letters, as a folder."""
    from transformers import AutoConfig, AutoModelForCausalLM

    tokenizer = character_tokenizer(LETTERS)
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        "qwen2", **load.shape, max_position_embeddings=4096, tie_word_embeddings=True, bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=None, rms_norm_eps=1e-6,
    )  # fmt: skip
    AutoModelForCausalLM.from_config(config).save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    return str(folder / "model")


def _task(load: Load) -> FunctionTask:
    """Random letters; half of all answers count as right, so that every part of the loss has work."""

    def sample(rng: np.random.Generator, n: int, split: str) -> list[Problem]:
        letters = list(LETTERS)
        return [Problem("".join(rng.choice(letters, load.prompt)), "") for _ in range(n)]

    return FunctionTask(
        sample, lambda problem, response: float(sum(map(ord, response)) % 2), lambda problem, rng: "a",
        alphabet=LETTERS, max_tokens=load.answer,
    )  # fmt: skip


def update_operations(world: Any, load: Load, tokens: float) -> float:
    """Multiplications and additions of one pass over `tokens` tokens of answers, in policy and critic.

    6 per weight and token, forward and backward (Kaplan et al., arXiv:2001.08361, section 2.1): layers at every token, the
    output layer at an answer's tokens. Attention's own products and whatever is computed twice are not counted.
    """
    head = load.shape["hidden_size"] * load.shape["vocab_size"]
    layers = (
        sum(p.numel() for p in world.model.parameters()) - head
    )  # the embedding is the tied head, and only looked up
    read = tokens * (1 + load.prompt / load.answer)
    return 6 * (2 * layers * read + head * tokens)


def _rows(load: Load, again: bool, points: list[dict[str, float]], world: Any) -> list[TimingRow]:
    case = f"{load.name}, bfloat16, {device().type}" + (", gradient checkpointing" if again else "")
    late = points[1:]  # the first step makes room and warms up
    tokens = np.array([p["response_length/mean"] for p in late]) * load.settings["responses_per_step"]
    rollout, update = (np.array([p[f"timing/{name}_s"] for p in late]) for name in ("rollout", "update"))
    step_s = rollout + update + np.array([p["timing/credit_s"] for p in late])
    rows = [
        number("real model", case, "sampling", tokens / rollout, "answer tokens/s"),
        number("real model", case, "update of policy and critic", tokens / update, "answer tokens/s"),
        number("real model", case, "RL step", tokens / step_s, "answer tokens/s"),
        number("real model", case, "peak memory", np.array([_peak_gigabytes()]), "GB"),
    ]
    peak = next((rate for name, rate in PEAKS.items() if name in _device_name()), None)
    if peak is not None:
        share = np.array([update_operations(world, load, n) for n in tokens]) / update / peak
        rows.append(number("real model", case, "update, share of the device's peak", share, "of bfloat16 peak"))
    return rows


def _device_name() -> str:
    return torch.cuda.get_device_name() if device().type == "cuda" else "CPU"


def _peak_gigabytes() -> float:
    """Most that was allocated on the GPU, or resident on a CPU."""
    if device().type == "cuda":
        return torch.cuda.max_memory_allocated() / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
