"""One RL step against its floor, the bare decode, forward and backward of the same tokens."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from experiments.benchmarks.models import MIXED, model_of, prompts_of, scripted_engine
from experiments.benchmarks.timing import TimingRow, rows, take_turns
from vapo_core.models.critic import NoCritic
from vapo_core.models.policy import LanguagePolicy, positions
from vapo_core.models.ragged import in_groups
from vapo_core.recipe import Settings, assemble
from vapo_core.rollout.decoding import ModelDecoding, decoding
from vapo_core.seeds import torch_generator
from vapo_core.settings import RECIPES
from vapo_core.training.learner import Learner
from vapo_core.training.update import assign_credit, update
from vapo_core.types import Batch

RESPONSES, GROUP = 256, 16
SETTINGS = Settings(
    responses_per_step=RESPONSES, group_size=GROUP, pool_size=16, mini_batches=1, policy_lr=1e-4, warmup_steps=0
)
EQUAL = [32] * RESPONSES
LENGTHS = {"256 answers of 32": EQUAL, "256 answers, 9 of 16 to 1 of 160": MIXED}


def measure(quick: bool) -> list[TimingRow]:
    """Recipe grpo: sample, grade, credit, update; beside it the floor by the model as it comes, and a leaner one."""
    found = []
    for size in ("tiny",) if quick else ("tiny", "w128"):
        for case, lengths in LENGTHS.items():
            step = Step(size, lengths)
            ways: dict[str, Callable[[], Any]] = {
                "floor": partial(step.floor, lean=False),
                "floor, lean decoding and little padding": partial(step.floor, lean=True),
                "step": step.full_step,
            }
            seconds = take_turns(ways, 3 if quick else 7)
            found += rows("rl step", f"{size}, {case}", seconds, "floor", sum(lengths), "tokens")
    return found


class Step:
    """A model, and what one step does with it."""

    def __init__(self, size: str, lengths: list[int]) -> None:
        self.model, self.tokenizer = model_of(size)
        self.lengths = lengths
        self.engine = scripted_engine(self.model, self.tokenizer, max(lengths))
        self.prompts = prompts_of(self.tokenizer, RESPONSES // GROUP)
        bundle = RECIPES["grpo"]
        self.recipe = assemble(bundle.toggles, SETTINGS, bundle.variants)
        self.reader = LanguagePolicy(self.model, 1.0)
        self.policy = Learner(self.reader, SETTINGS.policy_lr, SETTINGS, 1000)
        self.critic = Learner(NoCritic(), SETTINGS.critic_lr, SETTINGS, 1000)
        self.rollout = self.sample()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-4)

    def sample(self) -> Any:
        """As the trainer does, a prompt is read once for its answers; only a script of unequal lengths asks one by one."""
        if len(set(self.lengths)) == 1:
            return self.engine.complete(self.prompts, self.lengths[0], 0, GROUP)
        return self.engine.complete([p for p in self.prompts for _ in range(GROUP)], self.lengths, 0)

    def full_step(self) -> None:
        """Sample, grade by a simple rule, assign credit, update."""
        rollout = self.sample()
        rewards = torch.tensor([float(text.count("a") > len(text) // 30) for text in rollout.responses])
        batch = self._batch(rollout, rewards)
        credited = assign_credit(batch, torch.zeros_like(batch.logp_old), self.recipe)
        update(batch, credited, self.recipe, SETTINGS, self.policy, self.critic, torch_generator(0))

    def _batch(self, rollout: Any, rewards: Tensor) -> Batch:
        groups = torch.arange(RESPONSES) // GROUP
        return Batch(
            rollout.inputs, rollout.mask, rollout.logp, rollout.logp, rewards, rewards == 1, groups, rollout.step
        )

    def floor(self, lean: bool) -> None:
        """Read the step's own tokens one by one, as decoding must; then one forward, backward and optimiser step."""
        self._decode(lean)
        ids, attention, mask = self.rollout.inputs["ids"], self.rollout.inputs["attention"], self.rollout.mask
        read, apart = self.reader.read, torch.arange(len(ids))
        logp = in_groups(Batch.ungraded(self.rollout), read)[0] if lean else read(ids, attention, mask, apart)[0]
        (-logp.sum() / mask.sum()).backward()
        self.optimizer.step()
        self.optimizer.zero_grad()

    @torch.no_grad()
    def _decode(self, lean: bool) -> None:
        ids, attention = self.rollout.inputs["ids"], self.rollout.inputs["attention"]
        tokens = self.rollout.mask.shape[1]
        start = ids.shape[1] - tokens
        heads, seen = ids[:, :start], attention[:, :start]
        cache = self.model(
            input_ids=heads, attention_mask=seen, position_ids=positions(seen), use_cache=True, logits_to_keep=1
        ).past_key_values
        batch = decoding(self.model, cache, seen, tokens) if lean else ModelDecoding(self.model, cache, seen)
        left = torch.arange(len(ids))
        for t in range(tokens - 1):
            going = (torch.tensor(self.lengths)[left] > t + 1).nonzero().squeeze(1)
            if len(going) < len(left):
                left = left[going]
                batch.keep(going)
            batch.read(ids[left, start + t])
