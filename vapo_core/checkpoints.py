"""Hugging Face checkpoints from anywhere, ready to be trained: what reads them, and what they must be able to do."""

import hashlib
import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from vapo_core.base_model import SIZES

NEEDED = ("input_ids", "attention_mask", "position_ids", "past_key_values", "logits_to_keep")
"""What a causal language model must take: prompts are padded on the left, and answers are sampled with a cache."""


def read_tokenizer(field: str, name: str, revision: str = "main") -> Any:
    """The tokenizer of a checkpoint.

    Raises:
        ValueError: naming the field, if there is none.
    """
    from transformers import AutoTokenizer

    read_config(field, name, revision)
    with _naming(field, name):
        return AutoTokenizer.from_pretrained(name, revision=revision, trust_remote_code=False)


def read_config(field: str, name: str, revision: str = "main") -> Any:
    """The configuration of a checkpoint.

    Raises:
        ValueError: naming the field, if there is none.
    """
    from transformers import AutoConfig

    if (Path(name) / "adapter_config.json").exists() and not (Path(name) / "config.json").exists():
        raise ValueError(f"{field}: {name!r} holds an adapter alone; give the folder of the merged checkpoint")
    with _naming(field, name):
        return AutoConfig.from_pretrained(name, revision=revision, trust_remote_code=False)


def read_policy(name: str, revision: str = "main") -> Any:
    """A causal language model with float32 weights, without dropout.

    Raises:
        ValueError: if there is no such checkpoint, or its architecture cannot be trained here.
    """
    from transformers import AutoModelForCausalLM

    with _naming("base.model", name):
        model = AutoModelForCausalLM.from_pretrained(
            name, revision=revision, trust_remote_code=False, dtype=torch.float32
        )
    taken = inspect.signature(model.forward).parameters
    lacking = [argument for argument in NEEDED if argument not in taken]
    if lacking:
        raise ValueError(
            f"base.model: {type(model).__name__} takes no {', '.join(lacking)}, which sampling from prompts of unequal"
            " length needs; choose a decoder with a key-value cache"
        )
    return without_dropout(model)


def without_dropout(model: nn.Module) -> Any:
    """The model, giving the same numbers in training as in evaluation; its configuration stays as it was.

    A ratio of new to old probability means something only if both come from the same function.
    """
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        for name, value in vars(module).items():
            if "dropout" in name and isinstance(value, float):
                setattr(module, name, 0.0)
    return model


def recompute_activations(model: Any) -> None:
    """Switch gradient checkpointing on; it acts in training mode only, and dropout is off in either."""
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    model.train()


def load_back(model: Any, folder: Path | str) -> None:
    """Read weights that `save_pretrained` wrote, in however many files, into a model of the same class.

    Raises:
        ValueError: if the folder lacks weights that the model has.
    """
    fresh, report = type(model).from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    lost = [*report["missing_keys"], *report["mismatched_keys"]]
    if lost:
        raise ValueError(f"{folder}: {len(lost)} weights are missing or of another shape, {lost[0]} first")
    model.load_state_dict(fresh.state_dict())


def check_vocabulary(name: str | None, critic: Any, policy: Any, tokenizer: Any) -> None:
    """See that a critic reads the tokens that the policy writes.

    Args:
        name: the critic's checkpoint, None for the policy's own backbone.
        critic, policy: configurations.
        tokenizer: the policy's.

    Raises:
        ValueError: if it has fewer tokens, or a tokenizer of its own that differs.
    """
    if name is None:
        return
    known, written = (config.get_text_config().vocab_size for config in (critic, policy))
    if known < written:
        raise ValueError(f"base.critic: {name!r} knows {known} tokens, the policy writes {written}")
    if Path(name).is_dir() and not (Path(name) / "tokenizer_config.json").exists():
        return  # weights alone, such as an earlier run's
    own = read_tokenizer("base.critic", name)
    if own.get_vocab() != tokenizer.get_vocab():
        raise ValueError(
            f"base.critic: {name!r} has another tokenizer than the policy, so it would misread every answer"
        )


def fingerprint(name: str) -> str:
    """What is in a local folder, so that caches notice when it changes; empty for a checkpoint on the hub."""
    digest = hashlib.blake2b(digest_size=8)
    files = sorted(p for p in Path(name).glob("*") if p.name == "config.json" or p.suffix == ".safetensors")
    for path in files:
        digest.update(path.name.encode())
        with path.open("rb") as handle:
            while block := handle.read(1 << 24):
                digest.update(block)
    return digest.hexdigest() if files else ""


def identity_of(name: str, revision: str) -> Mapping[str, str]:
    """JSON content that determines a checkpoint."""
    return {"checkpoint": name, "revision": revision, "content": fingerprint(name)}


@contextmanager
def _naming(field: str, name: str) -> Iterator[None]:
    """Within it, an unreadable checkpoint becomes one line that names the field."""
    try:
        yield
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        here = "cannot be read" if Path(name).is_dir() else "is neither a folder here nor to be had from the hub"
        reason = " ".join(str(error).split("\n")[0].split())
        raise ValueError(f"{field}: {name!r} {here} ({reason}); sizes pretrained here: {', '.join(SIZES)}") from None
