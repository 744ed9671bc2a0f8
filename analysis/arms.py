"""Arms by label: what an arm changes, in which order arms are listed, which of them belong to one reference."""

from collections.abc import Iterable
from typing import NamedTuple

from analysis.schema import COMPONENTS

RECIPES: tuple[str, ...] = ("vapo", "ppo", "grpo", "dapo", "vineppo")
"""Named recipes in the order they are listed."""


class Arm(NamedTuple):
    """One arm of a design, read from its label."""

    label: str
    """For instance "vapo without clip_higher"."""
    base: str
    """Recipe the arm changes: "vapo" there; the label itself for a recipe; "" if the label has another form."""
    change: str
    """One of "recipe", "removal", "addition", "other"."""
    component: str
    """Component removed or added, else ""."""


def parse(label: str) -> Arm:
    """Read "RECIPE", "RECIPE without COMPONENT" or "RECIPE with COMPONENT"; any other label has change "other"."""
    if label in RECIPES:
        return Arm(label, label, "recipe", "")
    base, *rest = label.split(" ")
    if len(rest) == 2 and rest[0] in ("with", "without") and rest[1] in COMPONENTS:
        return Arm(label, base, "removal" if rest[0] == "without" else "addition", rest[1])
    return Arm(label, "", "other", "")


def short(label: str) -> str:
    """A label for a narrow column: "− clip_higher" and "+ clip_higher" instead of the full one."""
    arm = parse(label)
    return f"{'−' if arm.change == 'removal' else '+'}\u00a0{arm.component}" if arm.component else label


def in_order(labels: Iterable[str], reference: str) -> list[str]:
    """Distinct labels comparable with the reference: itself, other recipes, its changes by component, then the rest.

    Changes of another recipe are left out, since their own reference is that recipe.
    """
    found = set(labels)
    kept = [arm for arm in map(parse, found) if not arm.component or arm.base == reference]

    def place(arm: Arm) -> tuple[int, int, str, str]:
        if arm.label == reference:
            return (0, 0, "", "")
        if arm.change == "recipe":
            return (1, RECIPES.index(arm.label), "", "")
        if arm.component:
            return (2, COMPONENTS.index(arm.component), arm.change, "")
        return (3, 0, "", arm.label)

    return [arm.label for arm in sorted(kept, key=place)]


def references(labels: Iterable[str]) -> list[str]:
    """References a set of arms calls for: each recipe present that other arms change, else the first recipe present."""
    found = set(labels)
    bases = {arm.base for arm in map(parse, found) if arm.component}
    wanted = [recipe for recipe in RECIPES if recipe in found and recipe in bases]
    present = [recipe for recipe in RECIPES if recipe in found]
    return wanted or present[:1]
