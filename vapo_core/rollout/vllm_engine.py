"""Sampling with vLLM: its weights follow the trained model's, and are checked each time they were handed over."""

import weakref
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from vapo_core.models.adapters import merged
from vapo_core.models.policy import LanguagePolicy, Passes
from vapo_core.rollout.asking import Capacity, room_of
from vapo_core.rollout.text_engine import UNWRITTEN, TextEngine, side_by_side
from vapo_core.rollout.transformers import evaluating
from vapo_core.rollout.vllm import server, shape_of
from vapo_core.seeds import child
from vapo_core.types import Batch

COLDEST = 0.01
"""Lowest temperature that vLLM samples at as asked: lower ones it raises to this, or takes for greedy."""

TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.25}
"""Nats by which a log-probability may differ from the policy's, by what passes compute in."""

HANDFUL = (4, 8, 4)
"""Prefixes compared after weights were handed over, tokens in each, and tokens sampled after each."""


class WrongWeights(ValueError):
    """The engine does not sample from the policy that is trained."""


class VLLMEngine(TextEngine):
    """Samples from weights of its own; if the trained model's have moved since they were handed over, `sample` does so first."""

    exact = False

    def start(self) -> None:
        """Begin with weights that mean nothing; the first sample hands over the model's. vLLM plans its cache itself.

        Raises:
            ValueError: if vLLM is not installed, or cannot sample from this model, or at this temperature.
        """
        if self.temperature < COLDEST:
            raise ValueError(f"settings.temperature = {self.temperature}: engine vllm samples at {COLDEST} or above")
        self._server = server(shape_of(self.model), str(self.dtype).removeprefix("torch."))

    def sync(self) -> None:
        """Hand the weights over and compare a handful of log-probabilities.

        Raises:
            WrongWeights: if they differ from the policy's by more than `TOLERANCE`.
        """
        self._server.take(merged(self.model))
        self._compare()
        self._server.holds = self._state()

    def release(self) -> None:
        """Give memory back until the next sample, where vLLM can: on a GPU."""
        self._server.sleep()

    def sample(
        self, prefixes: Sequence[list[int]], limits: Sequence[int], seed: int, each: int, part: slice
    ) -> tuple[Tensor, Tensor]:
        """Samples as `TextEngine.sample` says; log-probabilities are those vLLM sampled with."""
        if self._server.holds != self._state():
            self.sync()
        return self._ask(prefixes, limits, seed, each, part)

    @property
    def room(self) -> Capacity:
        """The model's, or vLLM's where its cache has room for less."""
        own, cache = room_of(self.model), self._server.room
        if own.positions is not None and own.positions <= cache:
            return own
        return Capacity(own.tokens, cache, "the room in the cache of engine vllm (on a CPU VLLM_CPU_KVCACHE_SPACE GiB)")

    def _ask(
        self, prefixes: Sequence[list[int]], limits: Sequence[int], seed: int, each: int, part: slice
    ) -> tuple[Tensor, Tensor]:
        """`sample` with the weights that vLLM has."""
        rows = [number for number in range(part.start, part.stop) for _ in range(each)]
        seeds = [child(seed, part.start * each + row) for row in range(len(rows))]
        found = self._server.answers(
            [prefixes[n] for n in rows], [limits[n] for n in rows], seeds, self.temperature, self.text.stops
        )
        tokens = side_by_side([answer.tokens for answer in found], UNWRITTEN, torch.long)
        logp = side_by_side([answer.logp for answer in found], 0.0, torch.float32)
        device = next(self.model.parameters()).device
        return tokens.to(device), logp.to(device)

    def _state(self) -> tuple[object, ...]:
        """Equal only for this model with these weights. Sums, since fused optimisers write unseen by version counters."""
        sums = torch.stack([parameter.detach().sum() for parameter in self.model.parameters()])
        return weakref.ref(self.model), *sums.tolist()

    def _compare(self) -> None:
        """Sample a few tokens after arbitrary ones, and ask the policy about them."""
        number, length, more = HANDFUL
        prefixes = np.random.default_rng(0).integers(self.model.config.vocab_size, size=(number, length)).tolist()
        tokens, logp = self._ask(prefixes, [more] * number, 0, 1, slice(0, number))
        batch = Batch.ungraded(self.rollout(*self.pad_left(prefixes), tokens, logp))
        with torch.no_grad(), evaluating(self.model):
            own, _ = LanguagePolicy(self.model, self.temperature, Passes(self.dtype))(batch)
        gap = float((own - logp)[batch.mask].abs().max())
        if not gap <= TOLERANCE[self.dtype]:
            raise WrongWeights(
                f"engine = 'vllm': after the weights were handed over, its log-probabilities are up to {gap:.3g} nats off"
                f" the policy's ({TOLERANCE[self.dtype]:g} are allowed): it would not sample from the policy that is trained"
            )
