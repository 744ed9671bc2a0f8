"""The language world: a Hugging Face model on text, its critic, its engine and its task."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_model

from vapo_core.critic import LanguageCritic, NoCritic
from vapo_core.policy import LanguagePolicy
from vapo_core.rollout.transformers import TransformersEngine
from vapo_core.tasks.base import Task


class LanguageWorld:
    """Policy, critic, engine and task of one run on text."""

    def __init__(
        self,
        task: Task,
        checkpoint: Path | str,
        identity: Mapping[str, Any],
        temperature: float,
        critic_bias: float,
        init_seed: int,
    ) -> None:
        """Args: checkpoint, any folder or name `from_pretrained` takes; identity, what the warm critic's key needs."""
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.task = task
        torch.manual_seed(init_seed)
        self.tokenizer = AutoTokenizer.from_pretrained(checkpoint, trust_remote_code=False)
        self.model: Any = AutoModelForCausalLM.from_pretrained(checkpoint, trust_remote_code=False, dtype=torch.float32)
        self.policy = LanguagePolicy(self.model, temperature)
        self.critic: LanguageCritic | NoCritic = LanguageCritic(self.model, critic_bias)
        self.engine = TransformersEngine(self.model, self.tokenizer, temperature, task.max_tokens)
        self.identity = {
            "world": "lm", **identity, "temperature": temperature, "critic_bias": critic_bias, "head": init_seed,
        }  # fmt: skip

    def exact_metrics(self) -> dict[str, float]:
        """Nothing is known of a language model without sampling."""
        return {}

    def save(self, folder: Path | str) -> None:
        """Policy and critic as folders `from_pretrained` loads, tokenizer included."""
        folder = Path(folder)
        self.model.save_pretrained(folder / "policy")
        self.tokenizer.save_pretrained(folder / "policy")
        self.critic.save(folder / "critic")

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""
        load_model(self.model, str(folder / "policy" / "model.safetensors"))
        self.critic.load(folder / "critic")
