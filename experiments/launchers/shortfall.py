"""What a command reports at its end: runs that failed, and finished runs whose records are missing."""

import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

from experiments.launchers.launch import Failure
from experiments.runs.repair import curve_damage, read_row
from experiments.specs.exact import AnySpec

MOST_NAMED = 8
"""Most runs that a line lists by name."""


def finished(specs: Iterable[AnySpec], failures: Sequence[Failure]) -> list[AnySpec]:
    """The runs that finished."""
    lost = {spec for spec, _ in failures}
    return [spec for spec in dict.fromkeys(specs) if spec not in lost]


def say_gone(ended: Iterable[AnySpec], runs: Path, kept: Collection[str] = ()) -> int:
    """One line on stderr if records of finished runs are missing or damaged; returns their number.

    Args:
        ended: those runs.
        runs: the folder of records.
        kept: hashes of runs that are kept elsewhere, such as in results.
    """
    gone = [spec.hash for spec in dict.fromkeys(ended) if spec.hash not in kept and not _is_there(spec, runs)]
    if gone:
        more = f" and {len(gone) - MOST_NAMED} more" if len(gone) > MOST_NAMED else ""
        print(
            f"missing: {len(gone)} finished runs are now missing or damaged in {runs}: {', '.join(gone[:MOST_NAMED])}{more};"
            " re-run the command to repeat them",
            file=sys.stderr,
        )
    return len(gone)


def _is_there(spec: AnySpec, runs: Path) -> bool:
    """Whether a run's row and curve are whole."""
    row = read_row(runs / spec.hash)
    return row is not None and not curve_damage(spec, row, runs / spec.hash)


def say_failures(failures: Sequence[Failure], label: Callable[[AnySpec], str]) -> None:
    """A line on stderr for each run that could not be finished, then how often each reason was given, if there are several.

    Args:
        failures: the runs with their reasons.
        label: what the command calls a run.
    """
    for spec, reason in failures[:MOST_LINES]:
        print(f"not finished: {label(spec)}, seed {spec.seed}, run {spec.hash}: {reason}", file=sys.stderr)
    if len(failures) > 1:
        print(f"{len(failures)} runs did not finish; reasons and their counts:", file=sys.stderr)
        for reason, count in Counter(failure.reason for failure in failures).most_common():
            print(f"  {count:>5}  {reason}", file=sys.stderr)


MOST_LINES = 20
"""Most runs that are listed individually."""
