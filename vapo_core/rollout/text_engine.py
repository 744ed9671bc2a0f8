"""Common parts of engines on text: reading prompts, room for answers, assembling token batches."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from vapo_core.distributed.ranks import Ranks, Single
from vapo_core.models.text import Text, stops_of
from vapo_core.rollout.asking import Capacity, check_prompts, room_of
from vapo_core.types import Problem, Rollout

Boundaries = Callable[[str], list[int]]
"""Character positions in a response after each step of reasoning."""

UNWRITTEN = -1
"""Stands in [B, T] tokens where a response is over."""


class TextEngine:
    """Token lists in, rollouts out; `sample` is what differs between engines."""

    ranks: Ranks = Single()
    """The processes that share the sampling."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        temperature: float,
        max_tokens: int,
        boundaries: Boundaries | None = None,
        chat: bool = False,
        dtype: torch.dtype = torch.float32,
        most_tokens: float = float("inf"),
    ) -> None:
        """Args: model, the trained one, whose stop tokens, positions and device count; temperature, of the softmax;
        boundaries, where a task's steps end in a response's text (every token is a step without it); chat, whether prompts
        go through the chat template; dtype, what passes compute in; most_tokens, most that a key-value cache of the
        engine's own may come to hold.

        Raises:
            ValueError: if the engine cannot sample from this model in this way.
        """
        self.model, self.tokenizer, self.max_tokens, self.boundaries = model, tokenizer, max_tokens, boundaries
        self.temperature, self.dtype, self.most_tokens = temperature, dtype, most_tokens
        self.text = Text(tokenizer, chat, stops_of(model, tokenizer))
        self.start()

    @property
    def exact(self) -> bool:
        """In single precision: decoding rounds otherwise than a whole pass, which bfloat16 shows."""
        return self.dtype == torch.float32

    @property
    def room(self) -> Capacity:
        """What it has places for."""
        return room_of(self.model)

    @property
    def pad(self) -> int:
        """A token in places that nothing reads: any that has an embedding, which an added one may not."""
        return self.text.pad if self.text.pad < self.room.tokens else 0

    def start(self) -> None:
        """It needs nothing but the model."""

    def sample(
        self, prefixes: Sequence[list[int]], limits: Sequence[int], seed: int, each: int, part: slice
    ) -> tuple[Tensor, Tensor]:
        """Tokens, UNWRITTEN where a response is over, and their log-probabilities, [b * each, T] up to the longest.

        Args:
            prefixes: N lists of tokens.
            limits: most tokens of a continuation, N numbers.
            seed: the same seed gives the same samples.
            each: samples per prefix, side by side.
            part: the b consecutive prefixes to continue, as they would be continued among all N.
        """
        raise NotImplementedError

    def sync(self) -> None:
        """The engine reads the policy's own weights."""

    def release(self) -> None:
        """It has no memory of its own."""

    def complete(
        self, prefixes: Sequence[list[int]], max_tokens: int | Sequence[int], seed: int, each: int = 1
    ) -> Rollout:
        """Continue token prefixes; rows of one prefix stand side by side and are independent samples.

        Args:
            prefixes: N lists of tokens; each is read once, however many samples it gets.
            max_tokens: most tokens of a continuation, one number for all prefixes or one for each.
            seed: the same seed gives the same samples.
            each: samples per prefix; the rollout has B = N * each rows.
        """
        tokens, logp = self._sampled(prefixes, max_tokens, seed, each)
        prompt, attention = self.pad_left(prefixes)
        return self.rollout(prompt.repeat_interleave(each, 0), attention.repeat_interleave(each, 0), tokens, logp)

    def endings(
        self, prefixes: Sequence[list[int]], max_tokens: int | Sequence[int], seed: int, each: int
    ) -> list[list[int]]:
        """The tokens that `complete` samples, stop token included, and nothing else of it: B lists."""
        tokens, _ = self._sampled(prefixes, max_tokens, seed, each)
        return [[token for token in row if token != UNWRITTEN] for row in tokens.tolist()]

    def _sampled(
        self, prefixes: Sequence[list[int]], max_tokens: int | Sequence[int], seed: int, each: int
    ) -> tuple[Tensor, Tensor]:
        """`sample` of all prefixes, of which every rank continues its share."""
        limits = [max_tokens] * len(prefixes) if isinstance(max_tokens, int) else list(max_tokens)
        check_prompts(prefixes, limits, self.room)
        part = self.ranks.share(len(prefixes))
        device = next(self.model.parameters()).device
        with self.ranks.unsharded(self.model):
            if part.start < part.stop:
                tokens, logp = self.sample(prefixes, limits, seed, each, part)
            else:  # fewer prefixes than ranks
                tokens, logp = torch.zeros(0, 1, dtype=torch.long), torch.zeros(0, 1)
        found = self.ranks.padded({"tokens": (tokens, UNWRITTEN), "logp": (logp, 0.0)})
        return found["tokens"].to(device), found["logp"].to(device)

    def generate(self, problems: Sequence[Problem], answers_each: int, seed: int) -> Rollout:
        """`answers_each` responses per problem."""
        return self.complete(self.text.prompts([p.prompt for p in problems]), self.max_tokens, seed, answers_each)

    def write(self, prompts: Sequence[list[int]], responses: Sequence[list[int]]) -> Rollout:
        """Given token responses in the form of sampled ones, log-probabilities 0."""
        prompt, attention = self.pad_left(prompts)
        tokens = side_by_side(responses, UNWRITTEN, torch.long).to(prompt.device)
        return self.rollout(prompt, attention, tokens, torch.zeros(tokens.shape, device=tokens.device))

    def texts(self, responses: Sequence[list[int]]) -> list[str]:
        """Responses as text, without the stop token. Other special tokens stay visible, so a verifier refuses them."""
        return self.text.responses(responses)

    def rollout(self, prompt: Tensor, prompt_attention: Tensor, tokens: Tensor, logp: Tensor) -> Rollout:
        """Prompts [B, P] and responses [B, T] side by side; UNWRITTEN where a response is over."""
        mask = tokens != UNWRITTEN
        texts = self.texts([[token for token in row if token != UNWRITTEN] for row in tokens.tolist()])
        ids = torch.cat([prompt, tokens.where(mask, self.pad)], dim=1)
        return Rollout(
            inputs={"ids": ids, "attention": torch.cat([prompt_attention, mask.to(prompt_attention)], dim=1)},
            mask=mask,
            logp=logp,
            responses=tuple(texts),
            truncated=~self.text.ends(tokens).any(1),
            step=self._steps(tokens, texts).to(tokens.device),
        )

    def pad_left(self, prefixes: Sequence[list[int]]) -> tuple[Tensor, Tensor]:
        """[N, P] ids and attention, on the model's device."""
        width, pad = max(len(p) for p in prefixes), self.pad
        ids = torch.tensor([[pad] * (width - len(p)) + list(p) for p in prefixes])
        attention = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prefixes])
        device = next(self.model.parameters()).device
        return ids.to(device), attention.to(device)

    def _steps(self, tokens: Tensor, texts: list[str]) -> Tensor:
        """[B, T] step of each token: how many boundaries of the text lie at or before its first character.

        A token that continues a character begins where that character does; a stop token begins where the text ends.
        """
        each = torch.arange(tokens.shape[1]).expand(tokens.shape)
        ends = [] if self.boundaries is None else [self.boundaries(text) for text in texts]
        if not any(ends):
            return each
        rows = [[token for token in row if token != UNWRITTEN] for row in tokens.tolist()]
        steps = np.repeat([[len(row)] for row in ends], tokens.shape[1], axis=1)
        for step, places, pieces in zip(steps, ends, self.text.pieces(rows, texts), strict=True):
            begins = np.cumsum([0, *map(len, pieces)])[:-1]
            step[: len(begins)] = np.searchsorted(places, begins, side="right")
        return torch.from_numpy(steps)


def side_by_side(rows: Sequence[Sequence[float]], fill: float, dtype: torch.dtype) -> Tensor:
    """[B, T] lists up to the longest, shorter ones filled up on the right."""
    return pad_sequence([torch.tensor(row, dtype=dtype) for row in rows], batch_first=True, padding_value=fill)
