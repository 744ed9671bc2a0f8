"""Rollout engines: what each requires, and its default base model."""

import re
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any, Literal

from experiments.specs.options import peek
from vapo_core.settings import Base

EngineName = Literal["transformers", "vllm"]

DEFAULT_BASE: dict[str, Base] = {"transformers": Base(), "vllm": Base(model="tiny32")}
"""Default base model per engine. vLLM's CPU build has no attention kernel for the head size of `tiny`."""


def require(engine: str) -> None:
    """Check that an engine is installed before a run starts.

    Raises:
        ValueError: if it is not; the message says how to install it.
    """
    if engine == "vllm" and find_spec("vllm") is None:
        raise ValueError("engine = 'vllm': vLLM is not installed; `make vllm` installs its CPU build")


def spelled_out(words: Sequence[str]) -> list[str]:
    """Replace the short form `--model X` by `--base.model X`."""
    return [re.sub(r"^--model(?=$|=)", "--base.model", word) for word in words]


def model_asked_for(words: Sequence[str], over: Mapping[str, Any], engine: str) -> str:
    """The base model, read before parsing since other defaults depend on it."""
    base = over.get("base")
    below = base.get("model", DEFAULT_BASE[engine].model) if isinstance(base, Mapping) else DEFAULT_BASE[engine].model
    return peek(words, "base.model", str(below))
