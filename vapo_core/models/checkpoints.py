"""Loading Hugging Face checkpoints for training, and checking that they can be trained."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vapo_core.contents import fingerprint
from vapo_core.models.weights import Damaged, from_checkpoint
from vapo_core.reading import reason_of
from vapo_core.settings import BASE_SIZES

NEEDED = ("input_ids", "attention_mask", "position_ids", "past_key_values", "logits_to_keep")
"""What a causal language model must take: prompts are padded on the left, and answers are sampled with a cache."""

MOST_LAYERS = 500
"""Models are built layer by layer before anything else is checked, so an absurd number of layers is refused first."""

VALUE_HEADS = ("v_head.",)
"""Weights that some trainers keep beside a policy's own; a policy is whole without them."""


def read_tokenizer(field: str, name: str, revision: str = "main") -> Any:
    """The tokenizer of a checkpoint.

    Raises:
        ValueError: naming the field, if there is none.
    """
    from transformers import AutoTokenizer

    read_config(field, name, revision)
    with naming(field, name, "tokenizer"):
        tokenizer = AutoTokenizer.from_pretrained(name, revision=revision, trust_remote_code=False)
        if not len(tokenizer):
            raise ValueError("its tokenizer has no vocabulary")
        if not isinstance(tokenizer("0")["input_ids"], list):
            raise ValueError("its tokenizer turns no text into tokens")
    return tokenizer


def read_config(field: str, name: str, revision: str = "main") -> Any:
    """The configuration of a checkpoint.

    Raises:
        ValueError: naming the field, if there is none, or if it makes no sense.
    """
    from transformers import AutoConfig

    if (Path(name) / "adapter_config.json").exists():
        raise ValueError(f"{field}: {name!r} holds an adapter; give the folder of the merged checkpoint")
    with naming(field, name, "config.json"):
        config = AutoConfig.from_pretrained(name, revision=revision, trust_remote_code=False)
        layers = getattr(config.get_text_config(), "num_hidden_layers", 0)
        kinds = [str(kind) for kind in config.architectures or ()]
    if layers > MOST_LAYERS:
        raise ValueError(f"{field}: {name!r} has num_hidden_layers {layers} in its config.json, at most {MOST_LAYERS}")
    config.architectures = kinds
    return config


def read_policy(field: str, name: str, revision: str = "main") -> tuple[Any, Any]:
    """The tokenizer of a causal language model and the model, with float32 weights and without dropout.

    Raises:
        ValueError: naming the field, if there is no such checkpoint, if weights are lost or damaged, if it has no embedding
            for a token of its tokenizer, or if its architecture cannot be trained here.
    """
    from transformers import AutoModelForCausalLM

    tokenizer = read_tokenizer(field, name, revision)
    check_stops(field, name)
    check_size(field, name, AutoModelForCausalLM.from_config, revision)
    with naming(field, name, "weights"):
        model = from_checkpoint(AutoModelForCausalLM, name, field, VALUE_HEADS, revision=revision)
    taken = inspect.signature(model.forward).parameters
    lacking = [argument for argument in NEEDED if argument not in taken]
    if lacking:
        raise ValueError(
            f"{field}: {type(model).__name__} takes no {', '.join(lacking)}, which sampling from prompts of unequal"
            " length needs; choose a decoder with a key-value cache"
        )
    check_tokens(field, name, tokenizer, model)
    return tokenizer, without_dropout(model)


def check_size(field: str, name: str, build: Callable[[Any], nn.Module], revision: str = "main") -> None:
    """See, before memory is asked for, that a folder's files can hold what its config.json describes.

    Args:
        build: the model of a configuration.

    Raises:
        ValueError: if they have less than a byte per weight.
    """
    if not Path(name).is_dir():
        return
    config = read_config(field, name, revision)
    with naming(field, name, "config.json"), torch.random.fork_rng(devices=[]), torch.device("meta"):
        weights = sum(x.numel() for x in build(config).parameters())
    stored = sum(file.stat().st_size for ending in ("*.safetensors", "*.bin") for file in Path(name).glob(ending))
    if weights > stored > 0:
        lacking = f"its config.json describes {weights} weights, its files have {stored} bytes"
        raise ValueError(f"{field}: {name!r} cannot be read: {lacking}")


