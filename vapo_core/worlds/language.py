"""The language world: a Hugging Face model on text, its critic, its engine and its task."""

import copy
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vapo_core.devices import device
from vapo_core.distributed.ranks import Ranks, Single
from vapo_core.distributed.shared_task import SharedTask
from vapo_core.models.adapters import Unadapted, apply_lora, load_trained, merged, save_trained
from vapo_core.models.checkpoints import check_vocabulary, load_back, read_policy, recompute_activations
from vapo_core.models.critic import LanguageCritic, NoCritic
from vapo_core.models.policy import LanguagePolicy, Passes
from vapo_core.models.saving import mend_generation_config, try_saving
from vapo_core.models.text import uses_template
from vapo_core.models.value_models import on_backbone, read_values
from vapo_core.oracles.monte_carlo import Continued, pick_places, step_starts
from vapo_core.rollout.asking import check_problems
from vapo_core.rollout.engines import ENGINES
from vapo_core.seeds import child
from vapo_core.settings import Base, Settings
from vapo_core.tasks.base import Task, verify_all
from vapo_core.types import Batch, Problem, Rollout
from vapo_core.worlds.base import Branches, Reference, TokenDescription

TRIES = 6
"""Next steps sampled at a place whose alternatives are asked for."""

LABELLED, _BASE = 2, 1_000_003
"""Last tokens that `state_labels` tells apart, and the base of its hash."""


