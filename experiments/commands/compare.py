"""`vapo compare A B`: compare two runs side by side."""

import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field
from tyro.conf import Positional

from experiments.records.points import damage, read_points
from experiments.runs.exact_run import flat
from experiments.runs.inventory import RunFolder, find
from experiments.specs.options import parse
from vapo_core.settings import Frozen


class CompareConfig(Frozen):
    """Show how the configurations of two runs differ, and their last values. One pair is not evidence: use ablate."""

    a: Positional[str] = Field(description="prefix of one run's name")
    b: Positional[str] = Field(description="prefix of the other run's name")
    runs: Path = Field(Path("runs"), description="folder of records")


def run(words: Sequence[str]) -> int:
    """Parse, compare."""
    config = parse(CompareConfig, None, words, "compare")
    a, b = find(config.runs, config.a), find(config.runs, config.b)
    _print("", (f"{e.spec.arm}, seed {e.spec.seed}" for e in (a, b)))
    left, right = (flat(e.spec.model_dump(mode="json")) for e in (a, b))
    for name in dict.fromkeys([*left, *right]):
        if left.get(name) != right.get(name):
            _print(name, (left.get(name), right.get(name)))
    print()
    if a.row and b.row:
        for name in ("state", "first", "last", "auc", "tokens", "mean_length", "seconds"):
            _print(name, (a.row.get(name), b.row.get(name)))
        print()
    ends = [_last(e) for e in (a, b)]
    for name in sorted({*ends[0], *ends[1]}):
        _print(name, (end.get(name) for end in ends))
    return 0


def _last(entry: RunFolder) -> dict[str, float]:
    """The last value of every metric."""
    path = entry.run_dir / "metrics.jsonl"
    if damaged := damage(path):
        print(f"warning: {damaged}", file=sys.stderr)
    last: dict[str, float] = {}
    for _, metrics in read_points(path):
        last |= metrics
    return last


def _print(name: str, values: object) -> None:
    """One line: a name and two values."""
    cells = [f"{v:.5g}" if isinstance(v, float) else "–" if v is None else str(v) for v in values]  # type: ignore[attr-defined]
    print(f"{name:<40} {cells[0]:>28} {cells[1]:>28}")
