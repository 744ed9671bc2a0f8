"""`vapo show RUN`: the configuration and results of one run."""

import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field
from tyro.conf import Positional

from experiments.records.points import damage, read_points
from experiments.runs.exact_run import flat
from experiments.runs.inventory import find
from experiments.specs.options import parse
from vapo_core.settings import Frozen


class ShowConfig(Frozen):
    """Show a run: its non-default settings, its row, and the first and last value of every metric."""

    run: Positional[str] = Field(description="prefix of the run's name, as shown by `vapo ls`")
    runs: Path = Field(Path("runs"), description="folder of records")


def run(words: Sequence[str]) -> int:
    """Parse, show."""
    config = parse(ShowConfig, None, words, "show")
    entry = find(config.runs, config.run)
    print(f"{entry.spec.arm}, seed {entry.spec.seed}, {entry.spec.world}: {entry.state}\n{entry.run_dir}\n")
    print("differs from the defaults:")
    for name, value in flat(entry.spec.model_dump(mode="json", exclude_defaults=True)).items():
        print(f"  {name} = {value}")
    if entry.row:
        print("\nrow:")
        for name, value in entry.row.items():
            if not name.startswith("settings."):
                print(f"  {name} = {value}")
    _metrics(entry.run_dir / "metrics.jsonl")
    return 0


def _metrics(path: Path) -> None:
    """First and last value of every metric."""
    if damaged := damage(path):
        print(f"warning: {damaged}", file=sys.stderr)
    first: dict[str, float] = {}
    last: dict[str, float] = {}
    for _, metrics in read_points(path):
        first = {**metrics, **first}
        last |= metrics
    print("\nmetrics, first and last:")
    for name in sorted(last):
        print(f"  {name:<40} {first[name]:>12.5g} {last[name]:>12.5g}")
