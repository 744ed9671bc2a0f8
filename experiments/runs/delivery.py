"""Copy a finished run's files from one runs folder to another: all or nothing, the row last."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from experiments.runs.source import SUPERSEDED
from vapo_core.files import naming

CHUNK = 16 * 2**20
"""Bytes per piece, so that no checkpoint has to fit in memory."""

STAYS = ("lock", "failure.json")
"""Files of a run's folder that concern the machine where it ran."""


class Piece(NamedTuple):
    """Part of a file; those of one file come one after the other."""

    name: str
    """Path within the run's folder."""
    content: bytes


def pieces(run_dir: Path) -> Iterator[Piece]:
    """Every file of a run's folder; scratch files and what was set aside stay."""
    for path in sorted(run_dir.rglob("*")):
        name = path.relative_to(run_dir)
        if not path.is_file() or name.name in STAYS or any(_is_scrap(part) for part in name.parts):
            continue
        with path.open("rb") as handle:
            yield Piece(name.as_posix(), handle.read(CHUNK))
            while more := handle.read(CHUNK):
                yield Piece(name.as_posix(), more)


def _is_scrap(name: str) -> bool:
    return name.startswith(".") or ".damaged" in name or name == SUPERSEDED


class Arrival:
    """Takes pieces into a scratch folder beside the final names; call it while the run is claimed."""

    def __init__(self, run_dir: Path) -> None:
        self._run_dir, self._scratch = run_dir, run_dir / ".arriving"
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._scratch.mkdir(parents=True)

    def take(self, piece: Piece) -> None:
        """Append a piece.

        Raises:
            ValueError: if its name leads out of the run's folder.
        """
        path = self._scratch / piece.name
        if not path.resolve().is_relative_to(self._scratch.resolve()):
            raise ValueError(f"not a file of a run's folder: {piece.name!r}")
        path.parent.mkdir(parents=True, exist_ok=True)
        with naming(path), path.open("ab") as handle:
            handle.write(piece.content)

    def settle(self) -> None:
        """Give everything its name, row.json last; what an earlier attempt left here is replaced."""
        names = sorted((path.name for path in self._scratch.iterdir()), key=lambda name: name == "row.json")
        for name in names:
            target = self._run_dir / name
            if target.is_dir():
                shutil.rmtree(target)
            (self._scratch / name).replace(target)
        self._scratch.rmdir()
        (self._run_dir / "failure.json").unlink(missing_ok=True)
