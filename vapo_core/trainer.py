"""The loop: sample -> generate -> verify -> value -> credit -> update -> report, with warm-up, checkpoints and resuming."""

import json
import sys
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vapo_core.files import dispensable, whole_folder
from vapo_core.functional.advantages import returns_to_go
from vapo_core.functional.losses import kl_k3
from vapo_core.models.critic import NoCritic
from vapo_core.probes import PROBES, CannotRun, View
from vapo_core.probes.generalization import PROBLEMS as PER_SPLIT
from vapo_core.recipe import Recipe, Settings
from vapo_core.rollout.asking import CannotAsk
from vapo_core.seeds import child, seeds_of, torch_generator
from vapo_core.settings import Evaluation
from vapo_core.slots.credit import terminal_rewards
from vapo_core.tasks.sizes import check_sizes
from vapo_core.training import metrics
from vapo_core.training.activity import positive_grad_ratio
from vapo_core.training.collect import Graded, gather
from vapo_core.training.evaluate import evaluate, held_out_problems
from vapo_core.training.learner import Learner
from vapo_core.training.learning_batch import prepare
from vapo_core.training.mismatch import mismatch_metrics
from vapo_core.training.prompts import PromptStream
from vapo_core.training.update import Trace, update
from vapo_core.training.value_pretraining import WarmStart, warm_start
from vapo_core.types import AdvantageBatch, Batch
from vapo_core.worlds.base import World

Write = Callable[[int, Mapping[str, float]], None]
KeepArrays = Callable[[int, str, Mapping[str, np.ndarray]], None]


class Progress(NamedTuple):
    """Progress of a run; a checkpoint holds it beside weights and optimisers."""

    step: int
    """RL steps finished."""
    tokens: int
    """Tokens generated so far, warm-up and discarded groups included."""
    prompts: int
    """Prompts drawn from the stream so far."""


