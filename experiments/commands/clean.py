"""`vapo clean`: remove what is no result: unfinished runs, and if asked, caches."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import Field

from experiments.options import parse
from vapo_core.settings import Frozen


class CleanConfig(Frozen):
    """Remove unfinished runs; finished ones are never touched. Without --yes it only says what would go."""

    runs: Path = Field(Path("runs"), description="folder of records")
    caches: bool = Field(False, description="also base models and warm critics; they are made again when needed")
    yes: bool = Field(False, description="do it")


def run(words: Sequence[str]) -> int:
    """Parse, list, remove."""
    config = parse(CleanConfig, CleanConfig(), words, "clean")
    if not config.runs.is_dir():
        raise FileNotFoundError(f"no folder {config.runs}")
    unfinished = [p.parent for p in sorted(config.runs.glob("*/attempts")) if not (p.parent / "row.json").exists()]
    going = [home for home in unfinished if _idle(home)]
    if config.caches:
        going += [config.runs / name for name in ("bases", "critics") if (config.runs / name).is_dir()]
    for folder in going:
        print(folder)
        if config.yes:
            shutil.rmtree(folder)
    print(f"{len(going)} folders {'removed' if config.yes else 'would go; give --yes to remove them'}")
    return 0


def _idle(home: Path) -> bool:
    """Whether no process is at work on a run."""
    try:
        with FileLock(home / "lock", timeout=0):
            return True
    except Timeout:
        print(f"{home} is being run, left alone")
        return False
