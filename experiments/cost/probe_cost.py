"""Which probes take longer than the training between two of their measurements, by the tables that `vapo bench` left."""

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from experiments.specs.exact import AnySpec, ExactSpec

TABLES: Mapping[str, str] = {"walk": "walk_lengths.csv", "lm": "text_lengths.csv"}
"""Where the probes' rows of a world are."""

BENCHMARKS = Path("results/benchmarks")


class Cost(NamedTuple):
    """What a measurement takes, in RL steps, over the lengths of answer that were measured."""

    least: float
    most: float

    def __str__(self) -> str:
        low, high = f"{self.least:.0f}", f"{self.most:.0f}"
        return low if low == high else f"{low} to {high}"


def probe_costs(world: str, folder: Path = BENCHMARKS) -> dict[str, Cost]:
    """Cost of every probe that was measured in a world; nothing where there is no table."""
    path = folder / TABLES.get(world, "")
    if not path.is_file():
        return {}
    found: dict[str, list[float]] = defaultdict(list)
    with path.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            if row["part"] == "probes":
                found[row["variant"]].append(float(row["ratio"]))
    return {probe: Cost(min(ratios), max(ratios)) for probe, ratios in found.items()}


def probe_lines(specs: Iterable[AnySpec], folder: Path = BENCHMARKS) -> list[str]:
    """For a plan: probes that cost more than the steps between two of their measurements, for some length of answer."""
    asked = {
        (spec.world, probe, min(every, spec.steps))
        for spec in specs
        if not isinstance(spec, ExactSpec)
        for probe, every in spec.probes.items()
    }
    known = {world: probe_costs(world, folder) for world in {world for world, *_ in asked}}
    dear = [
        f"{probe} on {world} ({known[world][probe]} RL steps, measured every {every})"
        for world, probe, every in sorted(asked)
        if probe in known[world] and known[world][probe].most > every
    ]
    return [f"  probes that take longer than the training between measurements: {', '.join(dear)}"] if dear else []
