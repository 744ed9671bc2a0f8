r"""Plain numbers, read exactly: whole numbers, decimals, fractions, mixed numbers, scientific notation, percentages.

| rule | same | not the same |
|---|---|---|
| numbers are compared exactly, as fractions | 0.75, 3/4, 75/100; 1200, 1,200, 1 200 and 1.2e3 | 0.3 and 1/3; 1e-20 and 0 |
| a decimal of six places or more, six of its digits counting, is also a number (not itself a decimal) that rounds to it or is cut off to it | 0.333333 and 1/3; 0.666666, 0.666667 and 2/3 | 0.33333 and 1/3; 0.333334 and 1/3; 0.1000001 and 0.1 |
| a percentage is its number or its hundredth, since the data mean either | 50%, 50 and 1/2 | 50% and 5 |
| digits a space apart are one number in groups of three, a mixed number before a fraction | 1 234 and 1234; 1 1/2 and 3/2 | 1 2 and 12 |
"""  # noqa: E501

import re
from fractions import Fraction
from typing import NamedTuple

MOST_DIGITS = 400
"""Digits of a plain number, and the largest power of ten in scientific notation."""

ENOUGH = 6
"""Places, and digits that count, from which on a decimal may be a rounded number."""

_WHOLE = r"(?:\d{1,3}(?:,\d{3})+|\d{1,3}(?: \d{3})+|\d+)"
_DECIMAL = rf"(?:{_WHOLE}(?:\.\d*)?|\.\d+)"
_NUMBER = re.compile(
    rf"([-+]?)({_DECIMAL})(?:[eE]([-+]?\d{{1,4}})|(?:\\times|\\cdot|[x×*·])10\^\{{?([-+]?\d{{1,4}})\}}?)?(%?)"
)
_FRACTION = re.compile(
    rf"([-+]?)(?:(?:({_WHOLE}) ?)?\\frac\{{([-+]?{_DECIMAL})\}}\{{([-+]?{_DECIMAL})\}}"
    rf"|(?:({_WHOLE}) )??({_DECIMAL})/([-+]?{_DECIMAL}))(%?)"
)
_REPEATING = re.compile(r"([-+]?)(\d*)\.(\d*)\\(?:overline|bar) ?\{?(\d+)\}?")
_POWER_OF_TEN = re.compile(r"^([-+]?)10\^(?:(\d+)|\{([-+]?\d+)\})$")
_NEEDLESS = re.compile(r"(?<![\d,]) +| +(?!\d)")


class Number(NamedTuple):
    """A number as it was written."""

    value: Fraction
    places: int = 0
    """Digits after the point of a decimal; 0 for other numbers."""
    percent: bool = False

    @property
    def values(self) -> set[Fraction]:
        """What it may mean."""
        return {self.value, self.value / 100} if self.percent else {self.value}

    def rounds(self, exact: Fraction) -> bool:
        """Whether it is a decimal long enough to stand for a number that rounds, or is cut off, to it."""
        readings = ((self.value, self.places), (self.value / 100, self.places + 2))
        return any(rounded(value, places, exact) for value, places in readings[: 1 + self.percent])


def same(first: Number, second: Number) -> bool:
    """Whether two numbers are equal by the rules of this module."""
    if first.values & second.values:
        return True
    if first.places > 0 and second.places > 0:
        return False
    return any(a.rounds(value) for a, b in ((first, second), (second, first)) for value in b.values)


def rounded(decimal: Fraction, places: int, exact: Fraction) -> bool:
    """Whether a decimal of so many places is a number rounded or cut off there, and long enough to say so."""
    digits, size = abs(decimal) * 10**places if places > 0 else Fraction(0), abs(exact) * 10 ** max(places, 0)
    if places < ENOUGH or digits < 10 ** (ENOUGH - 1) or (decimal < 0) != (exact < 0):
        return False
    return digits in (size // 1, (size + Fraction(1, 2)) // 1)


def number(text: str) -> Number | None:
    r"""A plain number, None where it is none: 12, 1,200, .5, 3e4, 3\times10^4, 50%, 1/2, \frac{1}{2}, 1 1/2, 0.\overline{3}."""
    if len(text) > MOST_DIGITS:
        return None
    text = _NEEDLESS.sub("", text.strip())
    return _decimal(_POWER_OF_TEN.sub(r"\g<1>1e\2\3", text)) or _fraction(text) or _repeating(text)


def _decimal(text: str) -> Number | None:
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    power = int(found[3] or found[4] or 0)
    if abs(power) > MOST_DIGITS:
        return None
    _, point, behind = found[2].partition(".")
    value = _exact(found[1] + found[2]) * Fraction(10) ** power
    return Number(value, max(0, len(behind) - power) if point or power < 0 else 0, bool(found[5]))


def _fraction(text: str) -> Number | None:
    """A fraction, or a mixed number, whose fraction is a plain one; a whole number before a slash stands apart."""
    found = _FRACTION.fullmatch(text)
    if found is None:
        return None
    sign, whole, above, below = (
        found[1],
        found[2] or found[5],
        _exact(found[3] or found[6]),
        _exact(found[4] or found[7]),
    )
    if not below or (whole and not (above >= 0 and below > 0 and above.denominator == below.denominator == 1)):
        return None
    value = above / below + (_exact(whole) if whole else 0)
    return Number(-value if sign == "-" else value, percent=bool(found[8]))


def _repeating(text: str) -> Number | None:
    r"""A decimal that repeats, as `0.1\overline{6}`."""
    found = _REPEATING.fullmatch(text)
    if found is None:
        return None
    sign, whole, behind, period = found.groups()
    tail = Fraction(int(period), (10 ** len(period) - 1) * 10 ** len(behind))
    value = _exact(f"{whole or 0}.{behind}") + tail
    return Number(-value if sign == "-" else value)


def _exact(digits: str) -> Fraction:
    """The value of a signed decimal, separators of thousands aside."""
    return Fraction(digits.replace(",", "").replace(" ", "").removesuffix("."))
