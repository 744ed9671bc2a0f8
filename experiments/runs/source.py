"""Which source computed a run. Runs of other source are set aside and made again; rows in results/ are valid by protocol."""

import os
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from experiments.services.claims import Busy, claimed
from experiments.services.retry import say_once
from experiments.specs.exact import AnySpec
from vapo_core.sources import ROOT, Source, recorded

ROWS = Source((
    "vapo_core", "experiments/exact_level", "experiments/runs/exact_run.py", "experiments/runs/milestones.py",
    "experiments/runs/scoring.py",
))  # fmt: skip
"""What a row and its points come from."""

SUPERSEDED = "superseded"
"""Folder of a run's folder: what other source left there, numbered."""

STAYS = ("lock", "attempts", "origin.json", SUPERSEDED)
"""What a run's folder keeps in its place."""


def differs(run_dir: Path) -> str:
    """How the source that computed a run, or began it, differs from the present one; "" if not, or if that is not known."""
    return ROWS.difference(run_dir, run_dir.parent)


def is_finished(spec: AnySpec, runs: Path) -> bool:
    """Whether a run has a row that the present source could have computed."""
    return (runs / spec.hash / "row.json").exists() and not differs(runs / spec.hash)


def set_other_aside(run_dir: Path) -> None:
    """Move what other source left in a run's folder to `superseded/N`; call it while the run is claimed."""
    if not differs(run_dir):
        return
    number = 1
    while (kept := run_dir / SUPERSEDED / str(number)).exists():
        number += 1
    kept.mkdir(parents=True)
    there = [path for path in run_dir.iterdir() if path.name not in STAYS and not path.name.startswith(".")]
    for path in sorted(
        there, key=lambda path: path.name == "source.txt"
    ):  # last: a killed process leaves nothing unmarked
        os.replace(path, kept / path.name)


def replace_other(specs: Iterable[AnySpec], runs: Path) -> None:
    """Set aside every one of these runs that other source computed or began, and say so in a line per difference.

    A line also says how many finished runs do not record their source: they are older than that record, and are taken as
    they are.
    """
    found: dict[str, list[str]] = {}
    unknown = 0
    for spec in dict.fromkeys(specs):
        run_dir = runs / spec.hash
        if difference := differs(run_dir):
            found.setdefault(difference, []).append(spec.hash)
            _set_aside_if_free(run_dir)
        unknown += (run_dir / "row.json").exists() and not recorded(run_dir)
    for difference, names in found.items():
        say_other(difference, names, runs)
    if unknown:
        print(f"warning: {unknown} finished {'run' if unknown == 1 else 'runs'} in {runs} from before source was recorded:"
              " taken as computed by the present source", file=sys.stderr)  # fmt: skip


def say_other(difference: str, names: list[str], runs: Path) -> None:
    """One line: these runs are made again."""
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    print(f"warning: run {names[0]}{more} in {runs}: computed by other source ({difference}); kept in {SUPERSEDED}/,"
          f" {'they are' if more else 'it is'} made again", file=sys.stderr)  # fmt: skip


def say_other_once(run_dir: Path) -> None:
    """One line for all processes of a command, if other source computed this run, as it may have others of its folder."""
    if difference := differs(run_dir):
        line = f"warning: runs in {run_dir.parent} computed by other source ({difference}) are made again"
        say_once(line, run_dir.parent / ".other-source")


def _set_aside_if_free(run_dir: Path) -> None:
    try:
        with claimed(run_dir, wait_s=0):
            set_other_aside(run_dir)
    except Busy:  # another command has it in hand
        return


@cache
def git_commit() -> str:
    """The commit of the code in use when this process first asked, "" outside a repository.

    `-dirty` follows it where the trainer's or the experiments' source is not as committed.
    """
    commit = _git("rev-parse", "--short", "HEAD").strip()
    changed = _git("status", "--porcelain", "--untracked-files=all", "--", "vapo_core", "experiments") if commit else ""
    return f"{commit}{DIRTY}" if any(line.endswith(".py") for line in changed.splitlines()) else commit


DIRTY = "-dirty"


def _git(*words: str) -> str:
    done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""
