"""A GGUF file as a folder that `from_pretrained` and vLLM load: weights in float32, tokenizer, chat template.

transformers dequantises a GGUF file when it reads one but refuses to save what it then has, so the weights go into a fresh
model of the same configuration. What quantisation lost stays lost. How a text is split before merges are applied is taken from
the file's `tokenizer.ggml.pre`, which transformers passes over.
"""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vapo_core.models.checkpoints import read_policy
from vapo_core.models.weights import from_checkpoint
from vapo_core.reading import reading


def _digits_apart() -> Any:
    """Every digit alone, then words as GPT-2 splits them: `\n\n1` is two line breaks together and a digit."""
    from tokenizers import pre_tokenizers

    words = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), words])


SPLITTERS: dict[str, Callable[[], Any]] = {"smollm": _digits_apart}
"""`tokenizer.ggml.pre` -> how text is split, as llama.cpp reads that name."""


def require_gguf() -> None:
    """See that GGUF files can be read here.

    Raises:
        ValueError: naming the extra that installs the reader.
    """
    for package in ("gguf", "accelerate"):
        if importlib.util.find_spec(package) is None:
            raise ValueError(f"reading GGUF files needs the package {package}: pip install 'vapo-lab[real]'")


def write_checkpoint(file: Path, folder: Path) -> None:
    """Write the model, its tokenizer and its configuration into a folder that exists, and read them back as training does.

    Raises:
        ValueError: naming the file, if it cannot be read or lacks weights; naming the folder, if the result cannot be trained.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    require_gguf()
    splitter = _splitter(file)
    with reading(file.name):
        model = from_checkpoint(AutoModelForCausalLM, str(file.parent), "GGUF file", gguf_file=file.name)
        tokenizer = AutoTokenizer.from_pretrained(str(file.parent), gguf_file=file.name, trust_remote_code=False)
    tokenizer.backend_tokenizer.pre_tokenizer = splitter()
    described = model.config.to_dict()
    described.pop("quantization_config", None)
    fresh = AutoModelForCausalLM.from_config(type(model.config).from_dict(described))
    fresh.load_state_dict(model.state_dict())
    fresh.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    read_policy("checkpoint", str(folder))


def _splitter(file: Path) -> Callable[[], Any]:
    """What splits text for this file's tokenizer.

    Raises:
        ValueError: naming the file, if it names none that is known here.
    """
    from gguf import GGUFReader

    with reading(file.name):
        field = GGUFReader(str(file)).fields.get("tokenizer.ggml.pre")
        named = None if field is None else field.contents()
    if named not in SPLITTERS:
        raise ValueError(f"{file.name}: tokenizer.ggml.pre = {named!r}, allowed: {', '.join(SPLITTERS)}")
    return SPLITTERS[named]
