"""What training a model takes, by formula: gigabytes on a GPU and seconds per RL step. Nothing here is measured.

Bytes by hand, for policy and critic alike: 4 for a weight, 4 for its gradient, 8 for AdamW's two moments, and 2 for the
copy that a bfloat16 pass computes with. Activations per token and layer, h hidden, i intermediate, q and k the numbers in a
token's queries and keys, n query heads: 28 h + 2 q + 4 k + 8 i + 4 n + 8, which a test counts in a real model; with
checkpointing 4 h, and one layer whole. Logits stay in bfloat16, with their gradient: 4 per word of the vocabulary.

    python -m experiments.cost.footprint       # the table of the README
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from experiments.specs.spec import RunSpec
from vapo_core.settings import BASE_SIZES, CHECKPOINT, Settings
from vapo_core.tasks import TASKS


class Shape(NamedTuple):
    """A decoder as Qwen2.5's are: gated MLP, grouped queries, biases on queries, keys and values."""

    layers: int
    hidden: int
    intermediate: int
    heads: int
    key_heads: int
    vocabulary: int
    tied: bool
    """Whether the output layer is the embedding."""

    @property
    def queries(self) -> int:
        """Numbers in a token's queries; as many as hidden ones."""
        return self.hidden

    @property
    def keys(self) -> int:
        """Numbers in a token's keys, and in its values."""
        return self.hidden // self.heads * self.key_heads


SHAPES: Mapping[str, Shape] = {
    "Qwen/Qwen2.5-0.5B": Shape(24, 896, 4864, 14, 2, 151_936, True),
    "Qwen/Qwen2.5-1.5B": Shape(28, 1536, 8960, 12, 2, 151_936, True),
    "Qwen/Qwen2.5-7B": Shape(28, 3584, 18_944, 28, 4, 152_064, False),
}
"""From the models' own config.json."""


class Machine(NamedTuple):
    """GPUs of one kind; the shares are what such runs usually get of the makers' numbers."""

    gpus: int = 1
    sharded: bool = False
    """Whether weights, gradients and optimisers are cut into a part per GPU (FSDP) or each has them whole (DDP)."""
    flops: float = 989e12
    """A second, dense bfloat16: one H100."""
    bandwidth: float = 3.35e12
    """Bytes a second to its memory."""
    used_flops: float = 0.35
    used_bandwidth: float = 0.5
    token_s: float = 0.008
    """Least time between one token of every answer and the next."""


class Footprint(NamedTuple):
    """Per GPU; 1 GB is 1e9 bytes."""

    training_gb: float
    """Weights, gradients, AdamW's moments and bfloat16 copies of policy and critic."""
    activations_gb: float
    """Kept for the backward pass of one micro-batch, logits included."""
    generation_gb: float
    """The engine's bfloat16 weights, and keys and values of its share of the answers."""
    rollout_s: float
    """Sampling one step's answers."""
    update_s: float
    """Values, entropy, and one pass of the update over policy and critic."""

    @property
    def total_gb(self) -> float:
        """At most at one time: the engine's memory is given back while training, and activations while sampling."""
        return self.training_gb + max(self.activations_gb, self.generation_gb)


def parameters(shape: Shape) -> int:
    """Weights of the causal model."""
    h, i, q, k = shape.hidden, shape.intermediate, shape.queries, shape.keys
    layer = h * q + q + 2 * (h * k + k) + q * h + 3 * h * i + 2 * h
    return shape.vocabulary * h * (1 if shape.tied else 2) + shape.layers * layer + h


def activation_bytes(shape: Shape, checkpointing: bool) -> float:
    """Kept for the backward pass per token, all layers, in bfloat16 passes."""
    h, i, q, k = shape.hidden, shape.intermediate, shape.queries, shape.keys
    per_layer = 28 * h + 2 * q + 4 * k + 8 * i + 4 * shape.heads + 8
    return 4 * h * shape.layers + per_layer if checkpointing else per_layer * shape.layers


def footprint(
    shape: Shape, settings: Settings, length: int, tokens_per_pass: float, checkpointing: bool, machine: Machine
) -> Footprint:
    """Memory and time of one RL step.

    Args:
        shape: of policy and critic.
        settings: responses_per_step and epochs are read.
        length: mean tokens of prompt and response together.
        tokens_per_pass: tokens that a pass reads at once on one GPU.
        checkpointing: whether layers are computed again on the way back.
        machine: GPUs; several share the answers out.
    """
    weights, answers = parameters(shape), settings.responses_per_step / machine.gpus
    cache = 2 * 2 * shape.layers * shape.keys * length  # keys and values of one answer, bfloat16
    reading = 2 * weights + answers * cache / 2  # bytes per sampled token of all answers together, cache half full
    passes = 2 + 2 + 12 * settings.epochs  # values, entropy; forward and backward of policy and critic: 6 each
    tokens = settings.responses_per_step * length
    return Footprint(
        training_gb=2 * 18 * weights / (machine.gpus if machine.sharded else 1) / 1e9,
        activations_gb=tokens_per_pass * (activation_bytes(shape, checkpointing) + 4 * shape.vocabulary) / 1e9,
        generation_gb=(2 * weights + answers * cache) / 1e9,
        rollout_s=length * max(machine.token_s, reading / (machine.bandwidth * machine.used_bandwidth)),
        update_s=passes * weights * tokens / (machine.gpus * machine.flops * machine.used_flops),
    )


