"""The language world: a Hugging Face model on text, its critic, its engine and its task."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_model
from torch import Tensor, nn

from vapo_core.critic import LanguageCritic, NoCritic
from vapo_core.oracles.kept import Continued
from vapo_core.oracles.monte_carlo import pick_places, step_starts
from vapo_core.policy import LanguagePolicy
from vapo_core.rollout.transformers import TransformersEngine
from vapo_core.seeds import child
from vapo_core.tasks.base import Task, verify_all
from vapo_core.types import Batch, Problem, Rollout
from vapo_core.worlds.base import Branches, Said

TRIES = 6
"""Next steps sampled at a place whose alternatives are asked for."""

LABELLED, _BASE = 2, 1_000_003
"""Last tokens that `state_labels` tells apart, and the base of its hash."""


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
        self._again = partial(LanguageWorld, task, checkpoint, identity, temperature, critic_bias, init_seed)
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

    def exact_outcomes(self, problems: Sequence[Problem]) -> None:
        """Not known."""

    def demonstrated(self, problems: Sequence[Problem], seed: int) -> Batch:
        """The task's demonstrations, stop token included, as responses."""
        rng, stop = np.random.default_rng(seed), self.tokenizer.eos_token_id
        written = [[*self.tokenizer(self.task.demonstration(p, rng))["input_ids"], stop] for p in problems]
        return Batch.ungraded(self.engine.write(self.tokenizer([p.prompt for p in problems])["input_ids"], written))

    def exact_at(self, responses: Rollout | Batch, row: np.ndarray, time: np.ndarray) -> None:
        """Not known."""

    def continuations(
        self,
        responses: Rollout | Batch,
        problems: Sequence[Problem],
        row: np.ndarray,
        time: np.ndarray,
        each: int,
        seed: int,
    ) -> Continued:
        """Fresh texts from each prefix to the end, graded with what was written before them."""
        prompts, written = _cut(responses, row, time)
        prefixes = [prompt + begun for prompt, begun in zip(prompts, written, strict=True)]
        endings = self.engine.endings(prefixes, (self.task.max_tokens - time).tolist(), seed, each)
        texts = self.engine.texts([written[i // each] + ending for i, ending in enumerate(endings)])
        grades = verify_all(self.task, [problems[row[i // each]] for i in range(len(texts))], texts)
        rewards = [grade.reward for grade in grades]
        return Continued(np.array(rewards).reshape(len(row), each), sum(map(len, endings)))

    def branches(self, problems: Sequence[Problem], rollout: Rollout, places: int, seed: int) -> Branches:
        """Distinct next steps among TRIES sampled at each place; a step is a token where the task names no steps."""
        row, time = pick_places(step_starts(rollout.step, rollout.mask), places, np.random.default_rng(child(seed, 0)))
        prompts, written = _cut(rollout, row, time)
        prefixes = [prompt + begun for prompt, begun in zip(prompts, written, strict=True)]
        first = [i for i, prefix in enumerate(prefixes) if prefixes.index(prefix) == i]  # equal places count once
        limits = (self.task.max_tokens - time[first]).tolist()
        endings = self.engine.endings([prefixes[i] for i in first], limits, child(seed, 1), TRIES)
        begun_at = [i for i in first for _ in range(TRIES)]
        full = [written[i] + ending for i, ending in zip(begun_at, endings, strict=True)]
        responses = self.engine.write([prompts[i] for i in begun_at], full)
        end = _step_end(responses, time[begun_at])
        different: dict[tuple[int, tuple[int, ...]], int] = {}
        for number, (i, tokens) in enumerate(zip(begun_at, full, strict=True)):
            if end[number] < len(tokens):  # otherwise the step ends the response, and no critic speaks after that
                different.setdefault((i, tuple(tokens[time[i] : end[number]])), number)
        chosen = np.array(sorted(different.values()), int)
        place = np.array(begun_at)[chosen]
        chosen = chosen[np.isin(place, [i for i in place if (place == i).sum() > 1])]
        asked = [problems[row[i]] for i in begun_at]
        return Branches(responses, asked, chosen, end[chosen], np.array(begun_at)[chosen])

    def start(self) -> "LanguageWorld":
        """This world before anything was trained, read from its checkpoint again."""
        with torch.random.fork_rng():
            return self._again()

    @torch.no_grad()
    def reach(self, problems: Sequence[Problem], rollout: Rollout) -> Tensor:
        """[B, T] log-probability of writing what stands before each place: no two texts are one place here."""
        logp, _ = self.policy(Batch.ungraded(rollout))
        return (logp.cumsum(1) - logp).where(rollout.mask, 0.0)

    def state_labels(self, batch: Batch) -> Tensor:
        """[B, T] int, a hash of the prompt and of the last LABELLED tokens of the response: where a step has got to.

        Not of the whole prefix, which is hardly ever met again.
        """
        ids, begins = batch.inputs["ids"].long(), batch.inputs["ids"].shape[1] - batch.mask.shape[1]
        known = batch.inputs["attention"].bool()[:, :begins]
        powers = _BASE ** torch.arange(begins - 1, -1, -1, device=ids.device)  # wraps around, as hashes do
        label = ((ids[:, :begins] + 1).where(known, 0) * powers).sum(1)[:, None].expand(batch.mask.shape)
        for back in range(1, LABELLED + 1):
            written = torch.nn.functional.pad(ids[:, begins:] + 1, (back, 0))[:, : batch.mask.shape[1]]
            label = label * _BASE + written
        return label

    def describe(self, rollout: Rollout) -> list[list[Said]]:
        """Each token decoded by itself."""
        ids = rollout.inputs["ids"][:, -rollout.mask.shape[1] :]
        rows = [row[keep].tolist() for row, keep in zip(ids, rollout.mask, strict=True)]
        return [[Said(self.tokenizer.decode([token]), "") for token in row] for row in rows]

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


def _cut(responses: Rollout | Batch, row: np.ndarray, time: np.ndarray) -> tuple[list[list[int]], list[list[int]]]:
    """Tokens of the prompt and of what is written at places (row, time) of responses."""
    ids, attention = responses.inputs["ids"], responses.inputs["attention"].bool()
    begins = ids.shape[1] - responses.mask.shape[1]
    prompts = [ids[r, :begins][attention[r, :begins]].tolist() for r in row]
    return prompts, [ids[r, begins : begins + t].tolist() for r, t in zip(row, time, strict=True)]


def _step_end(responses: Rollout, time: np.ndarray) -> np.ndarray:
    """[B] token after the end of the step that begins at token `time` of each response."""
    step, begins = responses.step, torch.from_numpy(time).to(responses.step.device)[:, None]
    same = (step == step.gather(1, begins)) & responses.mask & (torch.arange(step.shape[1]).to(begins) >= begins)
    return (begins.squeeze(1) + same.sum(1)).cpu().numpy()
