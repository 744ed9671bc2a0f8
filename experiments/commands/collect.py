"""`vapo collect`: finished runs of other folders, such as those of shards, brought into one."""

import sys
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from pydantic import Field

from experiments.claims import claimed
from experiments.delivery import Arrival, pieces
from experiments.exact import AnySpec
from experiments.inventory import entries
from experiments.options import parse
from experiments.repair import whole_row
from vapo_core.files import clear_scratch, ensure_writable
from vapo_core.settings import Frozen


class CollectConfig(Frozen):
    """Bring finished runs of other folders into one: `vapo collect FOLDER... --runs runs`; those there are kept."""

    runs: Path = Field(Path("runs"), description="folder of records they are brought into")


def run(words: Sequence[str]) -> int:
    """Folders first, then options; says how many runs came from where."""
    folders = [Path(word) for word in takewhile(lambda word: not word.startswith("-"), words)]
    config = parse(CollectConfig, CollectConfig(), words[len(folders) :], "collect FOLDERS")
    if "" in words[: len(folders)]:
        raise ValueError("collect: the name of a folder is empty, allowed is a path, such as . for the current folder")
    if not folders:
        raise ValueError("collect: which folders of records? such as `vapo collect shard1 shard2 --runs runs`")
    ensure_writable(config.runs)
    damaged = 0
    for folder in folders:
        finished = [entry for entry in entries(folder) if entry.row is not None]
        whole = [entry for entry in finished if whole_row(entry.spec, entry.home) is not None]
        new = [_bring(entry.spec, entry.home, config.runs) for entry in whole]
        damaged += len(finished) - len(whole)
        print(f"{folder}: collected {sum(new)} runs, {len(new) - sum(new)} were there")
    if damaged:
        print(
            f"warning: {damaged} rows were left, as their curves are not whole; they have to be run again",
            file=sys.stderr,
        )
    return 1 if damaged else 0


def _bring(spec: AnySpec, home: Path, runs: Path) -> bool:
    """Copy a run unless it is there; whether it was copied."""
    target = runs / spec.hash
    with claimed(target):
        if whole_row(spec, target) is not None:
            return False
        clear_scratch(target)
        arrival = Arrival(target)
        for piece in pieces(home):
            arrival.take(piece)
        arrival.settle()
    return True
