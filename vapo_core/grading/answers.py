"""The final answer in a response, and what can be said of it without a computer algebra system."""

import re
from fractions import Fraction
from typing import Literal

Outcome = Literal["right", "wrong", "unparsable"]
"""Unparsable: there is no final answer, or it could not be read; that is not the same as wrong."""

LONGEST = 1000
"""Characters of a final answer beyond which it is not read: no answer of the public sets has a third of them."""

DEEPEST = 16
"""Braces and brackets within one another beyond which an answer is not read."""

MOST_DIGITS = 400
"""Digits of a plain number, and the largest power of ten in scientific notation."""

_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")
_PHRASE = re.compile(r"(?i)\banswer(?:[ \t]+is[ \t]*:?|[ \t]*\**[ \t]*:)[ \t]*([^\n]+)")
_NUMBER = re.compile(
    r"([-+]?)(\d+|\d{1,3}(?:,\d{3})+)?(?:\.(\d*))?(?:[eE]([-+]?\d{1,4})|(?:\\times|\\cdot|[x×*·])10\^\{?([-+]?\d{1,4})\}?)?(%?)"
)
_WORDS = re.compile(r"[^\W\d_]{2,}(?:[ '’-][^\W\d_]+)*\.?")
_LETTER = re.compile(r"\(?([A-Za-z])\)?")
_DELIMITERS = re.compile(r"^(?:\$|\\\(|\\\[)+|(?:\$|\\\)|\\\])+$")
_SPACING = re.compile(r"\\(?:left|right)(?![A-Za-z])|(?<!\\)\\[!,;:]|[$£€]")
_WRAPPER = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mbox|boxed|fbox)\s*\{([^{}]*)\}")


def final_answer(response: str) -> str | None:
    r"""What a response gives as its answer, None where it gives none.

    The last `\boxed{...}`, else what follows the last `####`, else what follows the last "answer is" or "answer:" on its
    line. A box that is never closed, and an answer of more than `LONGEST` characters, is no answer.
    """
    boxes = list(_BOX.finditer(response))
    if boxes:
        found = _braced(response, boxes[-1].end())
    elif "####" in response:
        found = response.rsplit("####", 1)[1].strip().split("\n")[0]
    else:
        phrases = _PHRASE.findall(response)
        found = phrases[-1].strip().strip("*").removesuffix(".") if phrases else None
    if found is None or not found.strip() or len(found) > LONGEST or _depth(found) > DEEPEST:
        return None
    return found.strip()


def compare(reference: str, answer: str) -> Outcome | None:
    """Right or wrong where both are numbers or both are words, right where they are the same text; else None: ask further."""
    wanted, given = plain(reference), plain(answer)
    if wanted == given:
        return "right"
    numbers = number(wanted), number(given)
    if numbers[0] is not None and numbers[1] is not None:
        return "right" if numbers[0] & numbers[1] else "wrong"
    words = _word(wanted), _word(given)
    if words[0] is not None and words[1] is not None:
        return "right" if words[0] == words[1] else "wrong"
    return None


def plain(answer: str) -> str:
    """An answer without mathematics delimiters, spacing, wrappers of text, currency, degrees and a final full stop."""
    text = _DELIMITERS.sub("", answer.replace("\\$", "").strip().removesuffix("."))
    text = _SPACING.sub("", text.replace("−", "-").replace("–", "-"))
    text = re.sub(r"\\text\{\s*per ?cent\s*\}| per ?cent$", "%", text)
    text = re.sub(r"\^\s*(?:\\circ|\{\s*\\circ\s*\}|°)|°|\\degree", "", text)
    text = text.replace("\\%", "%").replace("{,}", ",").replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac")
    text = re.sub(r"\\text\{\s*\}", "", text).replace("\\varnothing", "\\emptyset")
    while (peeled := _WRAPPER.fullmatch(text.strip())) is not None:
        text = peeled.group(1)
    return re.sub(r"\s+", " ", re.sub(r"(?<!\\)\\ |~", " ", text)).strip().removesuffix(".")


def number(text: str) -> set[Fraction] | None:
    """What a plain number may mean, None where it is none: 12, 1,200, .5, 3e4, 3\\times10^4; 50% is 50 and 1/2."""
    found = _NUMBER.fullmatch(text.replace(" ", ""))
    if found is None or len(text) > MOST_DIGITS or not (found[2] or found[3]):
        return None
    power = int(found[4] or found[5] or 0)
    if abs(power) > MOST_DIGITS:
        return None
    digits, places = (found[2] or "").replace(",", ""), found[3] or ""
    size = Fraction(int(digits + places), 10 ** len(places)) * Fraction(10) ** power
    value = -size if found[1] == "-" else size
    return {value, value / 100} if found[6] else {value}


def _word(text: str) -> str | None:
    """An answer in words, or a letter of a choice such as (A), in lower case; None for anything else."""
    letter = _LETTER.fullmatch(text)
    if letter is not None:
        return letter.group(1).lower() if text.startswith("(") or letter.group(1).isupper() else None
    return text.removesuffix(".").casefold() if _WORDS.fullmatch(text) else None


def _braced(text: str, start: int) -> str | None:
    """What stands between a brace that opens just before `start` and its partner; None without one."""
    depth = 1
    for place in range(start, len(text)):
        if text[place] in "{}" and text[place - 1] != "\\":
            depth += 1 if text[place] == "{" else -1
        if not depth:
            return text[start:place]
    return None


def _depth(text: str) -> int:
    """How deeply brackets of any kind stand within one another."""
    deepest = depth = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
    return deepest
