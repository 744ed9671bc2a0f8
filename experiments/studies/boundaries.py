"""Maps over two dials of the walk, full VAPO in every cell: where does it fall under half of what is achievable?

Every problem of the walk can be solved within its horizon, so a J of 1 is achievable everywhere and half of it is 0.5.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from experiments.specs.spec import RunSpec
from experiments.studies import core
from vapo_core.settings import Evaluation

SEEDS: dict[str, int] = {"smoke": 1, "quick": 1, "full": 4}
EVALUATION = Evaluation(every=10, problems=64, k_problems=8)
"""A map asks for the end alone."""


class Axis(NamedTuple):
    """What a dial takes. `dial` may name several dials that move together, such as nearest and farthest."""

    dial: tuple[str, ...]
    values: tuple[float, ...]
    """Of preset full; quick has the first, the middle and the last, smoke the first and the last."""

    def of(self, preset: str) -> tuple[float, ...]:
        """Values at a preset."""
        count = len(self.values)
        places = {"smoke": (0, count - 1), "quick": (0, count // 2, count - 1)}.get(preset, range(count))
        return tuple(self.values[place] for place in places)


def grid(
    preset: str, base: Mapping[str, Any], x: Axis, y: Axis, steps: int, probes: Mapping[str, int]
) -> tuple[RunSpec, ...]:
    """One run per cell and seed.

    Args:
        preset: smoke, quick or full.
        base: dials of every cell.
        x: a dial and its values. y: another.
        steps: RL steps, of preset smoke the core tables' own.
        probes: name -> RL steps between measurements.
    """
    return tuple(
        core.run(
            "walk", preset, seed, dials={**base, **dict.fromkeys(x.dial, a), **dict.fromkeys(y.dial, b)},
            probes=probes, steps=None if preset == "smoke" else steps, evaluation=EVALUATION,
        )
        for seed in core.SEEDS["walk"][preset][: SEEDS[preset]]
        for b in y.of(preset)
        for a in x.of(preset)
    )  # fmt: skip
