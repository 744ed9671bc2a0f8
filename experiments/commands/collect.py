"""`vapo collect`: copy finished runs from other folders, such as those of shards, into one."""

import sys
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from pydantic import Field

from experiments.launchers.grid import say_gone
from experiments.runs.delivery import Arrival, pieces
from experiments.runs.inventory import RunFolder, listing, say_damage
from experiments.runs.repair import curve_damage, mend_spec, whole_row
from experiments.services.claims import claimed
from experiments.specs.exact import AnySpec
from experiments.specs.options import parse
from vapo_core.files import clear_scratch, ensure_writable
from vapo_core.settings import Frozen


class CollectConfig(Frozen):
    """Copy finished runs from other folders into one: `vapo collect FOLDER... --runs runs`. Runs already there are kept."""

    runs: Path = Field(Path("runs"), description="folder of records to copy them into")


def run(words: Sequence[str]) -> int:
    """Folders first, then options; says how many runs came from where."""
    folders = [Path(word) for word in takewhile(lambda word: not word.startswith("-"), words)]
    config = parse(CollectConfig, CollectConfig(), words[len(folders) :], "collect FOLDERS")
    if "" in words[: len(folders)]:
        raise ValueError("collect: the name of a folder is empty, allowed is a path, such as . for the current folder")
    if not folders:
        raise ValueError("collect: which folders of records? such as `vapo collect shard1 shard2 --runs runs`")
    ensure_writable(config.runs)
    left, brought = 0, dict[str, AnySpec]()
    for folder in folders:
        found = listing(folder)
        left += say_damage(found)
        finished = [entry for entry in found if isinstance(entry, RunFolder) and entry.row is not None]
        complete = [entry for entry in finished if _is_complete(entry)]
        new = [_bring(entry.spec, entry.run_dir, config.runs) for entry in complete]
        left += len(finished) - len(complete)
        brought |= {entry.spec.hash: entry.spec for entry in complete}
        print(f"{folder}: collected {sum(new)} runs, {len(new) - sum(new)} were already there")
    if left:
        print(f"warning: {left} runs were not collected; damaged ones must be run again", file=sys.stderr)
    return 1 if say_gone(brought.values(), config.runs) or left else 0


def _is_complete(entry: RunFolder) -> bool:
    """Whether a finished run's curve is whole; if not, a warning is printed."""
    assert entry.row is not None
    wrong = curve_damage(entry.spec, entry.row, entry.run_dir)
    if wrong:
        print(f"warning: {entry.run_dir / 'metrics.jsonl'}: {wrong}", file=sys.stderr)
    return not wrong


def _bring(spec: AnySpec, run_dir: Path, runs: Path) -> bool:
    """Copy a run unless it is there; whether it was copied."""
    target = runs / spec.hash
    with claimed(target):
        if whole_row(spec, target) is not None:
            mend_spec(spec, target)
            return False
        clear_scratch(target)
        arrival = Arrival(target)
        for piece in pieces(run_dir):
            arrival.take(piece)
        arrival.settle()
    return True
