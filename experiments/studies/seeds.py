"""Seeds of a study: the first seeds of a preset, and those of gates."""

from analysis.verdict import gates

FIRST: dict[str, int] = {"smoke": 0, "quick": 0, "full": 1000}
"""Seeds from 700 to 799 are for development; they and those of gates stand in no judged run."""


def first(preset: str, count: int) -> range:
    """The first `count` seeds of a preset: the same ones in every cell, so that cells of unequal counts share them."""
    return range(FIRST[preset], FIRST[preset] + count)


def of_gates(count: int) -> range:
    """The first `count` seeds of gates, the same at every preset.

    Raises:
        ValueError: for more than there are.
    """
    if count > len(gates.SEEDS):
        raise ValueError(f"count: {count}, but gates have {len(gates.SEEDS)} seeds")
    return gates.SEEDS[:count]
