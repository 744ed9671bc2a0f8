"""Rows committed to results folders: those with their curves count as finished and are not run again.

While a long grid runs, its finished rows are added to a folder as parts of their own, `parts/0001` and so on, each written once
and never changed: so a history of commits holds every row once. Judging joins them into the folder's own tables.
"""

import shutil
import tempfile
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import pandas as pd

from analysis.tables.schema import CURVE_COLUMNS, PROBE_COLUMNS, RUN_COLUMNS, Tables, load, stacked
from experiments.records.arrays import Arrays
from experiments.runs.collect import Finished, from_records, write_tables
from experiments.specs.exact import AnySpec
from vapo_core.files import whole_folder, write_whole, write_whole_bytes
from vapo_core.settings import PROBES

METRICS: tuple[str, ...] = ("val/", "activity/", *(f"{probe}/" for probe in PROBES))
"""Beginnings of the metrics that a study's tables keep, beside everything of exact runs."""

FURTHER_METRICS = ("reward/mean", "response_length/mean", "actor/entropy", "tokens/generated")

ARRAYS: tuple[str, ...] = ("credit",)
"""Probes of trained runs whose arrays judges read; a study's tables keep no others."""


PARTS = "parts"


def folders(results: Path) -> list[Path]:
    """Folders of results that hold rows."""
    held = {path.parent for path in results.glob("*/runs.csv")}
    return sorted(held | {path.parents[2] for path in results.glob(f"*/{PARTS}/*/runs.csv")})


def finished_specs(folder: Path) -> set[str]:
    """Spec hashes of the rows a folder holds whole, parts included: in runs.csv, and with points in curves.parquet."""
    return set().union(*map(_finished_in, [folder, *parts(folder)]))


def parts(folder: Path) -> list[Path]:
    """What was added to a folder and not yet joined, in the order of its coming."""
    return sorted(path.parent for path in (folder / PARTS).glob("*/runs.csv"))


def load_whole(folder: Path) -> Tables:
    """The rows of a folder, parts included."""
    return concat([load(place) for place in [folder, *parts(folder)] if (place / "runs.csv").is_file()])


def add(tables: Tables, folder: Path) -> Path | None:
    """Write rows as a new part of a folder, whole or not at all; nothing for no rows."""
    if not len(tables.runs):
        return None
    number = 1 + max((int(path.name) for path in parts(folder)), default=0)
    with whole_folder(folder / PARTS / f"{number:04}") as place:
        _write(tables, place)
    return folder / PARTS / f"{number:04}"


def _finished_in(folder: Path) -> set[str]:
    if not all((folder / name).is_file() for name in ("runs.csv", "curves.parquet")):
        return set()
    named = pd.read_csv(folder / "runs.csv", usecols=["spec"], dtype=str)["spec"]
    points = pd.read_parquet(folder / "curves.parquet", columns=["spec"])["spec"]
    return set(named) & set(points.astype(str))


def select(tables: Tables, specs: Collection[str]) -> Tables:
    """The rows of some runs."""
    return Tables(*(table[table["spec"].astype(str).isin(list(specs))] for table in tables))


def concat(parts: Sequence[Tables]) -> Tables:
    """Several tables as one; of a run that is in two of them the first is kept."""
    seen: set[str] = set()
    fresh = []
    for tables in parts:
        wanted = set(tables.runs["spec"]) - seen
        seen |= wanted
        fresh.append(select(tables, wanted))
    return Tables(*(stacked(columns) for columns in zip(*fresh, strict=True)))


def from_runs(specs: Iterable[AnySpec], runs: Path) -> Tables:
    """The finished runs among these specs, slim: named metrics, and arrays that judges read."""
    with tempfile.TemporaryDirectory() as folder:
        write_tables([_slim(found) for found in from_records(specs, runs)], Path(folder))
        if not (Path(folder) / "runs.csv").read_text().strip():
            return nothing()
        return load(Path(folder))


def nothing() -> Tables:
    """No runs."""
    return Tables(*(pd.DataFrame(columns=list(names)) for names in (RUN_COLUMNS, CURVE_COLUMNS, PROBE_COLUMNS)))


def _slim(found: Finished) -> Finished:
    if found.row["world"] == "exact":
        return found
    points = [(step, {name: x for name, x in metrics.items() if _kept(name)}) for step, metrics in found.points]
    return Finished(found.row, points, lambda: _last_of_each(found.arrays()))


def _kept(metric: str) -> bool:
    return metric in FURTHER_METRICS or metric.startswith(METRICS)


def _last_of_each(arrays: Iterable[Arrays]) -> list[Arrays]:
    """The last measurement of every probe whose arrays are read."""
    return list({line.probe: line for line in arrays if line.probe in ARRAYS}.values())


def write(tables: Tables, out: Path) -> None:
    """The rows of a folder, its parts among them, as one table; then the parts go."""
    _write(tables, out)
    shutil.rmtree(out / PARTS, ignore_errors=True)


def _write(tables: Tables, out: Path) -> None:
    """runs.csv, curves.parquet and probes.parquet, each written atomically, in an order that does not depend on history."""
    order = tables.runs.sort_values("spec", ignore_index=True)
    write_whole_bytes(out / "curves.parquet", _parquet(tables.curves, ["spec", "metric", "step"]))
    write_whole_bytes(out / "probes.parquet", _parquet(tables.probes, ["spec", "probe", "step", "column", "item"]))
    write_whole(out / "runs.csv", order.to_csv(index=False))


def _parquet(table: pd.DataFrame, by: list[str]) -> bytes:
    text = [name for name in table.columns if name not in ("step", "item", "value")]
    plain = table.astype({**dict.fromkeys(text, "str"), "value": "float64"}).sort_values(by, ignore_index=True)
    return bytes(plain.astype(dict.fromkeys(text, "category")).to_parquet(index=False, compression="zstd"))
