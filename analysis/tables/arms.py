"""Arm labels: what an arm changes, the order in which arms are listed, and which share a reference."""

from collections.abc import Iterable
from typing import NamedTuple

from analysis.tables.schema import COMPONENTS

RECIPES: tuple[str, ...] = ("vapo", "ppo", "grpo", "dapo", "vineppo")
"""Named recipes in the order they are listed."""


class Arm(NamedTuple):
    """One arm of a design, read from its label."""

    label: str
    """For instance "vapo without clip_higher"."""
    base: str
    """Recipe the arm changes: "vapo" there; the label itself for a recipe; "" if the label has another form."""
    change: str
    """One of "recipe", "removal", "addition", "combination", "other"."""
    component: str
    """Component removed or added, else ""."""


def parse(label: str) -> Arm:
    """Read "RECIPE", "RECIPE without COMPONENT" or "RECIPE with COMPONENT".

    Several such changes in a row are a "combination"; any other label, such as "vapo alpha=0.25", is "other".
    """
    if label in RECIPES:
        return Arm(label, label, "recipe", "")
    base, *rest = label.split(" ")
    if len(rest) == 2 and rest[0] in ("with", "without") and rest[1] in COMPONENTS:
        return Arm(label, base, "removal" if rest[0] == "without" else "addition", rest[1])
    pairs = list(zip(rest[::2], rest[1::2], strict=False))
    several = len(rest) % 2 == 0 and all(verb in ("with", "without") and name in COMPONENTS for verb, name in pairs)
    return Arm(label, base, "combination", "") if several and base in RECIPES else Arm(label, "", "other", "")


def short(label: str) -> str:
    """A label for a narrow column: "− clip_higher" and "+ clip_higher" instead of the full one."""
    arm = parse(label)
    return f"{'−' if arm.change == 'removal' else '+'}\u00a0{arm.component}" if arm.component else label


def in_order(labels: Iterable[str], reference: str) -> list[str]:
    """Distinct labels comparable with the reference: itself, other recipes, its changes by component, then the rest.

    Changes of another recipe are left out, since their own reference is that recipe; so are combinations of several
    changes, which `factorial.effects` sums up. The rest is in order of its words, numbers by size.
    """
    found = set(labels)
    kept = [
        arm for arm in map(parse, found) if arm.change != "combination" and (not arm.component or arm.base == reference)
    ]

    def place(arm: Arm) -> tuple[int, int, str, list[tuple[str, float, str]]]:
        if arm.label == reference:
            return (0, 0, "", [])
        if arm.change == "recipe":
            return (1, RECIPES.index(arm.label), "", [])
        if arm.component:
            return (2, COMPONENTS.index(arm.component), arm.change, [])
        return (3, 0, "", [_by_size(word) for word in arm.label.split(" ")])

    return [arm.label for arm in sorted(kept, key=place)]


def _by_size(word: str) -> tuple[str, float, str]:
    """A word's place among others: "alpha=0.5" before "alpha=2" before "alpha=10"."""
    name, _, value = word.partition("=")
    try:
        return name, float(value or 0), ""
    except ValueError:
        return name, 0.0, value


def references(labels: Iterable[str]) -> list[str]:
    """References a set of arms calls for: each recipe present that other arms change, else the first recipe present."""
    found = set(labels)
    bases = {arm.base for arm in map(parse, found) if arm.component}
    wanted = [recipe for recipe in RECIPES if recipe in found and recipe in bases]
    present = [recipe for recipe in RECIPES if recipe in found]
    return wanted or present[:1]
