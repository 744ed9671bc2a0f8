"""Engines on text by name."""

from collections.abc import Callable

from vapo_core.rollout.text_engine import TextEngine
from vapo_core.rollout.transformers import TransformersEngine
from vapo_core.rollout.vllm_engine import VLLMEngine

ENGINES: dict[str, Callable[..., TextEngine]] = {"transformers": TransformersEngine, "vllm": VLLMEngine}
"""name -> engine, made from what `TransformersEngine.__init__` takes."""
