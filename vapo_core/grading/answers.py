"""The final answer in a response, and its comparison as far as no computer algebra system is needed."""

import re
from typing import Literal, NamedTuple

from vapo_core.grading.characters import ascii_signs
from vapo_core.grading.numerals import Number, number, same
from vapo_core.grading.units import currency_last, differ, split

Outcome = Literal["right", "wrong", "unparsable"]
"""Unparsable: there is no final answer, or it could not be read; that is not the same as wrong."""

LONGEST = 1000
"""Characters of a final answer beyond which it is not read: no answer of the public sets has a third of them."""

DEEPEST = 16
"""Braces and brackets within one another beyond which an answer is not read."""

_BOX = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])")
_PHRASE = re.compile(r"(?i)\banswer\b")
_CLAIM = re.compile(r"(?:[ \t]+is\b[ \t]*+[:：]?|[ \t]*+\**+[ \t]*+[:：])[ \t]*+")
_WORDS = re.compile(r"[^\W\d_]{2,}(?:[ '-][^\W\d_]+)*+\.?")
_LETTER = re.compile(r"\(?([A-Za-z])\)?")
_DATE = re.compile(r"\d{4}-\d\d?-\d\d?(?:[ T]\d\d?:\d\d(?::\d\d)?)?|\d\d?:\d\d(?::\d\d)?")
_NUMERAL = re.compile(r"\(?(\d[0-9A-Za-z]*)\)?(?:_(.+))?")
_BASES = re.compile(r"(?<=\d)\)?_ ?\{?(?:\\(?:text|mathrm) ?\{)? ?(\w+)")
_SPELLED = re.compile(r"(?i) ?\(?(?:\\text ?\{ ?)?(?:in )?base ?-?\}? ?\{?(\w+)\}?\)?$")
_BASE_NAMES = (
    "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen",
    "sixteen",
)  # fmt: skip
_THOUSANDS = re.compile(r"(?<![\d.,])(?<!\d )\d{1,3}(?: \d{3})+(?! ?\d)")
_PROSE = re.compile(r"(?=.*[^\W\d_]{3})[\w .,;:'\"!?&()-]+")
_APART = re.compile(r"(?:^|[^\d_^.,])\d(?:[\d.,]*\d)? +\d")
_DELIMITERS = re.compile(r"^(?:\$|\\\(|\\\[)+|(?:\$|\\\)|\\\])+$")
_SPACING = re.compile(r"\\(?:left|right)(?![A-Za-z])|(?<!\\)\\!|(?<!\\)\$")
_GAP = re.compile(r"(?<!\\)\\[,;:> ]|\\q?quad(?![A-Za-z])|~")
_WRAPPER = re.compile(r"(?:\\(?:text|textbf|textit|textrm|mathrm|mathbf|mbox|boxed|fbox)\s*)?\{([^{}]*)(?<!\\)\}")
_BARE_FRACTION = re.compile(
    r"\\[dtc]?(frac|binom)(?![A-Za-z])\s*(?:\{([^{}]*)\}|([\dA-Za-z]))\s*(?:\{([^{}]*)\}|([\dA-Za-z]))"
)
_ASSIGNED = re.compile(r"(?:([A-Za-z]) ?= ?)?(.*)")
_POWER_OF_TEN = re.compile(r"(?<=[\d.])[eE]([-+]?\d+)")
_DIGITS = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+"
_SPACED_SIGN = re.compile(r"(?<=[\d)\]}]) +([-+])")
_SOME_NUMBER = re.compile(rf"(?:(?<![\w)\]}}])[-+])?(?<![\d.])(?:{_DIGITS})(?:/\d+)?")


class Reading(NamedTuple):
    """An answer as it is compared."""

    text: str
    """Without what is only typography."""
    body: str
    """And without its unit."""
    unit: frozenset[str]
    name: str
    """The variable whose value it says it is, empty without one."""
    number: Number | None
    wording: str | None
    """The same for the same words, letter of a choice, date or time of day; None for mathematics."""


def final_answer(response: str) -> str | None:
    r"""What a response gives as its answer, None where it gives none.

    The last `\boxed{...}`, else what follows the last `####`, else what follows the last "answer is" or "answer:" on its
    line. A box without braces holds what stands up to the end of the formula, or outside one up to the next space. A box that
    is never closed, and an answer of more than `LONGEST` characters, is no answer.
    """
    box = _last(_BOX, response)
    if box is not None:
        found = _boxed(response, box)
    elif "####" in response:
        found = response.rsplit("####", 1)[1].lstrip().partition("\n")[0]
    else:
        found = _phrased(response)
    if found is None or not found.strip() or len(found.strip()) > LONGEST or _depth(found) > DEEPEST:
        return None
    return found.strip()


def last_number(response: str) -> str | None:
    """The last number in a response, whatever stands around it; None without one.

    A sign belongs to it unless something to subtract from stands before the sign: 7 in `12 - 5 = 7`, -4 in `3 - 7 = -4`, 3 in
    `8-3`, 4 in `- 4`. A fraction is one number; an answer of more than `LONGEST` characters is none.
    """
    found = [match[0] for match in _SOME_NUMBER.finditer(_SPACED_SIGN.sub(r"\1", ascii_signs(response)))]
    return found[-1] if found and len(found[-1]) <= LONGEST else None


def compare(reference: str, answer: str) -> Outcome | None:
    """Right or wrong where that is plain, by the rules of `numerals` and `units`, and of text; else None: ask further.

    Words are the same in any case; a date or a time of day is text, and so is a numeral with a base: `101_2` is not `101_3`.
    """
    return compare_readings(read(reference), read(answer))


