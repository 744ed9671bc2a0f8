"""Sampling with a Hugging Face model and its key-value cache; records the log-probability of every sampled token."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from vapo_core.devices import computing, generator
from vapo_core.models.policy import positions
from vapo_core.rollout.decoding import Decoding, decoding
from vapo_core.rollout.text_engine import UNWRITTEN, TextEngine
from vapo_core.seeds import child


class TransformersEngine(TextEngine):
    """Shares the trained model, so there is nothing to synchronise."""

    def sample(
        self, prefixes: Sequence[list[int]], limits: Sequence[int], seed: int, each: int, part: slice
    ) -> tuple[Tensor, Tensor]:
        """Samples as `TextEngine.sample` says, from as many generations as the cache may hold at once."""
        found = []
        with torch.no_grad(), evaluating(self.model), computing(self.dtype, next(self.model.parameters()).device):
            for number, run in enumerate(_consecutive(prefixes, limits, each, self.most_tokens)):
                own = slice(max(run.start, part.start), min(run.stop, part.stop))
                if own.start < own.stop:
                    place = Place(own.start - run.start, run.stop - run.start)
                    own_seed = child(seed, number) if number else seed
                    found.append(self._sample(*self.pad_left(prefixes[own]), limits[own], own_seed, each, place))
        width = max(tokens.shape[1] for tokens, _ in found)
        tokens = [F.pad(tokens, (0, width - tokens.shape[1]), value=UNWRITTEN) for tokens, _ in found]
        return torch.cat(tokens), torch.cat([F.pad(logp, (0, width - logp.shape[1])) for _, logp in found])

    def _sample(
        self, prompt: Tensor, attention: Tensor, limits: Sequence[int], seed: int, each: int, place: "Place"
    ) -> tuple[Tensor, Tensor]:
        """Tokens (unwritten places marked) and their log-probabilities, [B, T] up to the longest response.

        prompt, attention: [N, P]; B = N * each.
        """
        device = prompt.device
        limit = torch.tensor(limits, device=device).repeat_interleave(each)
        random = generator(child(seed), device)
        tokens = torch.full((len(limit), max(limits)), UNWRITTEN, device=device)
        logp = torch.zeros(tokens.shape, device=device)
        writing = torch.arange(len(limit), device=device)  # rows still in the decoding batch
        logits, batch = self._read_prompts(prompt, attention, each, tokens.shape[1])
        for column in range(tokens.shape[1]):
            rows = torch.log_softmax(logits.float() / self.temperature, dim=-1)
            # Drawn for every row, finished or not, here or not: what a row samples never depends on any other.
            noise = torch.rand((place.of * each, rows.shape[1]), generator=random, device=device)
            noise = noise[place.first * each + writing]
            token = (rows - torch.log(-torch.log(noise.clamp(1e-12, 1 - 1e-7)))).argmax(1)
            tokens[writing, column] = token
            logp[writing, column] = rows.gather(1, token[:, None]).squeeze(1)
            going = (~self.text.ends(token) & (limit[writing] > column + 1)).nonzero().squeeze(1)
            if not len(going):
                break
            if len(going) < len(writing):
                writing, token = writing[going], token[going]
                batch.keep(going)
            logits = batch.read(token)
        return tokens[:, : column + 1], logp[:, : column + 1]

    def _read_prompts(self, prompt: Tensor, attention: Tensor, each: int, room: int) -> tuple[Tensor, Decoding]:
        """[B, V] logits of the first token of `each` samples per prompt, and the batch that goes on from there."""
        output = self.model(
            input_ids=prompt,
            attention_mask=attention,
            position_ids=positions(attention),
            use_cache=True,
            logits_to_keep=1,
        )
        cache = output.past_key_values
        cache.batch_repeat_interleave(each)
        logits = output.logits[:, -1].repeat_interleave(each, 0)
        return logits, decoding(self.model, cache, attention.repeat_interleave(each, 0), room)


class Place(NamedTuple):
    """Where prefixes stand among those that share a random stream."""

    first: int
    """Number of the first of them."""
    of: int
    """How many share it."""


def _consecutive(prefixes: Sequence[list[int]], limits: Sequence[int], each: int, most: float) -> list[slice]:
    """Prefixes in runs of which none grows beyond `most` tokens, unless a single prefix does."""
    begins, longest, furthest = [0], 0, 0
    for number, (prefix, limit) in enumerate(zip(prefixes, limits, strict=True)):
        longest, furthest = max(longest, len(prefix)), max(furthest, limit)
        if (number + 1 - begins[-1]) * each * (longest + furthest) > most and number > begins[-1]:
            begins.append(number)
            longest, furthest = len(prefix), limit
    return [slice(begin, end) for begin, end in zip(begins, [*begins[1:], len(prefixes)], strict=True)]


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """The model in evaluation mode; afterwards as it was."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)