class Trainer:
    """One run of one recipe in one world."""

    def __init__(
        self,
        world: World,
        recipe: Recipe,
        settings: Settings,
        evaluation: Evaluation,
        seed: int,
        steps: int,
        cache: Path,
        log_every: int = 1,
        probes: Mapping[str, int] | None = None,
    ) -> None:
        """Args: steps, RL steps in all; cache, where warm critics are kept; log_every, RL steps between logged points;
        probes, RL steps between measurements by name (before the first step and after the last always).
        """
        self.world, self.recipe, self.settings, self.evaluation = world, recipe, settings, evaluation
        self.steps, self.cache, self.log_every = steps, cache, log_every
        self.seeds = seeds_of(seed)
        if not recipe.credit.needs_critic:
            world.critic = NoCritic()
        check_sizes(world.task.max_tokens, settings, evaluation)
        self.pool = world.task.sample(np.random.default_rng(self.seeds.data), settings.pool_size, "train")
        self.stream = PromptStream(self.pool, recipe.group_sampling, child(self.seeds.data, 1))
        self.ranks = world.ranks
        self.ranks.check(settings, probes or {})
        self.policy = Learner(world.policy, settings.policy_lr, settings, steps, settings.lr_warmup_steps, self.ranks)
        self.critic = Learner(world.critic, settings.critic_lr, settings, steps, ranks=self.ranks)
        self.reference = world.reference() if settings.kl_coef else None
        self.held_out = held_out_problems(world, evaluation, self.seeds.evaluation)
        self.probes = dict(probes or {})
        self._check_problems()
        self.keep_arrays: KeepArrays = _forget
        self.progress: Progress | None = None
        self.warm = WarmStart(0, "")

    def run(self, write: Write, checkpoint: Path | None = None, checkpoint_every: int = 0) -> Progress:
        """Train to the last step, writing metrics as they come.

        Args:
            write: called with (RL steps finished, named numbers); see `metrics.METRICS`.
            checkpoint: folder kept up to date, for `resume`.
            checkpoint_every: RL steps between checkpoints, the last step included; 0 for none.

        Raises:
            Diverged: when a loss, gradient or value stops being finite.
            ValueError: if no checkpoint could be written, before anything is trained.
        """
        if checkpoint and checkpoint_every:
            self.ranks.first(self.world.try_saving)
        progress = self.progress or self._begin(write)
        while progress.step < self.steps:
            progress = self._step(progress, write)
            due = checkpoint_every and (progress.step % checkpoint_every == 0 or progress.step == self.steps)
            if checkpoint and due:
                self.save(checkpoint, progress)
        self.progress = progress
        return progress

    def _check_problems(self) -> None:
        """Check all prompts before training: one too long for the model would otherwise end the run hours later."""
        asked = {"train": self.pool, "held_out": self.held_out}
        if "generalization" in self.probes:
            rng = np.random.default_rng(child(self.seeds.evaluation, 1))
            others = [split for split in self.world.task.splits if split not in asked]
            asked |= {split: self.world.task.sample(rng, PER_SPLIT, split) for split in others}
        for split, problems in asked.items():
            self.world.check(split, problems)

    def _begin(self, write: Write) -> Progress:
        """Make the warm critic and take the base policy's evaluation."""
        self.warm = warm_start(self.world, self.recipe, self.settings, self.pool, self.seeds, self.cache)
        progress = Progress(0, self.warm.tokens, 0)
        write(0, {**self._evaluate(), **self._probe(0), "tokens/generated": float(progress.tokens)})
        return progress

    def _step(self, progress: Progress, write: Write) -> Progress:
        """One RL step."""
        number, clock = progress.step, _Clock()
        self.world.engine.sync()
        graded = gather(
            self.world, self.recipe, self.settings, self.stream, progress.prompts, child(self.seeds.sampling, number)
        )
        clock.lap("timing/rollout_s")
        batch, credited, gap, value_tokens = prepare(
            self.world, self.recipe, self.settings, self.policy, self.reference, graded,
            child(self.seeds.sampling, number, 1),
        )  # fmt: skip
        clock.lap("timing/credit_s")
        finished = number + 1
        logged = finished % self.log_every == 0 or finished in (1, self.steps)
        before = self._before_update(graded, batch, credited) if logged else {}
        before |= mismatch_metrics(self.world.engine, gap, batch.mask, self.settings.importance_cap) if logged else {}
        self.world.engine.release()
        clock.skip()
        trace = update(
            batch, credited, self.recipe, self.settings, self.policy, self.critic,
            torch_generator(self.seeds.shuffle, number),
        )  # fmt: skip
        replayed = self.recipe.rehearsal(self.world, self.pool, self.settings, self.critic, self.seeds, finished)
        clock.lap("timing/update_s")
        progress = Progress(
            finished,
            progress.tokens + graded.generated_tokens + value_tokens + replayed,
            progress.prompts + graded.prompts_used,
        )
        evaluated = finished % self.evaluation.every == 0 or finished == self.steps
        results = self._evaluate() if evaluated else {}
        if evaluated:
            clock.lap("timing/evaluation_s")
        after = self._after_update(trace) if logged else {}
        probed = self._probe(finished)
        clock.lap("timing/probes_s")
        points = {**before, **after, **results, **probed}
        if points:
            write(finished, {**points, **clock.laps, "tokens/generated": float(progress.tokens)})
        self.policy.end_of_rl_step()
        self.critic.end_of_rl_step()
        return progress

    def _before_update(self, graded: Graded, batch: Batch, credited: AdvantageBatch) -> dict[str, float]:
        """Metrics of the batch under the policy that sampled it."""
        returns = returns_to_go(terminal_rewards(batch), batch.mask)
        entropy = self._entropy(batch)
        error = (credited.values - returns)[batch.mask]
        return {
            "reward/mean": float(batch.rewards.mean()),
            "reward/accuracy": float(batch.correct.float().mean()),
            "reward/reasoned": sum(g.reasoned for g in graded.grades) / len(graded.grades),
            "reward/parsed": sum(g.parsed for g in graded.grades) / len(graded.grades),
            "actor/entropy": metrics.masked_mean(entropy, batch),
            "actor/reference_kl": metrics.masked_mean(kl_k3(batch.logp_old, batch.logp_ref), batch),
            "actor/lr": self.policy.lr,
            "critic/lr": self.critic.lr,
            **metrics.value_metrics(batch, credited.values, returns),
            **metrics.length_metrics(batch.lengths, graded.truncated),
            **metrics.credit_activity(batch, credited, self.settings.fixed_lambda),
            **metrics.group_activity(batch.rewards, batch.group, [p.prompt for p in graded.problems]),
            "activity/value_pretraining": float(error.square().mean()),
            **self._nll_grad_ratio(batch, credited),
        }

    def _nll_grad_ratio(self, batch: Batch, credited: AdvantageBatch) -> dict[str, float]:
        """Gradient norm of the positive-example loss relative to the policy loss, on one mini-batch."""
        if self.ranks.is_sharded:
            return {}
        part = torch.arange(len(batch.mask) // self.settings.mini_batches)
        return positive_grad_ratio(
            self.world.policy, batch.take(part), credited.take(part), self.recipe, self.settings.tokens_per_micro_batch
        )

    def _entropy(self, batch: Batch) -> Tensor:
        """[B, T] entropy of the present policy."""
        return self.ranks.read(self.world.policy, batch)[1]

    def _after_update(self, trace: Trace) -> dict[str, float]:
        tokens = trace.tokens(self.ranks)
        return {
            **metrics.update_metrics(trace, tokens),
            **metrics.clip_activity(tokens, self.settings.clip_low, self.settings.clip_high),
        }

    def _evaluate(self) -> dict[str, float]:
        return evaluate(self.world, self.evaluation, self.held_out, self.seeds.evaluation)

    def _probe(self, step: int) -> dict[str, float]:
        """Metrics of the probes that are due; one that cannot run is left out, with its reason printed once."""
        due = [name for name, every in self.probes.items() if step % every == 0 or step == self.steps]
        found: dict[str, float] = {}
        for name in due:
            try:
                measurement = PROBES[name](self._view(step))
            except (CannotRun, CannotAsk) as reason:
                say_once(f"probe left out: {reason}")
                continue
            found |= {key: float(value) for key, value in measurement.metrics.items()}
            self.keep_arrays(step, name, measurement.arrays)
        return found

    def _view(self, step: int) -> View:
        return View(
            self.world, self.recipe, self.settings, self.seeds, step, self.pool, self.held_out, self.policy, self.critic,
            self.reference,
        )  # fmt: skip

    # --- checkpoints ---

    def save(self, folder: Path, progress: Progress) -> None:
        """Write a checkpoint atomically: weights, both optimisers and schedules, and where the run stands.

        One that cannot be written costs a warning: the run goes on and the next is tried again.

        Raises:
            OSError: if the disk is full.
        """
        learners = {"policy": self.policy.state_dict(), "critic": self.critic.state_dict()}
        with self.ranks.unsharded(self.world.policy, self.world.critic):
            self.ranks.first(lambda: self._keep(folder, progress, learners))

    def _keep(self, folder: Path, progress: Progress, learners: Mapping[str, Any]) -> None:
        with dispensable(f"checkpoint after step {progress.step}", folder):
            self._write(folder, progress, learners)

    def _write(self, folder: Path, progress: Progress, learners: Mapping[str, Any]) -> None:
        with whole_folder(folder) as scratch:
            self.world.save(scratch)
            for name, state in learners.items():
                with (scratch / name / "optimizer.pt").open("wb") as handle:  # by a path, torch hides a full disk
                    torch.save(state, handle)
            place = {"progress": progress._asdict(), "warm": self.warm._asdict()}
            (scratch / "progress.json").write_text(json.dumps(place))

    def resume(self, folder: Path) -> Progress:
        """Continue from a checkpoint; the run then equals the uninterrupted one bit for bit.

        Raises:
            FileNotFoundError: if there is no checkpoint in the folder.
        """
        state = json.loads((folder / "progress.json").read_text())
        self.progress, self.warm = Progress(**state["progress"]), WarmStart(**state["warm"])
        self.world.load(folder)
        for name, learner in (("policy", self.policy), ("critic", self.critic)):
            learner.load_state_dict(torch.load(folder / name / "optimizer.pt", weights_only=True))
        return self.progress


@cache
def say_once(line: str) -> None:
    """Print on stderr once per process: a grid has hundreds of runs with the same message."""
    print(line, file=sys.stderr)


def _forget(step: int, probe: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Discard a probe's arrays."""


class _Clock:
    """Seconds between laps."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def skip(self) -> None:
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = now - self._last
        self._last = now