class LanguageWorld:
    """Policy, critic, engine and task of one run on text."""

    repeats = False

    def __init__(
        self,
        task: Task,
        checkpoint: str,
        critic: str | None,
        identity: Mapping[str, Any],
        base: Base,
        settings: Settings,
        init_seed: int,
        engine: str = "transformers",
    ) -> None:
        """Policy, engine and, when first asked for, critic, on the process's device.

        Args:
            task: what is asked and how answers are graded.
            checkpoint: any folder or name `from_pretrained` takes.
            critic: the same for the critic; None for the policy's backbone.
            identity: what a warm critic's key needs.
            base: how both are read and trained.
            settings: temperature, critic bias and budgets of tokens are read here.
            init_seed: draws the critic's head and the adapters.
            engine: what samples, a key of `ENGINES`.

        Raises:
            ValueError: if a checkpoint cannot be read, or not be used this way, or the engine is not installed.
        """
        self.task, self.base, self._critic, self._bias, self._name = (
            task,
            base,
            critic,
            settings.critic_bias,
            checkpoint,
        )
        self.ranks: Ranks = Single()
        self._again = partial(LanguageWorld, task, checkpoint, critic, identity, base, settings, init_seed, engine)
        dtype = getattr(torch, base.dtype)
        self._passes = Passes(dtype, settings.tokens_per_micro_batch)
        torch.manual_seed(init_seed)
        self.tokenizer, self.model = read_policy("base.model", checkpoint, base.revision)
        mend_generation_config(self.model)
        self._drawn = torch.get_rng_state()
        self.adapter = apply_lora(self.model, base.lora) if base.lora.on else None
        self.model.to(device())
        if base.gradient_checkpointing:
            recompute_activations(self.model)
        self.policy = LanguagePolicy(self.model, settings.temperature, self._passes)
        self.engine = ENGINES[engine](
            self.model, self.tokenizer, settings.temperature, task.max_tokens, getattr(task, "boundaries", None),
            uses_template(base.chat, self.tokenizer), dtype, settings.tokens_per_generation_batch,
        )  # fmt: skip
        self.identity = {
            "world": "lm", **identity, "temperature": settings.temperature, "critic_bias": settings.critic_bias,
            "head": init_seed, **({} if engine == "transformers" else {"engine": engine}),
        }  # fmt: skip

    @cached_property
    def critic(self) -> LanguageCritic | NoCritic:
        """Made when first asked for, so that a recipe without one does not pay for it; the same whenever that is."""
        with torch.random.fork_rng(devices=[]):
            torch.set_rng_state(self._drawn)
            source = self._critic
            model = on_backbone(self.model, self._bias) if source is None else read_values(source, self._bias)
            if self.base.lora.on:
                apply_lora(model.base_model, self.base.lora)
        check_vocabulary(self._critic, model.config, self.model.config, self.tokenizer)
        if self.base.gradient_checkpointing:
            recompute_activations(model.base_model)
        return LanguageCritic(model, self._passes).to(device())

    def reference(self) -> Reference:
        """The present policy, frozen: what a KL penalty holds to. Adapters switched off are the policy they began on."""
        return Unadapted(self.policy) if self.adapter else copy.deepcopy(self.policy).requires_grad_(False)

    def join(self, ranks: Ranks) -> None:
        """Share sampling, grading and passes through the networks."""
        self.ranks = self.engine.ranks = ranks
        self.task = SharedTask(self.task, ranks)

    def exact_metrics(self) -> dict[str, float]:
        """Nothing is known of a language model without sampling."""
        return {}

    def exact_gradient(self, problems: Sequence[Problem]) -> None:
        """Not known."""

    def exact_change(self, policy: nn.Module, problems: Sequence[Problem]) -> None:
        """Not known."""

    def exact_changes(self, problems: Sequence[Problem]) -> None:
        """Not known."""

    def exact_outcomes(self, problems: Sequence[Problem]) -> None:
        """Not known."""

    def demonstrated(self, problems: Sequence[Problem], seed: int) -> Batch:
        """The task's demonstrations, stop token included, as responses."""
        rng, text = np.random.default_rng(seed), self.engine.text
        written = [text.written(self.task.demonstration(p, rng)) for p in problems]
        return Batch.ungraded(self.engine.write(text.prompts([p.prompt for p in problems]), written))

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

    def merged(self, batch: Batch, weights: Mapping[str, Tensor]) -> tuple[Batch, Mapping[str, Tensor]]:
        """As it is: prefixes differ."""
        return batch, weights

    def describe(self, rollout: Rollout) -> list[list[TokenDescription]]:
        """What each token adds to its response: joined, the response, and the stop token by its name."""
        ids, text = rollout.inputs["ids"][:, -rollout.mask.shape[1] :], self.engine.text
        rows = [row[keep].tolist() for row, keep in zip(ids, rollout.mask, strict=True)]
        names = {token: self.tokenizer.decode([token]) for token in text.stops}
        return [
            [TokenDescription(names.get(token, piece), "") for token, piece in zip(row, pieces, strict=True)]
            for row, pieces in zip(rows, text.pieces(rows, rollout.responses), strict=True)
        ]

    def check(self, split: str, problems: Sequence[Problem]) -> None:
        """Tokens, embeddings and positions for every prompt and its longest answer."""
        check_problems(self.engine, split, problems)

    def try_saving(self) -> None:
        """Configurations and tokenizer, without weights."""
        try_saving(self._name, self.model, self.tokenizer, getattr(self.critic, "model", None))

    def save(self, folder: Path | str) -> None:
        """Policy and critic as folders `from_pretrained` loads, tokenizer included; adapters merged, and by themselves."""
        policy, critic = Path(folder) / "policy", Path(folder) / "critic"
        self._name_stops()
        self.model.save_pretrained(policy, state_dict=merged(self.model))
        self.tokenizer.save_pretrained(policy)
        if self.adapter is not None:
            self.adapter.save_pretrained(policy / "adapter", save_embedding_layers=False)
            save_trained(self.model, policy)
        self.critic.save(critic)

    def _name_stops(self) -> None:
        """Let the model's configurations name every stop token, so that others stop where training did."""
        stops = list(self.engine.text.stops)
        named = stops[0] if len(stops) == 1 else stops or None
        self.model.generation_config.eos_token_id = self.model.config.eos_token_id = named

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""
        if self.adapter is not None:
            load_trained(self.model, folder / "policy")
        else:
            load_back(self.model, folder / "policy")
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
