"""Which part of a decoded text each of its tokens adds.

Tokens decoded one by one do not say: a character may be spread over several of them, and a token's leading space is lost
where it stands first. So each token is known by the bytes it adds after another, and a text is put together from those;
where that is not the text as the tokenizer decodes it, beginnings of the text are decoded instead, which takes longer.
"""

import codecs
import re
from collections.abc import Sequence
from functools import cached_property
from itertools import groupby, pairwise
from typing import Any, NamedTuple

UNREADABLE = "\ufffd"
"""What decoders write for bytes that are no character."""

_NAMED_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
"""A byte in vocabularies that fall back to bytes for characters they lack."""


class Added(NamedTuple):
    """What a token adds to a text."""

    content: bytes
    named: bool = False
    """Whether it is one of the bytes that a vocabulary falls back to: a run of them is read whole, or not at all."""
    text: str | None = None
    """The same in characters; None where it may take other tokens to complete one."""


class Pieces:
    """Texts of a tokenizer, token by token."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self._known: dict[int, Added] = {}

    def of(self, row: Sequence[int], text: str) -> list[str]:
        """The part of the text that each token adds, "" for one that only begins a character; joined they are the text.

        Args: row, tokens; text, what they decode to.
        """
        for token in {*row} - self._known.keys():
            self._known[token] = self._added(token)
        parts = _without_lead(_joined([self._known[token] for token in row]), text)
        return parts if "".join(parts) == text else self._by_beginnings(row, text)

    def decoded(self, row: Sequence[int]) -> str:
        """The text of some tokens, special ones included."""
        return self.tokenizer.decode(list(row), skip_special_tokens=False, clean_up_tokenization_spaces=False)

    @cached_property
    def _before(self) -> list[int]:
        """A token that others are decoded after, so that none stands first."""
        return self.tokenizer("a", add_special_tokens=False)["input_ids"][-1:]

    def _added(self, token: int) -> Added:
        written = self.decoded([*self._before, token])[len(self.decoded(self._before)) :]
        raw = self.tokenizer.convert_ids_to_tokens(token) or ""
        byte = _NAMED_BYTE.fullmatch(raw)
        if byte and written != raw:
            return Added(bytes.fromhex(byte[1]), named=True)
        if UNREADABLE in written and all(letter in BYTE_OF for letter in raw):
            return Added(bytes(BYTE_OF[letter] for letter in raw))
        return Added(written.encode(), text=written)

    def _by_beginnings(self, row: Sequence[int], text: str) -> list[str]:
        """The same for any tokenizer: a character belongs to the token after which a beginning decodes to it."""
        ends = [0]
        for number in range(1, len(row)):
            ends.append(max(ends[-1], _alike(self.decoded(row[:number]), text)))
        return [text[begin:end] for begin, end in pairwise([*ends, len(text)])] if row else []


def _alike(beginning: str, text: str) -> int:
    """How many characters two texts begin with alike."""
    pairs = enumerate(zip(beginning, text, strict=False))
    return next((at for at, (one, other) in pairs if one != other), min(len(beginning), len(text)))


def _joined(row: Sequence[Added]) -> list[str]:
    """What each token adds to the others."""
    whole = [token.text for token in row if token.text is not None]
    return whole if len(whole) == len(row) else _characters(_readable(row))


def _readable(row: Sequence[Added]) -> list[bytes]:
    """Bytes of each token; in a run of named ones that is no text each counts as unreadable."""
    found: list[bytes] = []
    for named, run in groupby(row, key=lambda token: token.named):
        contents = [token.content for token in run]
        if named and UNREADABLE in b"".join(contents).decode(errors="replace"):
            contents = [UNREADABLE.encode()] * len(contents)
        found += contents
    return found


def _characters(row: Sequence[bytes]) -> list[str]:
    """The characters that each token completes; what stays incomplete belongs to the last token of it."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    parts: list[str] = []
    for content in row:
        goes_on = content[:1] and content[0] & 0xC0 == 0x80
        if parts and not goes_on:
            parts[-1] += decoder.decode(b"", final=True)
        parts.append(decoder.decode(content))
    if parts:
        parts[-1] += decoder.decode(b"", final=True)
    return parts


def _without_lead(parts: list[str], text: str) -> list[str]:
    """Parts without the space that a text does not begin with, although its first token does."""
    whole = "".join(parts)
    if whole == text or not whole.endswith(text):
        return parts
    extra, kept = len(whole) - len(text), []
    for part in parts:
        kept.append(part[extra:])
        extra = max(0, extra - len(part))
    return kept


def _byte_of() -> dict[str, int]:
    """Byte-level vocabularies write bytes as characters: printable ones as themselves, the others from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {
        **{chr(byte): byte for byte in printable},
        **{chr(0x100 + number): byte for number, byte in enumerate(others)},
    }


BYTE_OF = _byte_of()
"""Character of a byte-level vocabulary -> byte."""