def shape_of(model: str) -> Shape | None:
    """Of a model known here or a folder with a config.json; None for anything else."""
    path = Path(model) / "config.json"
    if model in SHAPES or not path.is_file():
        return SHAPES.get(model)
    found = json.loads(path.read_text(encoding="utf-8"))
    try:
        heads = int(found["num_attention_heads"])
        return Shape(
            int(found["num_hidden_layers"]), int(found["hidden_size"]), int(found["intermediate_size"]), heads,
            int(found.get("num_key_value_heads") or heads), int(found["vocab_size"]), bool(found.get("tie_word_embeddings")),
        )  # fmt: skip
    except KeyError:  # an architecture that counts in other words
        return None


def of_run(spec: RunSpec, machine: Machine = Machine()) -> Footprint:  # noqa: B008 (frozen)
    """A run's, its answers taken to be half as long as they may be; of a model unknown here that of 0.5B."""
    shape = shape_of(spec.base.model) or SHAPES["Qwen/Qwen2.5-0.5B"]
    dials = TASKS[spec.task.name].dials(**spec.task.dials)
    length = PROMPT + getattr(dials, "max_tokens", SHORT) // 2
    most = min(
        spec.settings.tokens_per_micro_batch, spec.settings.responses_per_step / spec.settings.mini_batches * length
    )
    return footprint(shape, spec.settings, length, most, spec.base.gradient_checkpointing, machine)


def run_seconds(spec: RunSpec) -> float:
    """Of a whole run on one GPU: value pretraining, RL steps, evaluations."""
    found, evaluation = of_run(spec), spec.evaluation
    warm = spec.settings.warmup_steps * (found.rollout_s + found.update_s / 2)
    answers = evaluation.problems + 2 * evaluation.k * evaluation.k_problems
    share = max(1.0, answers / spec.settings.responses_per_step)
    evaluation_s = (1 + spec.steps / evaluation.every) * share * found.rollout_s
    return warm + spec.steps * (found.rollout_s + found.update_s) + evaluation_s


def memory_lines(specs: Sequence[Any]) -> list[str]:
    """For a plan with runs of a checkpoint: gigabytes of the largest, by formula."""
    real = [spec for spec in specs if isinstance(spec, RunSpec) and spec.base.model not in BASE_SIZES]
    if not real:
        return []
    found, known = max((of_run(spec) for spec in real), key=lambda f: f.total_gb), shape_of(real[0].base.model)
    told = "" if known else f" for a model of 0.5B parameters, since the size of {real[0].base.model} is unknown"
    return [
        f"  estimate for one H100-class GPU{told}: {found.total_gb:.0f} GB (training {found.training_gb:.0f},"
        f" activations {found.activations_gb:.0f}, generation {found.generation_gb:.0f});"
        f" a step {found.rollout_s + found.update_s:.0f} s"
    ]


ROWS: tuple[tuple[str, int, bool, int, bool], ...] = (
    ("Qwen/Qwen2.5-0.5B", 1, False, 16_384, False),
    ("Qwen/Qwen2.5-0.5B", 8, False, 16_384, False),
    ("Qwen/Qwen2.5-1.5B", 1, False, 8_192, True),
    ("Qwen/Qwen2.5-7B", 8, True, 8_192, True),
)
"""Rows of the table: model, GPUs, whether sharded, tokens per pass, checkpointing."""

PROMPT = 128
"""Tokens a prompt is taken to have."""

SHORT = 64
"""Most tokens of an answer to a task that names no limit: all those have few."""

LENGTH = 512
"""Tokens of prompt and response in the table."""


def table(settings: Settings) -> str:
    """The README's rows, as Markdown."""
    lines = [
        "| model | GPUs | tokens a pass | training | activations | generation | at most | rollout | update |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, gpus, sharded, tokens, checkpointing in ROWS:
        found = footprint(SHAPES[name], settings, LENGTH, tokens, checkpointing, Machine(gpus, sharded))
        sizes = (found.training_gb, found.activations_gb, found.generation_gb, found.total_gb)
        told = [f"{tokens:,}{', checkpointing' if checkpointing else ''}", *(f"{gb:.0f} GB" for gb in sizes)]
        told += [f"{found.rollout_s:.0f} s", f"{found.update_s:.1f} s"]
        spread = {1: ""}.get(gpus, ", FSDP" if sharded else ", DDP")
        lines.append(f"| {name.split('/')[1]} | {gpus}{spread} | {' | '.join(told)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(CHECKPOINT))
