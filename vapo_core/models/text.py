"""Conversion between a checkpoint's text and tokens: prompts, stop tokens, padding."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any
from unicodedata import category

import torch
from torch import Tensor

from vapo_core.models.pieces import Pieces
from vapo_core.reading import reading
from vapo_core.time_limit import OutOfTime, call_within


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
        """Tokens of prompts: as the tokenizer begins a text, or through the chat template up to where the answer begins.

        What a tokenizer puts after every text, such as the end of it, is left out: the answer is still to come.
        """
        if not self.chat:
            return [row[: len(row) - self._appended] for row in self.tokenizer(list(texts))["input_ids"]]
        rendered = [_conversation(self.tokenizer, {"user": text}, add_generation_prompt=True) for text in texts]
        return self.tokenizer(rendered, add_special_tokens=False)["input_ids"]  # the template has written them

    def unread(self, texts: Sequence[str]) -> str:
        """Characters of prompts that the tokenizer has no token for, each once; "" if it can read all of them.

        Those it passes over without a word count, too, spaces and marks apart.
        """
        letters = {letter for text in texts for letter in self._unknown(text) + self._passed_over(text)}
        return "".join(sorted(letters))

    def _unknown(self, text: str) -> str:
        unknown = self.tokenizer.unk_token_id
        if unknown is None or unknown not in self.prompts([text])[0]:
            return ""
        letters = sorted(set(text))
        rows = self.tokenizer(letters, add_special_tokens=False)["input_ids"]
        return "".join(letter for letter, row in zip(letters, rows, strict=True) if unknown in row)

    def _passed_over(self, text: str) -> str:
        if not self.tokenizer.is_fast:  # such a one does not say where its tokens stand
            return ""
        places = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
        read = {place for begin, end in places for place in range(begin, end)}
        return "".join(letter for i, letter in enumerate(text) if i not in read and category(letter)[0] in "LNPS")

    def written(self, text: str) -> list[int]:
        """Tokens of a response and one stop token, also where the text ends in stop tokens of its own."""
        tokens = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        while tokens and tokens[-1] in self.stops:
            tokens = tokens[:-1]
        return [*tokens, self.stop]

    def responses(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """Responses as text, without stop tokens. Other special tokens stay visible, so a verifier refuses them."""
        content = self._content(rows)
        return self.tokenizer.batch_decode(content, skip_special_tokens=False, clean_up_tokenization_spaces=False)

    def pieces(self, rows: Sequence[Sequence[int]], texts: Sequence[str]) -> list[list[str]]:
        """The part that each token adds to its response's text, as `responses` gives it; joined, they are the text.

        A stop token adds nothing, nor does a token that holds only the beginning of a character: the one that completes it
        has it.
        """
        found = []
        for row, content, text in zip(rows, self._content(rows), texts, strict=True):
            parts = iter(self._pieces.of(content, text))
            found.append(["" if token in self.stops else next(parts) for token in row])
        return found

    def _content(self, rows: Sequence[Sequence[int]]) -> list[list[int]]:
        """Rows without stop tokens, and with tokens that the tokenizer has."""
        kept = [[token for token in row if token not in self.stops] for row in rows]
        if any(max(row, default=0) >= self._size for row in kept):  # vocabularies are padded to round numbers
            kept = [[token if token < self._size else self._stranger for token in row] for row in kept]
        return kept

    @cached_property
    def _pieces(self) -> Pieces:
        return Pieces(self.tokenizer)

    @cached_property
    def _appended(self) -> int:
        """How many tokens the tokenizer puts after every text."""
        whole, bare = (self.tokenizer("0", add_special_tokens=added)["input_ids"] for added in (True, False))
        begins = [i for i in range(len(whole)) if whole[i : i + len(bare)] == bare]
        return len(whole) - begins[0] - len(bare) if begins else 0

    @cached_property
    def _size(self) -> int:
        return len(self.tokenizer)

    @cached_property
    def _stranger(self) -> int:
        """What stands for a token that only the model has: a special one, which no verifier takes for an answer."""
        special = self.tokenizer.unk_token_id
        return self.pad if special is None else special


def stops_of(model: Any, tokenizer: Any) -> list[int]:
    """Stop tokens that a checkpoint's generation_config names, and those of its config.json.

    An ordinary token of the tokenizer in config.json is no stop token: many a configuration has a default there that was
    meant for another vocabulary.
    """
    named = as_list(getattr(getattr(model, "generation_config", None), "eos_token_id", None))
    configured = as_list(getattr(getattr(model, "config", None), "eos_token_id", None))
    return [*named, *(token for token in configured if token in _control_tokens(tokenizer))]


def as_list(tokens: int | Sequence[int] | None) -> list[int]:
    """A configuration's stop tokens, of which it names none, one or several."""
    return [] if tokens is None else [tokens] if isinstance(tokens, int) else list(tokens)


MARKER = "0123456789"
"""Said in a conversation to see what a chat template puts around it."""


def turn_ends(tokenizer: Any) -> list[int]:
    """The token that the chat template puts after an answer, spaces aside: base models often name another as their end.

    Special or not, it has to be one that was added to the vocabulary: whatever follows as plain text ends no turn.

    Raises:
        ValueError: if the template cannot be used.
    """
    rendered = _conversation(tokenizer, {"user": MARKER, "assistant": MARKER}, add_generation_prompt=False)
    if rendered.count(MARKER) < 2:
        raise ValueError("base.model: its chat template drops the message text; set base.chat = 'off'")
    _, found, rest = rendered.rpartition(MARKER)
    following = tokenizer(rest.lstrip(), add_special_tokens=False)["input_ids"][:1] if found else []
    return [token for token in following if token in _control_tokens(tokenizer)]


def _control_tokens(tokenizer: Any) -> set[int]:
    """Special tokens, and others that were added to the vocabulary whole; not what stands for unknown text alone."""
    unknown = {tokenizer.unk_token_id} - {tokenizer.eos_token_id}
    return {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder} - unknown


TEMPLATE_S = 3.0
"""Seconds that a chat template may take for one conversation."""

MOST_ADDED = 100_000
"""Characters that a chat template may add around the messages."""


def _conversation(tokenizer: Any, by_role: dict[str, str], add_generation_prompt: bool) -> str:
    """One message per role, as the template writes it.

    Raises:
        ValueError: if it cannot write them, or takes too long.
    """
    messages = [{"role": role, "content": content} for role, content in by_role.items()]
    with reading("base.model: its chat template", "cannot write a conversation"):
        try:
            text: str = call_within(
                TEMPLATE_S,
                lambda: tokenizer.apply_chat_template(
                    messages, tokenize=False, add_generation_prompt=add_generation_prompt
                ),
            )
        except OutOfTime:
            raise ValueError(f"takes longer than {TEMPLATE_S:g} s") from None
        except MemoryError:
            raise ValueError("it is too long for this machine's memory") from None
        added = len(text) - sum(map(len, by_role.values()))
        if added > MOST_ADDED:
            raise ValueError(f"it adds {added} characters to the messages, allowed are {MOST_ADDED}")
    return text


def uses_template(chat: str, tokenizer: Any) -> bool:
    """Whether prompts go through the chat template: `on`, `off`, or `auto` for wherever the tokenizer has one.

    Raises:
        ValueError: for `on` without a template.
    """
    has = bool(getattr(tokenizer, "chat_template", None))
    if chat == "on" and not has:
        raise ValueError("base.chat = 'on': the tokenizer has no chat template, allowed: auto, off")
    return has and chat != "off"
