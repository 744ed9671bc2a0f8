"""Engines a command offers: what each needs, and what it starts from."""

from importlib.util import find_spec
from typing import Literal

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
