"""How a checkpoint's text becomes tokens and back: prompts, stop tokens, padding."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor


class Text:
    """A tokenizer as an engine needs it."""

    def __init__(self, tokenizer: Any, chat: bool = False, stops: Sequence[int] = ()) -> None:
        """Args: chat, whether a prompt is a user's message in the chat template; stops, stop tokens beside the tokenizer's."""
        self.tokenizer, self.chat = tokenizer, chat
        turn = turn_ends(tokenizer) if chat else []
        own = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
        self.stops: tuple[int, ...] = tuple(dict.fromkeys([*turn, *own, *stops]))

    @cached_property
    def stop(self) -> int:
        """The token that ends a written response.

        Raises:
            ValueError: if the checkpoint has none.
        """
        if not self.stops:
            raise ValueError("base.model: the checkpoint names no stop token (eos_token), so no answer could end")
        return self.stops[0]

    @cached_property
    def pad(self) -> int:
        """The token in places that nothing reads: any will do where the tokenizer has none of its own."""
        own = self.tokenizer.pad_token_id
        return self.stop if own is None else own

    def ends(self, tokens: Tensor) -> Tensor:
        """Bool, true on stop tokens."""
        return torch.isin(tokens, torch.tensor(self.stops, device=tokens.device))

    def prompts(self, texts: Sequence[str]) -> list[list[int]]:
        """Tokens of prompts: as the tokenizer begins a text, or through the chat template up to where the answer begins."""
        if not self.chat:
            return self.tokenizer(list(texts))["input_ids"]
        said = [_conversation(self.tokenizer, {"user": text}, add_generation_prompt=True) for text in texts]
        return self.tokenizer(said, add_special_tokens=False)["input_ids"]  # the template has written them

    def unread(self, texts: Sequence[str]) -> str:
        """Characters of prompts that the tokenizer has no token for, each once; "" if it can read all of them."""
        unknown = self.tokenizer.unk_token_id
        if unknown is None or not any(unknown in row for row in self.prompts(texts)):
            return ""
        letters = sorted(set("".join(texts)))
        rows = self.tokenizer(letters, add_special_tokens=False)["input_ids"]
        return "".join(letter for letter, row in zip(letters, rows, strict=True) if unknown in row)

    def written(self, text: str) -> list[int]:
        """Tokens of a response, stop token included."""
        return [*self.tokenizer(text, add_special_tokens=False)["input_ids"], self.stop]

    def responses(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """Responses as text, without stop tokens. Other special tokens stay visible, so a verifier refuses them."""
        kept = [[token for token in row if token not in self.stops] for row in rows]
        if any(max(row, default=0) >= self._size for row in kept):  # vocabularies are padded to round numbers
            kept = [[token if token < self._size else self._stranger for token in row] for row in kept]
        return self.tokenizer.batch_decode(kept, skip_special_tokens=False, clean_up_tokenization_spaces=False)

    @cached_property
    def _size(self) -> int:
        return len(self.tokenizer)

    @cached_property
    def _stranger(self) -> int:
        """What stands for a token that only the model has: a special one, which no verifier takes for an answer."""
        special = self.tokenizer.unk_token_id
        return self.pad if special is None else special


def stops_of(model: Any) -> list[int]:
    """Stop tokens that a checkpoint's generation_config names."""
    named = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    return [] if named is None else list(named) if isinstance(named, Sequence) else [named]


def turn_ends(tokenizer: Any) -> list[int]:
    """The special token that the chat template puts after an answer: base models often name another as their end."""
    marker = "0123456789"
    said = _conversation(tokenizer, {"user": marker, "assistant": marker}, add_generation_prompt=False)
    following = tokenizer(said.rpartition(marker)[2], add_special_tokens=False)["input_ids"][:1]
    return [token for token in following if token in tokenizer.all_special_ids]


def _conversation(tokenizer: Any, said: dict[str, str], add_generation_prompt: bool) -> str:
    """One message per role, as the template writes it."""
    messages = [{"role": role, "content": content} for role, content in said.items()]
    return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=add_generation_prompt)


def uses_template(chat: str, tokenizer: Any) -> bool:
    """Whether prompts go through the chat template: `on`, `off`, or `auto` for wherever the tokenizer has one.

    Raises:
        ValueError: for `on` without a template.
    """
    has = bool(getattr(tokenizer, "chat_template", None))
    if chat == "on" and not has:
        raise ValueError("base.chat = 'on': the tokenizer has no chat template, allowed: auto, off")
    return has and chat != "off"