def check_stops(field: str, name: str) -> None:
    """See that a folder's generation_config.json, which names tokens that end an answer, can be read: transformers reads
    over it where it cannot.

    Raises:
        ValueError: naming the field.
    """
    from transformers import GenerationConfig

    if not (Path(name) / "generation_config.json").exists():
        return
    with naming(field, name, "generation_config.json"):
        named = GenerationConfig.from_pretrained(name).eos_token_id
        numbers = named if isinstance(named, list) else [named]
        if not all(token is None or type(token) is int for token in numbers):
            raise ValueError(f"eos_token_id = {named!r}, allowed: numbers of tokens")


def check_tokens(field: str, name: str, tokenizer: Any, model: Any) -> None:
    """See that a model has an embedding for the tokens of its tokenizer.

    Special tokens that neither begin nor end a text may lie beyond it: padding is read by nobody, and some checkpoints name
    images that way.

    Raises:
        ValueError: naming the first token that it has none for.
    """
    size, named = model.get_input_embeddings().num_embeddings, {*tokenizer.all_special_tokens}
    named -= {tokenizer.eos_token, tokenizer.bos_token, tokenizer.unk_token}
    beyond = {i: token for token, i in tokenizer.get_vocab().items() if i >= size and token not in named}
    if beyond:
        raise ValueError(
            f"{field}: {name!r} has an embedding of {size} tokens, its tokenizer has {beyond[min(beyond)]!r} as number"
            f" {min(beyond)}; use the tokenizer it was trained with"
        )


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


def load_back(model: Any, folder: Path | str, field: str = "policy") -> None:
    """Read weights that `save_pretrained` wrote, in however many files, into a model of the same class.

    Raises:
        ValueError: if weights are lost or damaged.
    """
    fresh = from_checkpoint(type(model), str(folder), field)
    model.load_state_dict(fresh.state_dict())


def check_vocabulary(name: str | None, critic: Any, policy: Any, tokenizer: Any) -> None:
    """Check that the critic's vocabulary covers the policy's.

    Args:
        name: the critic's checkpoint, None for the policy's own backbone.
        critic, policy: configurations.
        tokenizer: the policy's.

    Raises:
        ValueError: if its vocabulary is smaller, or its tokenizer differs.
    """
    if name is None:
        return
    known, written = (config.get_text_config().vocab_size for config in (critic, policy))
    if known < written:
        raise ValueError(f"base.critic: {name!r} vocabulary size {known}, policy {written}")
    if Path(name).is_dir() and not (Path(name) / "tokenizer_config.json").exists():
        return  # weights alone, such as an earlier run's
    own = read_tokenizer("base.critic", name)
    if own.get_vocab() != tokenizer.get_vocab():
        raise ValueError(f"base.critic: {name!r} has a different tokenizer from the policy's")


def identity_of(field: str, name: str, revision: str) -> Mapping[str, str]:
    """JSON content that determines a checkpoint: what its folder holds, or its commit on the hub.

    Raises:
        ValueError: naming the field, if there is no such checkpoint.
    """
    if content := fingerprint(Path(name)):
        return {"content": content}
    return {"checkpoint": name, "commit": getattr(read_config(field, name, revision), "_commit_hash", None) or revision}


@contextmanager
def naming(field: str, name: str, part: str) -> Iterator[None]:
    """Within it, a part of a checkpoint that cannot be read becomes one line that names the field.

    Raises:
        ValueError: in place of any error raised within.
    """
    try:
        yield
    except (Damaged, MemoryError):
        raise
    except Exception as error:  # whatever a reader of bytes from elsewhere may raise
        absent = "is neither a local folder nor available on the hub"
        here = f"cannot be read: its {part}" if Path(name).is_dir() else absent
        sizes = f"; sizes pretrained here: {', '.join(BASE_SIZES)}" if field == "base.model" else ""
        raise ValueError(f"{field}: {name!r} {here} ({reason_of(error)}){sizes}") from None
