"""Sampling with a Hugging Face model and its key-value cache; records the log-probability of every sampled token."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from vapo_core.policy import positions
from vapo_core.seeds import torch_generator
from vapo_core.types import Problem, Rollout


class TransformersEngine:
    """Shares the trained model, so there is nothing to synchronise."""

    def __init__(self, model: Any, tokenizer: Any, temperature: float, max_tokens: int) -> None:
        self.model, self.tokenizer, self.temperature, self.max_tokens = model, tokenizer, temperature, max_tokens

    def sync(self) -> None:
        """The engine reads the policy's own weights."""

    def generate(self, problems: Sequence[Problem], answers_each: int, seed: int) -> Rollout:
        """`answers_each` responses per problem."""
        prompts = [ids for p in problems for ids in [self.tokenizer(p.prompt)["input_ids"]] * answers_each]
        return self.complete(prompts, self.max_tokens, seed)

    @torch.no_grad()
    def complete(self, prefixes: Sequence[list[int]], max_tokens: int, seed: int) -> Rollout:
        """Continue token prefixes by up to `max_tokens` tokens each; rows with equal prefixes are independent samples."""
        ids, attention = self._pad_left(prefixes)
        prompt_columns, generator = ids.shape[1], torch_generator(seed)
        was_training = self.model.training
        self.model.eval()
        writing, logps, written, cache = torch.ones(len(ids), dtype=torch.bool, device=ids.device), [], [], None
        step_ids, step_positions = ids, positions(attention)
        while len(logps) < max_tokens and bool(writing.any()):
            output = self.model(
                input_ids=step_ids, attention_mask=attention, position_ids=step_positions,
                past_key_values=cache, use_cache=True, logits_to_keep=1,
            )  # fmt: skip
            cache = output.past_key_values
            rows = torch.log_softmax(output.logits[:, -1].float() / self.temperature, dim=-1)
            noise = torch.rand(rows.shape, generator=generator).to(rows.device)  # on the CPU: one stream on any device
            token = (rows - torch.log(-torch.log(noise.clamp(1e-12, 1 - 1e-7)))).argmax(1)
            logps.append(rows.gather(1, token[:, None]).squeeze(1).where(writing, 0.0))
            token = token.where(writing, self.tokenizer.pad_token_id)
            written.append(writing)
            ids = torch.cat([ids, token[:, None]], dim=1)
            attention = torch.cat([attention, writing[:, None].to(attention)], dim=1)
            step_ids, step_positions = token[:, None], attention.sum(1, keepdim=True) - 1
            writing = writing & (token != self.tokenizer.eos_token_id)
        self.model.train(was_training)
        mask = torch.stack(written, dim=1)
        return Rollout(
            inputs={"ids": ids, "attention": attention},
            mask=mask,
            logp=torch.stack(logps, dim=1),
            responses=tuple(self._texts(ids[:, prompt_columns:], mask)),
            truncated=writing,
        )

    def _pad_left(self, prefixes: Sequence[list[int]]) -> tuple[Tensor, Tensor]:
        """[B, P] ids and attention."""
        width = max(len(p) for p in prefixes)
        pad = self.tokenizer.pad_token_id
        ids = torch.tensor([[pad] * (width - len(p)) + list(p) for p in prefixes])
        attention = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prefixes])
        device = next(nn.Module.parameters(self.model)).device
        return ids.to(device), attention.to(device)

    def _texts(self, ids: Tensor, mask: Tensor) -> list[str]:
        """Responses as text, without the stop token. Other special tokens stay visible, so a verifier refuses them."""
        stop = self.tokenizer.eos_token_id
        rows = [[t for t in row[keep].tolist() if t != stop] for row, keep in zip(ids.cpu(), mask.cpu(), strict=True)]
        return self.tokenizer.batch_decode(rows, skip_special_tokens=False, clean_up_tokenization_spaces=False)
