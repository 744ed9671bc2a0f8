"""The language world: a Hugging Face model on text, its critic, its engine and its task."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_model
from torch import Tensor, nn

from vapo_core.critic import LanguageCritic, NoCritic
from vapo_core.oracles.monte_carlo import step_start_values, text_values
from vapo_core.oracles.truth import Truth
from vapo_core.policy import LanguagePolicy
from vapo_core.rollout.transformers import TransformersEngine
from vapo_core.settings import Settings
from vapo_core.tasks.base import Task
from vapo_core.types import Batch, Problem, Rollout

PREFIXES, CONTINUATIONS = 128, 16
"""Size of the Monte-Carlo oracle when a probe asks for true values."""


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
        self.engine = TransformersEngine(
            self.model, self.tokenizer, temperature, task.max_tokens, getattr(task, "boundaries", None)
        )
        self.identity = {
            "world": "lm", **identity, "temperature": temperature, "critic_bias": critic_bias, "head": init_seed,
        }  # fmt: skip

    def exact_metrics(self) -> dict[str, float]:
        """Nothing is known of a language model without sampling."""
        return {}

    def exact_gradient(self, problems: Sequence[Problem]) -> None:
        """Not known."""

    def exact_change(self, policy: nn.Module, problems: Sequence[Problem]) -> None:
        """Not known."""

    def demonstrated(self, problems: Sequence[Problem], seed: int) -> Batch:
        """The task's demonstrations, stop token included, as responses."""
        rng, stop = np.random.default_rng(seed), self.tokenizer.eos_token_id
        written = [[*self.tokenizer(self.task.demonstration(p, rng))["input_ids"], stop] for p in problems]
        return Batch.ungraded(self.engine.write(self.tokenizer([p.prompt for p in problems])["input_ids"], written))

    def value_truth(self, problems: Sequence[Problem], rollout: Rollout, seed: int, settings: Settings) -> Truth:
        """Monte-Carlo values of some prefixes, K continuations each."""
        found = text_values(self, problems, rollout, PREFIXES, CONTINUATIONS, seed)
        length = rollout.mask.sum(1).cpu().numpy()[found.row]
        critic = (found.critic - settings.reward_low) / (settings.reward_high - settings.reward_low)
        noise = found.returns.var(axis=1, ddof=1) / CONTINUATIONS
        return Truth(found.row, found.time, length, critic, found.returns.mean(1), noise)

    def step_values(
        self, batch: Batch, problems: Sequence[Problem], continuations: int, seed: int
    ) -> tuple[Tensor, int]:
        """[B, T] mean verifier reward of fresh continuations from the start of each token's step, and tokens sampled."""
        return step_start_values(self, batch, problems, continuations, seed)

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
