"""Finished runs, their tables and their MLflow store, damaged."""

import json
import shutil
from pathlib import Path

from tests.bad_inputs.scene import DEEP, Scene


def _runs(folder: Path, records: Path) -> None:
    shutil.copytree(records, folder / "runs")


def _store(content: bytes | None) -> Scene:
    """An MLflow store with that content; a folder for None."""

    def scene(folder: Path, records: Path) -> None:
        (folder / "runs").mkdir(exist_ok=True)
        file = folder / "runs" / "mlflow.db"
        file.mkdir() if content is None else file.write_bytes(content)

    return scene


def _edited(table: str, old: str, new: str) -> Scene:
    """The table of an ablation, one thing in it replaced everywhere."""

    def scene(folder: Path, records: Path) -> None:
        shutil.copytree(records / "ablate-x", folder / "ablate-x")
        file = folder / "ablate-x" / table
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    return scene


def _tables(name: str, content: bytes | None) -> Scene:
    """An ablation's tables, one of them with that content, or gone."""

    def scene(folder: Path, records: Path) -> None:
        shutil.copytree(records / "ablate-x", folder / "ablate-x")
        file = folder / "ablate-x" / name
        file.unlink() if content is None else file.write_bytes(content)

    return scene


def _component(value: str) -> Scene:
    """An ablation's table with that value for clip_higher in every row."""

    def scene(folder: Path, records: Path) -> None:
        import pandas as pd

        shutil.copytree(records / "ablate-x", folder / "ablate-x")
        file = folder / "ablate-x" / "runs.csv"
        rows = pd.read_csv(file, dtype=str, keep_default_na=False)
        rows.assign(clip_higher=value).to_csv(file, index=False)

    return scene


def _column(name: str, value: str) -> Scene:
    """An ablation's table with that value in every row of a column."""

    def scene(folder: Path, records: Path) -> None:
        import pandas as pd

        shutil.copytree(records / "ablate-x", folder / "ablate-x")
        file = folder / "ablate-x" / "runs.csv"
        rows = pd.read_csv(file, dtype=str, keep_default_na=False)
        rows.assign(**{name: value}).to_csv(file, index=False)

    return scene


def _record(name: str, content: bytes) -> Scene:
    """Finished runs; in each, one file has that content."""

    def scene(folder: Path, records: Path) -> None:
        _runs(folder, records)
        for home in (folder / "runs").glob("*/spec.json"):
            (home.parent / name).write_bytes(content)

    return scene


def _newer(folder: Path, records: Path) -> None:
    """Finished runs with a field that this version does not know."""
    _runs(folder, records)
    for spec in (folder / "runs").glob("*/spec.json"):
        spec.write_text(json.dumps({**json.loads(spec.read_text()), "novelty": 1}))


BROKEN: dict[str, bytes] = {
    "words": b"no json\n",
    "list": b"[1, 2]\n",
    "deep": b"[" * DEEP + b"\n",
    "null": b"null\n",
    "binary": bytes(range(256)),
    "empty": b"",
}
"""Content of a file that should hold JSON."""

SCENES: dict[str, Scene] = {
    "runs": _runs,
    "store-of-words": _store(b"not a database" * 99),
    "store-cut": _store(b"SQLite format 3\0" + bytes(40)),
    "store-folder": _store(None),
    "store-of-zeros": _store(bytes(8192)),
    "component-maybe": _component("maybe"),
    "component-2": _component("2"),
    "seed-word": _column("seed", "first"),
    "auc-word": _column("auc", "high"),
    "auc-missing": _column("auc", ""),
    "world-mars": _column("world", "mars"),
    "same-run": _column("spec", "0123456789abcdef"),
    "no-column": _edited("runs.csv", "clip_higher", "clip_lower"),
    "runs-binary": _tables("runs.csv", bytes(range(256))),
    "runs-empty": _tables("runs.csv", b""),
    "runs-ragged": _tables("runs.csv", b"a,b\n1,2,3,4\n1\n"),
    "runs-latin1": _tables("runs.csv", "spec,arm\n1,vapö\n".encode("latin-1")),
    "curves-empty": _tables("curves.parquet", b""),
    "curves-words": _tables("curves.parquet", b"no parquet" * 50),
    "curves-missing": _tables("curves.parquet", None),
    "spec-newer": _newer,
    **{
        f"{file.partition('.')[0]}-{name}": _record(file, content)
        for file in ("spec.json", "row.json", "metrics.jsonl")
        for name, content in BROKEN.items()
    },
}