def compare_readings(wanted: Reading, given: Reading) -> Outcome | None:
    """As `compare`."""
    if wanted.text == given.text:
        return "right"
    if differ(wanted.unit, given.unit) or (wanted.name and given.name and wanted.name != given.name):
        return "wrong"
    if wanted.number is not None and given.number is not None:
        return "right" if same(wanted.number, given.number) else "wrong"
    if wanted.wording is not None and (given.wording is not None or given.number is not None):
        return "right" if wanted.wording == given.wording else "wrong"
    if (given.wording is not None and wanted.number is not None) or _is_date(wanted, given):
        return "wrong"
    bases = _bases(wanted.body), _bases(given.body)
    if any(bases) and (outcome := _numerals(wanted.body, given.body, *bases)) is not None:
        return outcome
    return "wrong" if _APART.search(wanted.body) or _APART.search(given.body) else None


def decidable(reference: str) -> bool:
    """Whether such answers are compared without math-verify: numbers, words, text, dates, bases."""
    wanted = read(reference)
    return (
        wanted.number is not None
        or wanted.wording is not None
        or bool(_bases(wanted.body) or _PROSE.fullmatch(wanted.body))
    )


def read(answer: str) -> Reading:
    """An answer as it is compared."""
    text = plain(answer)
    body, unit = split(text)
    name, value = _ASSIGNED.fullmatch(body).groups()  # type: ignore[union-attr]
    found = number(value)
    if found is None:
        return Reading(text, body, unit, name or "", None, _wording(body))
    return Reading(text, _POWER_OF_TEN.sub(r"\\times10^{\1}", body), unit, name or "", found, None)


def plain(answer: str) -> str:
    """An answer in ASCII, without mathematics delimiters, spacing, wrappers of text, degrees and a final full stop."""
    text = _DELIMITERS.sub("", currency_last(ascii_signs(answer).replace("°", "^\\circ").strip().removesuffix(".")))
    text = re.sub(r"\^\s*(?:\\circ|\{\s*\\circ\s*\})|\\degree", "", text)
    text = _GAP.sub(" ", _SPACING.sub("", text.replace("{,}", ",")))
    text = re.sub(r"\\text\{\s*\}", "", text.replace("\\%", "%").replace("\\varnothing", "\\emptyset"))
    text = _BARE_FRACTION.sub(lambda m: f"\\{m[1]}{{{m[2] or m[3] or ''}}}{{{m[4] or m[5] or ''}}}", text)
    while (peeled := _WRAPPER.fullmatch(text.strip())) is not None:
        text = peeled.group(1)
    text = _THOUSANDS.sub(lambda m: m[0].replace(" ", ""), re.sub(r"\s+", " ", text).strip().removesuffix("."))
    return _SPELLED.sub(r"_{\1}", text) if text[:1].isdigit() else text


def _wording(text: str) -> str | None:
    """An answer in words, a letter of a choice such as (A), a date or a time, in lower case; None for anything else."""
    letter = _LETTER.fullmatch(text)
    if letter is not None:
        return letter.group(1).lower() if text.startswith("(") or letter.group(1).isupper() else None
    if _DATE.fullmatch(text):
        return "-".join(str(int(part)) for part in re.findall(r"\d+", text))
    return text.removesuffix(".").casefold() if _WORDS.fullmatch(text) else None


def _is_date(*answers: Reading) -> bool:
    """Whether one of them is a date or a time, which arithmetic has nothing to do with."""
    return any(_DATE.fullmatch(answer.body) for answer in answers)


def _bases(text: str) -> list[str]:
    """The bases of an answer's numerals, as digits."""
    found = (base.casefold() for base in _BASES.findall(text))
    return [str(_BASE_NAMES.index(base) + 2) if base in _BASE_NAMES else base for base in found]


def _numerals(wanted: str, given: str, first: list[str], second: list[str]) -> Outcome | None:
    """Numerals are the same with equal digits and bases, of which only one side need name them; None for what is no numeral."""
    if first and second and first != second:
        return "wrong"
    left, right = _NUMERAL.fullmatch(wanted), _NUMERAL.fullmatch(given)
    if left is None or right is None:
        return None
    return "right" if left[1].casefold() == right[1].casefold() else "wrong"


def _last(pattern: re.Pattern[str], text: str) -> int | None:
    """Where the last match ends."""
    end = None
    for found in pattern.finditer(text):
        end = found.end()
    return end


def _boxed(text: str, start: int) -> str | None:
    """What a box holds whose command ends at `start`."""
    rest = text[start:].lstrip()
    if rest.startswith("{"):
        return _braced(rest, 1)
    before = text[:start].replace("\\$", "")
    formula = (
        before.count("$") % 2 == 1
        or before.rfind("\\(") > before.rfind("\\)")
        or before.rfind("\\[") > before.rfind("\\]")
    )
    end = re.search(r"\$|\\\)|\\\]|\\\\|\n", rest)
    found = rest[: end.start()] if end is not None else rest
    return (found if formula else _to_space(found)).rstrip(" .,;")


def _to_space(text: str) -> str:
    """The text up to the first space that no braces hold."""
    depth = 0
    for place, character in enumerate(text):
        depth += (character == "{") - (character == "}")
        if character.isspace() and depth <= 0:
            return text[:place]
    return text


def _phrased(response: str) -> str | None:
    """What follows the last "answer is" or "answer:", of several on a line the first."""
    found = None
    for line in response.split("\n"):
        for answer in _PHRASE.finditer(line):
            claim = _CLAIM.match(line, answer.end())
            if claim is not None and claim.end() < len(line):
                found = line[claim.end() :]
                break
    return None if found is None else found.strip().strip("*").removesuffix(".")


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
