"""`vapo clean`: remove unfinished runs and, on request, caches."""

import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import Field

from experiments.runs.inventory import NAME
from experiments.runs.source import SUPERSEDED
from experiments.specs.options import parse
from vapo_core.settings import Frozen


class CleanConfig(Frozen):
    """Remove unfinished runs; finished runs are never deleted. Without --yes, only list what would be removed."""

    runs: Path = Field(Path("runs"), description="folder of records")
    caches: bool = Field(
        False, description="also remove base models and pretrained critics; they are rebuilt when needed"
    )
    yes: bool = Field(False, description="remove them, without asking; otherwise they are only listed")


FILES = (
    r"(attempts|lock|(spec|row|failure|mlflow|origin|inputs)\.json|(metrics|probes)\.jsonl|checkpoint"
    r"|source\.txt|plugin\.py|trace\.(html|parquet))"
)
WRITTEN = re.compile(rf"{FILES}(\.damaged\d+)?|\.{FILES}\..+|\.arriving")
"""Names of what a run leaves in its folder, also what it set aside, and what a killed one left half written."""

CACHES = {"bases": "identity.json", "critics": "warm.json"}
"""Folder of a cache -> the file by which each of its entries is known."""


def run(words: Sequence[str]) -> int:
    """Parse, list, remove."""
    config = parse(CleanConfig, CleanConfig(), words, "clean")
    if not config.runs.is_dir():
        raise FileNotFoundError(f"no folder {config.runs}")
    going = [*_unfinished(config.runs), *(_cached(config.runs) if config.caches else ())]
    removed = sum(_remove(folder, lock, config.yes) for folder, lock in going)
    print(f"{removed} folders {'removed' if config.yes else 'would be removed; use --yes to remove them'}")
    return 0


def _unfinished(runs: Path) -> Iterator[tuple[Path, Path]]:
    """(folder, lock) of every run that was begun and has no row; a folder that holds anything else is left alone."""
    for entry in sorted(runs.iterdir()):
        if not _is_entry(entry, entry.name) or not (entry / "attempts").is_file() or (entry / "row.json").exists():
            continue
        if (entry / SUPERSEDED).exists():
            print(f"{entry} holds results of earlier source in {SUPERSEDED}/; skipped")
            continue
        foreign = [path.name for path in entry.iterdir() if not WRITTEN.fullmatch(path.name) or path.is_symlink()]
        if foreign:
            print(f"{entry} holds {min(foreign)!r}, which no run writes; skipped")
        else:
            yield entry, entry / "lock"


def _cached(runs: Path) -> Iterator[tuple[Path, Path]]:
    """(folder, lock) of every base model and warm critic."""
    for name, known_by in CACHES.items():
        cache = runs / name
        if not cache.is_dir() or cache.is_symlink():
            continue
        for entry in sorted(cache.iterdir()):
            key, _, damaged = entry.name.partition(".damaged")
            if _is_entry(entry, key) and (damaged.isdecimal() or (entry / known_by).is_file()):
                yield entry, cache / f"{key}.lock"


def _is_entry(entry: Path, key: str) -> bool:
    """Whether it is a folder, no link to one, and its key that of a run or of a cache entry."""
    return bool(NAME.fullmatch(key)) and entry.is_dir() and not entry.is_symlink()


def _remove(entry: Path, lock: Path, really: bool) -> bool:
    """Say that a folder goes, and remove it if asked; False if a process is at work on it."""
    try:
        with FileLock(lock, timeout=0):
            print(entry)
            if really:
                shutil.rmtree(entry)
    except Timeout:
        print(f"{entry} is in use; skipped")
        return False
    return True
