"""`vapo compare A B ...`: runs side by side, or two ablations arm by arm, paired by seed."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field
from tyro.conf import Positional

from experiments.records.points import damage, read_points
from experiments.runs.exact_run import flat
from experiments.runs.inventory import RunFolder, find
from experiments.specs.options import parse
from vapo_core.settings import Frozen


class CompareConfig(Frozen):
    """Compare runs (their configurations and last values), or two ablations (differences with intervals).

    Ablations are paired by seed, arm by arm. NAME@COMMIT is an ablation as that commit computed it: after an edit of the code,
    `vapo compare NAME@OLD NAME` shows what the edit changed. A few runs side by side are not evidence; ablations are.
    """

    names: Positional[tuple[str, ...]] = Field(
        (), description="two or more runs (prefixes of their names), or two ablations (folders or names, see `vapo ls`)"
    )
    score: Literal["auc", "last"] = Field("auc", description="of ablations: auc or last, the final score")
    runs: Path = Field(Path("runs"), description="folder of records and ablations")
    results: Path = Field(Path("results"), description="folder of full studies")


def run(words: Sequence[str]) -> int:
    """Parse, see what is named, compare."""
    config = parse(CompareConfig, CompareConfig(), words, "compare")
    if len(config.names) < 2:
        raise ValueError(f"names: {len(config.names)} given; two runs or two ablations are needed, see `vapo ls`")
    ablations = [_is_ablation(name, config) for name in config.names]
    if not any(ablations):
        return _compare_runs([find(config.runs, name) for name in config.names])
    if not all(ablations):
        raise ValueError(f"{config.names[ablations.index(False)]!r} is no ablation: compare runs with runs")
    if len(config.names) > 2:
        raise ValueError(f"names: {len(config.names)} ablations given, allowed are two")
    return _compare_ablations(config)


def _is_ablation(name: str, config: CompareConfig) -> bool:
    from experiments.runs.named_outcomes import outcome_folder

    plain = name.rpartition("@")[0] if "@" in name else name
    return any(outcome_folder(each, config.runs, config.results) for each in (name, plain))


def _compare_ablations(config: CompareConfig) -> int:
    """Print the differences and their intervals."""
    from analysis.ablations.compared import compared, compared_sheet
    from analysis.ablations.joined import SCORES
    from analysis.tables.sheets import printed
    from experiments.runs.named_outcomes import ablation

    a, b = (ablation(name, config.runs, config.results) for name in config.names)
    printed(compared_sheet(compared(a, b, config.score), a.name, b.name, SCORES[config.score]))
    return 0


def _compare_runs(entries: Sequence[RunFolder]) -> int:
    """Configurations where they differ, rows, and the last value of every metric."""
    _print("", [f"{e.spec.arm}, seed {e.spec.seed}" for e in entries])
    specs = [flat(e.spec.model_dump(mode="json")) for e in entries]
    _print_where(specs, lambda values: any(value != values[0] for value in values[1:]))
    print()
    rows = [e.row or {} for e in entries]
    if any(rows):
        for name in ("state", "first", "last", "auc", "tokens", "mean_length", "seconds"):
            _print(name, [row.get(name) for row in rows])
        print()
    ends = [_last(e) for e in entries]
    for name in sorted({name for end in ends for name in end}):
        _print(name, [end.get(name) for end in ends])
    return 0


def _print_where(columns: Sequence[dict[str, Any]], wanted: Any) -> None:
    """A line per name whose values are wanted, in the order of their first sight."""
    for name in dict.fromkeys(name for column in columns for name in column):
        values = [column.get(name) for column in columns]
        if wanted(values):
            _print(name, values)


def _last(entry: RunFolder) -> dict[str, float]:
    """The last value of every metric."""
    path = entry.run_dir / "metrics.jsonl"
    if damaged := damage(path):
        print(f"warning: {damaged}", file=sys.stderr)
    last: dict[str, float] = {}
    for _, metrics in read_points(path):
        last |= metrics
    return last


def _print(name: str, values: Sequence[object]) -> None:
    """One line: a name and a value per run."""
    cells = [f"{v:.5g}" if isinstance(v, float) else "–" if v is None else str(v) for v in values]
    print(f"{name:<40} " + " ".join(f"{cell:>28}" for cell in cells))
