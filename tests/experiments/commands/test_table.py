"""`vapo table` and `vapo compare` on planted ablations: what is named, how it is written, an earlier commit."""

import csv
import io
import json

import pytest

from experiments.cli import main
from tests.analysis.conftest import make


def _plant(folder, runs, tables, seeds=6):
    folder.mkdir(parents=True)
    runs.to_csv(folder / "runs.csv", index=False)
    tables.curves.to_parquet(folder / "curves.parquet")
    (folder / "config.json").write_text(json.dumps({"seeds": seeds}))


@pytest.fixture
def here(tmp_path, monkeypatch):
    """runs/old and runs/new: the same specs, at two commits; in the new one the arm without clip_higher scores 0.1 more."""
    monkeypatch.chdir(tmp_path)
    tables = make(seeds=6)
    tables.runs["spec"] = [f"{n:016x}" for n in range(len(tables.runs))]
    newer = tables.runs.assign(git_commit="def5678")
    newer.loc[newer["arm"] == "vapo without clip_higher", "auc"] += 0.1
    _plant(tmp_path / "runs" / "old", tables.runs, tables)
    _plant(tmp_path / "runs" / "new", newer, tables, seeds=8)
    for old, new in zip(tables.runs.to_dict("records"), newer.to_dict("records"), strict=True):
        aside = tmp_path / "runs" / new["spec"] / "superseded" / "1"
        aside.mkdir(parents=True)
        (aside / "row.json").write_text(json.dumps(old))
        (aside.parents[1] / "row.json").write_text(json.dumps(new))
    return tmp_path


def test_printed_and_written_are_the_same(here, capsys):
    assert main(["table", "old"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("| Arm |")
    assert "6 of 6" in printed
    assert main(["table", "runs/old", "--out", "t.md"]) == 0
    assert (here / "t.md").read_text(encoding="utf-8") == printed


def test_the_suffix_says_the_format(here):
    assert main(["table", "new", "--out", "t.tex"]) == 0
    assert r"\toprule" in (here / "t.tex").read_text(encoding="utf-8")
    assert main(["table", "new", "--out", "t.csv"]) == 0
    rows = list(csv.DictReader(io.StringIO((here / "t.csv").read_text(encoding="utf-8"))))
    assert {(row["seeds"], row["planned"]) for row in rows} == {("6", "8")}


def test_a_study_gives_its_verdicts(capsys):
    """Of the committed rows of the exact level."""
    assert main(["table", "h7_credit_assignment", "h1_value_fidelity"]) == 0
    said = capsys.readouterr().out
    assert "| h7a | exact | " in said
    assert "| h1b | exact | " in said
    assert main(["table", "h1_value_fidelity", "--format", "csv"]) == 0
    assert capsys.readouterr().out.startswith("question,estimand,unit,level,preset,estimate,low,high,")


@pytest.mark.parametrize("names", [("old", "new"), ("new@abc1234", "new"), ("new@abc", "new@def5678")])
def test_two_ablations_or_one_at_two_commits(here, capsys, names):
    assert main(["compare", *names]) == 0
    lines = capsys.readouterr().out.splitlines()
    (line,) = [line for line in lines if "clip_higher" in line]
    assert "+0.100 [+0.100, +0.100]" in line
    assert all("identical" in line for line in lines if line.strip().startswith(("vapo ", "ppo ", "grpo ")))
    assert "commit abc1234 and def5678" in " ".join(" ".join(lines).split())


def test_a_commit_that_is_not_there_names_those_that_are(here, capsys):
    assert main(["compare", "new@0000", "new"]) == 2
    assert "no run of new at commit '0000' (there are: abc1234, def5678)" in capsys.readouterr().err


def test_ls_names_what_has_tables(here, capsys):
    assert main(["ls"]) == 0
    assert "with tables: new, old" in capsys.readouterr().out
