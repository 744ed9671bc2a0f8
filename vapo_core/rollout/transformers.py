"""Sampling with a Hugging Face model and its key-value cache; records the log-probability of every sampled token."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from vapo_core.policy import positions
from vapo_core.rollout.decoding import Decoding, decoding
from vapo_core.seeds import torch_generator
from vapo_core.types import Problem, Rollout

Boundaries = Callable[[str], list[int]]
"""Character positions in a response after each step of reasoning."""


class TransformersEngine:
    """Shares the trained model, so there is nothing to synchronise."""

    def __init__(
        self, model: Any, tokenizer: Any, temperature: float, max_tokens: int, boundaries: Boundaries | None = None
    ) -> None:
        """Args: boundaries, where a task's steps end in a response's text; every token is a step without it."""
        self.model, self.tokenizer, self.temperature, self.max_tokens = model, tokenizer, temperature, max_tokens
        self.boundaries = boundaries

    def sync(self) -> None:
        """The engine reads the policy's own weights."""

    def generate(self, problems: Sequence[Problem], answers_each: int, seed: int) -> Rollout:
        """`answers_each` responses per problem."""
        encoded = self.tokenizer([p.prompt for p in problems])["input_ids"]
        return self.complete(encoded, self.max_tokens, seed, answers_each)

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
        prompt, attention = self._pad_left(prefixes)
        with _without_dropout(self.model):
            tokens, logp = self._sample(prompt, attention, max_tokens, seed, each)
        return self._rollout(prompt.repeat_interleave(each, 0), attention.repeat_interleave(each, 0), tokens, logp)

    def endings(
        self, prefixes: Sequence[list[int]], max_tokens: int | Sequence[int], seed: int, each: int
    ) -> list[list[int]]:
        """The tokens that `complete` samples, stop token included, and nothing else of it: B lists."""
        with _without_dropout(self.model):
            tokens, _ = self._sample(*self._pad_left(prefixes), max_tokens, seed, each)
        return [[token for token in row if token != _UNWRITTEN] for row in tokens.tolist()]

    def write(self, prompts: Sequence[list[int]], responses: Sequence[list[int]]) -> Rollout:
        """Given token responses in the form of sampled ones, log-probabilities 0."""
        prompt, attention = self._pad_left(prompts)
        tokens = torch.full((len(responses), max(map(len, responses))), _UNWRITTEN)
        for row, response in enumerate(responses):
            tokens[row, : len(response)] = torch.tensor(response)
        tokens = tokens.to(prompt.device)
        return self._rollout(prompt, attention, tokens, torch.zeros(tokens.shape, device=tokens.device))

    def _rollout(self, prompt: Tensor, prompt_attention: Tensor, tokens: Tensor, logp: Tensor) -> Rollout:
        """Prompts and responses side by side."""
        mask = tokens != _UNWRITTEN
        texts = self.texts([[token for token in row if token != _UNWRITTEN] for row in tokens.tolist()])
        ended = (tokens == self.tokenizer.eos_token_id).any(1)
        ids = torch.cat([prompt, tokens.where(mask, self.tokenizer.pad_token_id)], dim=1)
        return Rollout(
            inputs={"ids": ids, "attention": torch.cat([prompt_attention, mask.to(prompt_attention)], dim=1)},
            mask=mask,
            logp=logp,
            responses=tuple(texts),
            truncated=~ended,
            step=self._steps(tokens, texts).to(tokens.device),
        )

    def _steps(self, tokens: Tensor, texts: list[str]) -> Tensor:
        """[B, T] step of each token: how many boundaries its text begins at or after."""
        each = torch.arange(tokens.shape[1]).expand(tokens.shape)
        ends = [] if self.boundaries is None else [self.boundaries(text) for text in texts]
        if not any(ends):
            return each
        pieces = {i: len(self.tokenizer.decode([i])) for i in tokens.unique().tolist() if i != _UNWRITTEN}
        width = tokens.cpu().clone().apply_(lambda i: pieces.get(i, 0))
        begins = width.cumsum(1) - width
        return torch.stack([
            torch.searchsorted(torch.tensor(row, dtype=torch.long), begin.contiguous(), right=True)
            for row, begin in zip(ends, begins, strict=True)
        ])  # fmt: skip

    @torch.no_grad()
    def _sample(
        self, prompt: Tensor, attention: Tensor, max_tokens: int | Sequence[int], seed: int, each: int
    ) -> tuple[Tensor, Tensor]:
        """Tokens (unwritten places marked) and their log-probabilities, [B, T] up to the longest response.

        prompt, attention: [N, P]; B = N * each.
        """
        limits = torch.as_tensor(max_tokens, device=prompt.device).expand(len(prompt)).repeat_interleave(each)
        generator = torch_generator(seed)
        tokens = torch.full((len(limits), int(limits.max())), _UNWRITTEN, device=prompt.device)
        logp = torch.zeros(tokens.shape, device=prompt.device)
        writing = torch.arange(len(limits), device=prompt.device)  # rows still in the decoding batch
        logits, batch = self._read_prompts(prompt, attention, each, tokens.shape[1])
        for column in range(tokens.shape[1]):
            rows = torch.log_softmax(logits.float() / self.temperature, dim=-1)
            # Drawn for every row, finished or not: what one row samples never depends on when another ends.
            noise = torch.rand((len(limits), rows.shape[1]), generator=generator).to(rows.device)[writing]
            token = (rows - torch.log(-torch.log(noise.clamp(1e-12, 1 - 1e-7)))).argmax(1)
            tokens[writing, column] = token
            logp[writing, column] = rows.gather(1, token[:, None]).squeeze(1)
            going = ((token != self.tokenizer.eos_token_id) & (limits[writing] > column + 1)).nonzero().squeeze(1)
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

    def _pad_left(self, prefixes: Sequence[list[int]]) -> tuple[Tensor, Tensor]:
        """[B, P] ids and attention."""
        width = max(len(p) for p in prefixes)
        pad = self.tokenizer.pad_token_id
        ids = torch.tensor([[pad] * (width - len(p)) + list(p) for p in prefixes])
        attention = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prefixes])
        device = next(self.model.parameters()).device
        return ids.to(device), attention.to(device)

    def texts(self, responses: Sequence[list[int]]) -> list[str]:
        """Responses as text, without the stop token. Other special tokens stay visible, so a verifier refuses them."""
        rows = [[token for token in row if token != self.tokenizer.eos_token_id] for row in responses]
        return self.tokenizer.batch_decode(rows, skip_special_tokens=False, clean_up_tokenization_spaces=False)


_UNWRITTEN = -1


@contextmanager
def _without_dropout(model: Any) -> Iterator[None]:
    """The model in evaluation mode; afterwards as it was."""
    was_training = model.training
    model.eval()
    yield
    model.train(was_training)
