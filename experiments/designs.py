"""Which arms a study compares. An arm is a recipe name with toggles; seeds are paired across arms."""

from collections.abc import Callable
from typing import NamedTuple

from vapo_core.settings import COMPONENTS, RECIPES, Toggles


class Arm(NamedTuple):
    """One cell of a design."""

    recipe: str
    toggles: Toggles


class Design(NamedTuple):
    """A design by name."""

    reference: str
    """Label of the arm that the others are compared with."""
    arms: Callable[[], list[Arm]]


def own(recipe: str) -> Arm:
    """A recipe as it is."""
    return Arm(recipe, RECIPES[recipe].toggles)


def leave_one_out() -> list[Arm]:
    """Full VAPO, then VAPO without each component in turn: 8 arms."""
    full = RECIPES["vapo"].toggles
    return [own("vapo"), *(Arm("vapo", full.model_copy(update={name: False})) for name in COMPONENTS)]


def add_one_in() -> list[Arm]:
    """PPO, then PPO with each component in turn: 8 arms."""
    none = RECIPES["ppo"].toggles
    return [own("ppo"), *(Arm("ppo", none.model_copy(update={name: True})) for name in COMPONENTS)]


DESIGNS: dict[str, Design] = {
    "leave-one-out": Design("vapo", leave_one_out),
    "add-one-in": Design("ppo", add_one_in),
}


def with_baselines(arms: list[Arm], baselines: tuple[str, ...]) -> list[Arm]:
    """The same arms and these recipes, each arm once."""
    return list(dict.fromkeys([*arms, *map(own, baselines)]))
