"""A few kills of the fault tool; `make soak` makes a hundred (table: tests/soak/faults.csv)."""

import csv
import shutil
import sys
from pathlib import Path

import pytest

from tests import faults


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds workers in /proc")
def test_kill_nine_at_random_moments_loses_nothing_and_counts_nothing_twice(tmp_path):
    done = faults.soak(4, seed=1, out=tmp_path / "faults.csv", most=4)
    assert [one for one in done if not faults.is_well(one.verdict)] == []
    assert len(list(csv.reader((tmp_path / "faults.csv").open()))) == 1 + 4


def test_the_committed_table_is_of_a_hundred_kills_that_went_well():
    path = Path(__file__).parents[1] / "soak" / "faults.csv"
    with path.open() as handle:
        lines = list(csv.DictReader(handle))
    assert len(lines) >= 100
    assert {line["kind"] for line in lines} == set(faults.KINDS)
    assert {line["equal"] for line in lines} == {"True"}
    assert {line[name] for line in lines for name in ("lost", "twice", "orphans", "torn")} == {"0"}


def test_the_judge_sees_what_is_wrong(tmp_path):
    """A lost row, a torn file and another score are found."""
    faults.run_grid(tmp_path / "whole", tmp_path / "whole" / "out")
    shutil.copytree(tmp_path / "whole", tmp_path / "runs")
    runs, whole = tmp_path / "runs", tmp_path / "whole"
    seen = faults.rows(runs)
    assert faults.is_well(faults.judge(runs, whole, seen))
    next(runs.glob("*/row.json")).write_text("{")
    judged = faults.judge(runs, whole, seen)
    assert (judged.lost, judged.torn) == (1, 1)
    table = runs / "out" / "runs.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join([*lines, lines[-1]]) + "\n")
    judged = faults.judge(runs, whole, {})
    assert (judged.twice, judged.equal) == (1, False)
