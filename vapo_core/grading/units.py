r"""The unit of an answer, and words such as "million" and "percent" that belong to its number.

| rule | right | wrong |
|---|---|---|
| words after a number are its unit; a unit that only one side gives is left out | 18 and 18 dollars; 5 cm and 5 | 18 and 81 dollars |
| where both give one, one has to say what the other says, abbreviated or not | 5 cm and 5 centimeters; 60 miles and 60 miles per hour | 5 eggs and 5 apples; 5 cm and 5 cm^2 |
| nothing is converted | | 5 cm and 50 mm; 90 degrees and \pi/2 |
| words of scale multiply, words of percentage are the sign | 2 million and 2000000; 28 percent and 28\% | 2 million and 2 |
| words that change a number are no unit, nor is a letter next to it, which is a variable | | 5 and 5 squared; 5 and 5x; 2 and 2 pi |
"""  # noqa: E501

import re
from typing import NamedTuple

from vapo_core.grading.numerals import number

DEFAULT_SETTINGS = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}
"""Word -> the power of ten that it multiplies by."""

_SAME = (
    "mm millimeter millimetre", "cm centimeter centimetre", "m meter metre", "km kilometer kilometre", "in inch inches",
    "ft foot feet", "yd yard", "mi mile", "mg milligram", "g gram", "kg kilogram", "lb lbs pound", "oz ounce", "ml mL milliliter",
    "l L liter litre", "ms millisecond", "s sec second", "min minute", "h hr hour", "day", "wk week", "mo month", "yr year",
    "deg degree", "rad radian", "dollar usd", "cent", "euro eur", "gal gallon", "qt quart", "pt pint", "tsp teaspoon",
    "tbsp tablespoon", "sq square", "cu cubic cube", "per", "unit", "am", "pm", "rupee rs", "yen", "st nd rd th", "penny pennies",
)  # fmt: skip
KNOWN = {word: line.split()[0] for line in _SAME for word in line.split()}
"""Unit -> its name here; a plural is found by its singular."""
PERCENT = frozenset(("percent", "percentage", "pct"))
COMPOUND = {"mph": "mi per h", "kmh": "km per h", "kph": "km per h", "kmph": "km per h"}
EMPTY = frozenset(("a", "an", "the", "of", "each", "unit", "unit^2", "unit^3", "st", "total", "all", "altogether"))
"""Words that tell no unit from another."""
CHANGING = frozenset((
    "pi", "sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "log", "ln", "exp", "sqrt", "root",
    "infinity", "infty", "mod", "modulo", "factorial", "choose", "squared", "cubed", "half", "halves", "third", "thirds",
    "quarter", "quarters", "fourth", "fourths", "fifth", "fifths", "sixth", "sixths", "eighth", "eighths", "tenth", "tenths",
    "hundredth", "hundredths", "thousandth", "thousandths", "dozen", "dozens", "score", "or", "and", "to", "plus", "minus",
    "over", "by", "divided", "multiplied", "if", "when", "not", "base", "hundreds", "thousands", "millions", "billions",
    "trillions",
))  # fmt: skip
"""Words that make another number, or an expression, of one."""
NAMES = frozenset((*KNOWN.values(), *COMPOUND, *DEFAULT_SETTINGS, *PERCENT))

_TOKEN = re.compile(
    r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mbox)\s*\{([^{}\\$]*)\}|\\[A-Za-z]+|[^\W\d_]+|\s+|\^\s*(?:\{\s*[23]\s*\}|[23])(?!\d)|.",
    re.DOTALL,
)
_WORD = re.compile(r"[^\W\d_]+|/|\^\s*\{?\s*[23]")
_CURRENCY = re.compile(r"\s*([-+]?)\s*(?:US)?(?:\\text\s*\{\s*)?(\\\$|[£€¥])(?:\s*\})?\s*([-+]?[\d.].*)", re.DOTALL)
_BEHIND = re.compile(r"(?<=\d)\s*(\\\$|[£€¥])\s*$")
_CLOCK = re.compile(r"\b([ap])\.? ?m\.")
CURRENCIES = {"\\$": "dollar", "£": "pound", "€": "euro", "¥": "yen"}


class Quantity(NamedTuple):
    """An answer without its unit."""

    body: str
    unit: frozenset[str] = frozenset()


def differ(first: frozenset[str], second: frozenset[str]) -> bool:
    """Whether two units are given that are not the same, more said by one aside."""
    return not (first <= second or second <= first)


