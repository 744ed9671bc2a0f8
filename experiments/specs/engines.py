"""Engines a command offers: what each needs, and what it starts from."""

import re
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any, Literal

from experiments.specs.options import peek
from vapo_core.settings import Base

EngineName = Literal["transformers", "vllm"]

DEFAULT_BASE: dict[str, Base] = {"transformers": Base(), "vllm": Base(model="tiny32")}
"""Base where none is given. On a CPU vLLM has no kernel for the heads of tiny."""


def require(engine: str) -> None:
    """See that an engine is installed, before anything is begun.

    Raises:
        ValueError: if it is not, saying how to install it.
    """
    if engine == "vllm" and find_spec("vllm") is None:
        raise ValueError("engine = 'vllm': vLLM is not installed; `make vllm` installs its CPU build")


def spelled_out(words: Sequence[str]) -> list[str]:
    """`--model X` as `--base.model X`."""
    return [re.sub(r"^--model(?=$|=)", "--base.model", word) for word in words]


def model_asked_for(words: Sequence[str], over: Mapping[str, Any], engine: str) -> str:
    """The base model that other defaults follow from, before everything is parsed."""
    base = over.get("base")
    below = base.get("model", DEFAULT_BASE[engine].model) if isinstance(base, Mapping) else DEFAULT_BASE[engine].model
    return peek(words, "base.model", str(below))
