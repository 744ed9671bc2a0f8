"""Check, before sampling, that a model has tokens, embeddings and positions for its prompts."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from vapo_core.types import Problem


class CannotAsk(ValueError):
    """A prompt that does not fit the model."""


class Capacity(NamedTuple):
    """A model's limits."""

    tokens: int
    """Tokens with an embedding: numbers below this one."""
    positions: int | None
    """Most tokens of a prompt and its answer together; None where the model names no limit."""
    limit: str = "the positions of base.model"
    """What `positions` is, in words."""


def room_of(model: Any) -> Capacity:
    """The limits of a Hugging Face model."""
    embedding = model.get_input_embeddings()  # its weight is no guide: it may be cut in pieces
    known = getattr(embedding, "num_embeddings", None) or model.config.get_text_config().vocab_size
    return Capacity(known, positions_of(model.config))


STRETCHED = frozenset({"linear", "dynamic", "yarn"})
"""Kinds of rotary scaling whose `max_position_embeddings` may be that of before the stretching."""


def positions_of(config: Any) -> int | None:
    """Most positions that a configuration states, stretched by its rotary scaling; None where it states none."""
    text = config.get_text_config()
    stated = getattr(text, "max_position_embeddings", None)
    if not isinstance(stated, int) or stated < 1:
        return None
    scaling = getattr(text, "rope_parameters", None) or getattr(text, "rope_scaling", None) or {}
    if scaling.get("rope_type", scaling.get("type")) not in STRETCHED:
        return stated
    own = scaling.get("original_max_position_embeddings") or stated
    return max(stated, int(own * float(scaling.get("factor") or 1.0)))


def fault_of(prompt: Sequence[int], answer: int, room: Capacity) -> str:
    """What keeps a prompt from being answered, as the end of a sentence; "" if nothing does.

    Args:
        prompt: its tokens.
        answer: most tokens of an answer.
        room: the model's.
    """
    if not prompt:
        return "has no tokens, allowed is 1 or more"
    if max(prompt) >= room.tokens:
        return (
            f"has token {max(prompt)}, allowed is below {room.tokens}, the tokens that base.model has an embedding for"
        )
    if room.positions is not None and len(prompt) + answer > room.positions:
        return (
            f"has {len(prompt)} tokens, and its answer up to {answer}, allowed is {room.positions} together,"
            f" {room.limit}; lower the task's max_tokens or choose another checkpoint"
        )
    return ""


def check_prompts(prompts: Iterable[Sequence[int]], answers: Iterable[int], room: Capacity) -> None:
    """Check that all prompts fit the model.

    Args:
        prompts: their tokens.
        answers: most tokens of an answer to each.
        room: the model's.

    Raises:
        CannotAsk: naming the first that does not.
    """
    for number, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
        fault = fault_of(prompt, answer, room)
        if fault:
            raise CannotAsk(f"base.model: prompt {number} {fault}")


def check_problems(engine: Any, split: str, problems: Sequence[Problem]) -> None:
    """See that all problems of a split can be asked: in a long run, the one that cannot might come hours later.

    Args:
        engine: a `TextEngine`.
        split: its name, for the message.
        problems: what the run may ask.

    Raises:
        CannotAsk: naming the first that cannot, by its number among them and by its beginning.
    """
    stops = engine.text.stops
    if stops and min(stops) >= engine.room.tokens:
        raise CannotAsk(f"base.model: no stop token is among the {engine.room.tokens} tokens it has an embedding for")
    first = {problem.prompt: number for number, problem in reversed(list(enumerate(problems)))}
    texts = sorted(first, key=first.__getitem__)
    for text, prompt in zip(texts, engine.text.prompts(texts), strict=True):
        fault = fault_of(prompt, engine.max_tokens, engine.room) or _unread(engine.text.unread([text]))
        if fault:
            raise CannotAsk(f"task: problem {first[text]} of split {split} ({_beginning(text)}) {fault}")


def _unread(letters: str) -> str:
    return f"has {letters!r}, which the checkpoint's tokenizer cannot read; it is of another task" if letters else ""


LONGEST = 32
"""Characters of a prompt that a message repeats."""


def _beginning(text: str) -> str:
    return repr(text if len(text) <= LONGEST else text[: LONGEST - 1] + "…")
