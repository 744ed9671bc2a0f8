"""Sampling with a Hugging Face model and its key-value cache; records the log-probability of every sampled token."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from vapo_core.policy import positions
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
        return self.complete([ids for ids in encoded for _ in range(answers_each)], self.max_tokens, seed)

    @torch.no_grad()
    def complete(self, prefixes: Sequence[list[int]], max_tokens: int, seed: int) -> Rollout:
        """Continue token prefixes by up to `max_tokens` tokens each; rows with equal prefixes are independent samples."""
        was_training = self.model.training
        self.model.eval()
        prompt, prompt_attention = self._pad_left(prefixes)
        tokens, logp = self._sample(prompt, prompt_attention, max_tokens, torch_generator(seed))
        self.model.train(was_training)
        return self._rollout(prompt, prompt_attention, tokens, logp)

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
        mask, texts = tokens != _UNWRITTEN, self._texts(tokens)
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

    def _sample(
        self, prompt: Tensor, attention: Tensor, max_tokens: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Tokens (unwritten places marked) and their log-probabilities, [B, T] up to the longest response."""
        tokens = torch.full((len(prompt), max_tokens), _UNWRITTEN, device=prompt.device)
        logp = torch.zeros(tokens.shape, device=prompt.device)
        writing = torch.arange(len(prompt), device=prompt.device)  # rows still in the decoding batch
        step_ids, step_positions, cache, column = prompt, positions(attention), None, 0
        while column < max_tokens and len(writing):
            output = self.model(
                input_ids=step_ids, attention_mask=attention, position_ids=step_positions,
                past_key_values=cache, use_cache=True, logits_to_keep=1,
            )  # fmt: skip
            cache = output.past_key_values
            rows = torch.log_softmax(output.logits[:, -1].float() / self.temperature, dim=-1)
            # Drawn for every row, finished or not: what one row samples never depends on when another ends.
            noise = torch.rand((len(prompt), rows.shape[1]), generator=generator).to(rows.device)[writing]
            token = (rows - torch.log(-torch.log(noise.clamp(1e-12, 1 - 1e-7)))).argmax(1)
            tokens[writing, column] = token
            logp[writing, column] = rows.gather(1, token[:, None]).squeeze(1)
            column += 1
            going = (token != self.tokenizer.eos_token_id).nonzero().squeeze(1)
            if len(going) < len(writing):
                writing, token, attention = writing[going], token[going], attention[going]
                cache.batch_select_indices(going)
            attention = torch.cat([attention, attention.new_ones((len(writing), 1))], dim=1)
            step_ids, step_positions = token[:, None], attention.sum(1, keepdim=True) - 1
        return tokens[:, :column], logp[:, :column]

    def _pad_left(self, prefixes: Sequence[list[int]]) -> tuple[Tensor, Tensor]:
        """[B, P] ids and attention."""
        width = max(len(p) for p in prefixes)
        pad = self.tokenizer.pad_token_id
        ids = torch.tensor([[pad] * (width - len(p)) + list(p) for p in prefixes])
        attention = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prefixes])
        device = next(self.model.parameters()).device
        return ids.to(device), attention.to(device)

    def _texts(self, tokens: Tensor) -> list[str]:
        """Responses as text, without the stop token. Other special tokens stay visible, so a verifier refuses them."""
        unread = (_UNWRITTEN, self.tokenizer.eos_token_id)
        rows = [[token for token in row if token not in unread] for row in tokens.tolist()]
        return self.tokenizer.batch_decode(rows, skip_special_tokens=False, clean_up_tokenization_spaces=False)


_UNWRITTEN = -1
