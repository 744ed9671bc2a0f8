"""Words of a two-level design: which effects a fraction of the 2^7 combinations cannot tell apart.

Components are the letters A to G in component order; an effect is a word such as "A" or "CE".
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

from analysis.tables.schema import COMPONENTS

LETTERS = "ABCDEFG"
"""One per component, in component order."""


def product(*words: str) -> str:
    """The word of a product of effects: a letter that occurs twice is 1 and drops out; "" is the identity I."""
    letters: set[str] = set()
    for word in words:
        letters ^= set(word)
    return "".join(sorted(letters))


def effects_up_to(order: int, letters: str = LETTERS) -> list[str]:
    """Every effect of one to `order` letters: main effects, then two-way interactions, and so on."""
    return ["".join(word) for size in range(1, order + 1) for word in combinations(letters, size)]


def defining_relation(generators: Sequence[str]) -> tuple[str, ...]:
    """Every word that equals I in the fraction with these generating words, shortest first; () for the full factorial.

    A generator G = ABCDEF is given as the word it sets to I, "ABCDEFG".
    """
    chosen = (c for size in range(1, len(generators) + 1) for c in combinations(generators, size))
    return tuple(sorted({product(*words) for words in chosen}, key=_place))


def resolution(words: Iterable[str]) -> int | None:
    """Length of the shortest word of a defining relation; None for a full factorial, which aliases nothing.

    Effects of p letters are aliased with none of fewer than resolution - p.
    """
    return min(map(len, words), default=None)


def aliases(effect: str, words: Iterable[str], order: int = 2) -> list[str]:
    """Other effects of at most `order` letters that the fraction cannot tell from this one."""
    same = (product(effect, word) for word in words)
    return sorted((word for word in same if 0 < len(word) <= order), key=_place)


def alias_table(words: Sequence[str], order: int = 2) -> list[tuple[str, ...]]:
    """Effects of at most `order` letters, those that are aliased with each other in one tuple, its least member first."""
    sets = (tuple(sorted([effect, *aliases(effect, words, order)], key=_place)) for effect in effects_up_to(order))
    return list(dict.fromkeys(sets))


def aliased_pairs(words: Sequence[str]) -> list[str]:
    """Two-way interactions that are aliased with another main effect or two-way interaction."""
    return [effect for effect in effects_up_to(2) if len(effect) == 2 and aliases(effect, words)]


def words_of(points: Sequence[Mapping[Any, Any]]) -> tuple[str, ...] | None:
    """The defining relation of a set of combinations, each component name -> on; None if it is no regular fraction.

    Only fractions that hold the combination with everything on are recognised, so every word has the sign +.
    """
    rows = {frozenset(letter_of(name) for name, on in point.items() if not on) for point in points}
    words = tuple(word for word in effects_up_to(len(LETTERS)) if all(len(off & set(word)) % 2 == 0 for off in rows))
    words = tuple(sorted(words, key=_place))
    return words if len(rows) * (len(words) + 1) == 2 ** len(LETTERS) else None


def letter_of(component: str) -> str:
    """A to G."""
    return LETTERS[COMPONENTS.index(component)]


def named(effect: str) -> str:
    """An effect in components' names: "value_pretraining × decoupled_gae" for "AB"."""
    return " × ".join(COMPONENTS[LETTERS.index(letter)] for letter in effect)


def roman(number: int) -> str:
    """Resolutions are written in Roman numerals, here I to VIII."""
    return ("I", "II", "III", "IV", "V", "VI", "VII", "VIII")[number - 1]


def _place(word: str) -> tuple[int, str]:
    return len(word), word
