"""A GGUF file as a folder that `from_pretrained` and vLLM load: weights in float32, tokenizer, chat template.

transformers dequantises a GGUF file when it reads one but refuses to save what it then has, so the weights go into a fresh
model of the same configuration. What quantisation lost stays lost.
"""

import importlib.util
from pathlib import Path

from vapo_core.models.checkpoints import read_policy
from vapo_core.models.weights import from_checkpoint
from vapo_core.reading import reading


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
    with reading(file.name):
        model = from_checkpoint(AutoModelForCausalLM, str(file.parent), "GGUF file", gguf_file=file.name)
        tokenizer = AutoTokenizer.from_pretrained(str(file.parent), gguf_file=file.name, trust_remote_code=False)
    described = model.config.to_dict()
    described.pop("quantization_config", None)
    fresh = AutoModelForCausalLM.from_config(type(model.config).from_dict(described))
    fresh.load_state_dict(model.state_dict())
    fresh.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    read_policy("checkpoint", str(folder))