def currency_last(text: str) -> str:
    r"""`\$18` and `18 €` as `18 dollar` and `18 euro`; the sign of a currency is no part of mathematics elsewhere."""
    found = _CURRENCY.fullmatch(text)
    if found is not None:
        text = f"{found[1]}{found[3]} {CURRENCIES[found[2]]}"
    text = _BEHIND.sub(lambda m: f" {CURRENCIES[m[1]]}", text.replace("¢", " cents"))
    return re.sub(r"\\\$|[£€¥]", "", text)


def split(text: str) -> Quantity:
    """An answer and its unit, as this module's table says."""
    tokens = [(m[0], m[1]) for m in _TOKEN.finditer(text)]
    start = len(tokens)
    while start and _may_be_unit(*tokens[start - 1]):
        start -= 1
    for first in _starts(tokens, start):
        body = "".join(token for token, _ in tokens[:first]).rstrip()
        found = _quantity(body, tokens[first:])
        if found is not None:
            return found
    return Quantity(text)


def _starts(tokens: list[tuple[str, str | None]], start: int) -> list[int]:
    """Where a unit may begin: with the first word of the end, or with the first of it that is marked as text."""
    marked = len(tokens)
    while marked > start and (tokens[marked - 1][1] is not None or not tokens[marked - 1][0].isalpha()):
        marked -= 1
    return [start] if marked == start else [start, marked]


def _may_be_unit(token: str, marked: str | None) -> bool:
    """A word, a text without digits, a power, a space, or a sign between words."""
    if marked is not None:
        return not any(map(str.isdigit, marked))
    return token.isalpha() or token.isspace() or token in ("/", ".", "'", "-") or token.startswith("^")


def _quantity(body: str, end: list[tuple[str, str | None]]) -> Quantity | None:
    """The unit that the tokens at the end say; None if they are none."""
    spaced = end[:1] != [] and end[0][0].isspace()
    while end and (end[0][0].isspace() or end[0][0] in "-."):
        end = end[1:]
    marked = bool(end) and end[0][1] is not None
    joined = _CLOCK.sub(r"\1m", "".join(f" {text} " if text is not None else token for token, text in end))
    words = [re.sub(r"[\s{}]", "", word) for word in _WORD.findall(joined)]
    words = [word if len(word) == 1 else word.lower() for word in words]
    if not body or not words or body[-1] in "+-*/^_=<>({[,&|\\" or CHANGING.intersection(words):
        return None
    if words[0].startswith(("^", "/")) or not (_spelled_out(end) if marked else _plainly(body, words, spaced)):
        return None
    body, words = _scaled(body, words)
    return Quantity(body, _named(words))


def _spelled_out(end: list[tuple[str, str | None]]) -> bool:
    """Whether no variable stands among the words."""
    return all(text is not None or not token.isalpha() or len(token) > 1 for token, text in end)


def _plainly(body: str, words: list[str], spaced: bool) -> bool:
    """Whether words that nothing marks as text are a unit: after a number any, but variables; else those known."""
    spelled = [word for word in words if not word.startswith(("^", "/"))]
    known = [word for word in spelled if _name(word) in NAMES]
    if number(body.rpartition("=")[2]) is None:
        return known == spelled and min(map(len, spelled)) > 1
    if not spaced:
        return len(words[0]) > 1 and words[0] in known
    return all(len(word) > 1 or word == "a" or word in known for word in spelled) and (
        len(known) > 0 or max(map(len, spelled)) > 2
    )


def _scaled(body: str, words: list[str]) -> tuple[str, list[str]]:
    """Words of scale and of percentage as part of the number."""
    if body[-1].isdigit() and words[0] in DEFAULT_SETTINGS:
        body, words = f"{body}\\times10^{{{DEFAULT_SETTINGS[words[0]]}}}", words[1:]
    if words[:2] == ["per", "cent"]:
        words = ["percent", *words[2:]]
    if words and words[0] in PERCENT and body[-1] in "0123456789}.)":
        rest = words[2:] if words[1:2] in (["point"], ["points"]) else words[1:]
        return body + "%", rest
    return body, words


def _named(words: list[str]) -> frozenset[str]:
    """Words by their names here, a power with the word that it belongs to."""
    names: list[str] = []
    power = ""
    for word in " ".join(COMPOUND.get(word, "per" if word == "/" else word) for word in words).split():
        name = _name(word)
        if word.startswith("^"):
            names = [*names[:-1], "".join(names[-1:]) + word]
        elif name in ("sq", "cu"):
            power = "^2" if name == "sq" else "^3"
        else:
            names.append(name + power)
            power = ""
    return frozenset(names) - EMPTY


def _name(word: str) -> str:
    """A word by its name here, in the singular."""
    singular = re.sub(r"(?<=[xzhs])es$|(?<=[^s])s$", "", re.sub(r"(?<=..)ies$", "y", word)) if len(word) > 2 else word
    return KNOWN.get(word) or KNOWN.get(singular) or singular
