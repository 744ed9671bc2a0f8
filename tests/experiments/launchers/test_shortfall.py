"""What was said to be finished and is gone is counted and said; a grid that fails altogether says why."""

import shutil

import pytest

from experiments.cli import main
from experiments.launchers import grid
from experiments.launchers.grid import say_gone
from experiments.launchers.launch import Failure, launch
from experiments.runs.collect import from_records
from experiments.runs.run import run_one
from tests.experiments.test_cli import TINY
from tests.support.worlds import small_spec

WORDS = ["ablate", "--preset", "smoke", "--baselines", "--seeds", "1", "--workers", "1", *TINY]


@pytest.fixture(autouse=True)
def _without_tracking(monkeypatch):
    monkeypatch.setattr("experiments.sync.invocation.open_tracking", lambda *_: None)


def refusing(how, specs, *_):
    """A launcher whose every run fails."""
    return [Failure(spec, "ValueError: no such thing" if i else "KeyError: 'x'") for i, spec in enumerate(specs)]


def test_a_grid_whose_every_run_fails_shows_the_reasons(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(grid, "launch", refusing)
    assert main([*WORDS, "--runs", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "7  ValueError: no such thing" in said
    assert "1  KeyError: 'x'" in said
    assert "no run has finished, so there are no tables" in said
    assert list(tmp_path.glob("*/runs.csv")) == []


@pytest.mark.parametrize(
    "words", [WORDS, [*WORDS, "--shard", "1/1"], ["study", "h1", "--preset", "smoke", "--level", "walk"]]
)
def test_finished_runs_without_records_are_counted_and_said(tmp_path, monkeypatch, capsys, words):
    monkeypatch.setattr(grid, "launch", lambda *_: [])
    results = ["--results", str(tmp_path / "results")] if words[0] == "study" else []
    assert main([*words, "--runs", str(tmp_path), *results]) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("missing:")]
    assert "finished runs are now missing or damaged" in line
    assert "re-run the command" in line


def test_runs_deleted_while_a_grid_goes_on(tmp_path, monkeypatch, capsys):
    """Eight were run, three folders are deleted: five rows, three named, exit code 1; the same command makes them anew."""

    def losing(how, specs, runs, *more):
        failures = launch(how, specs, runs, *more)
        for spec in specs[:3]:
            shutil.rmtree(runs / spec.hash)
        return failures

    with monkeypatch.context() as patch:
        patch.setattr(grid, "launch", losing)
        assert main([*WORDS, "--runs", str(tmp_path)]) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("missing:")]
    assert "missing: 3 finished runs" in line
    (table,) = tmp_path.glob("ablate-*/runs.csv")
    assert len(table.read_text().splitlines()) == 1 + 5
    assert main([*WORDS, "--runs", str(tmp_path)]) == 0
    assert len(table.read_text().splitlines()) == 1 + 8


def test_a_row_without_its_curve_is_no_finished_run(tmp_path, capsys):
    specs = [small_spec(), small_spec(recipe="grpo")]
    for spec in specs:
        run_one(spec, tmp_path, "test")
    (tmp_path / specs[0].hash / "metrics.jsonl").unlink()
    assert [found.row["spec"] for found in from_records(specs, tmp_path)] == [specs[1].hash]
    assert say_gone(specs, tmp_path) == 1
    assert specs[0].hash in capsys.readouterr().err
    assert say_gone(specs, tmp_path, kept=[specs[0].hash]) == 0


def test_a_run_whose_folder_is_deleted_on_the_way_is_no_finished_run(tmp_path, monkeypatch):
    """Its last file alone would be a row without a curve."""
    spec = small_spec()
    monkeypatch.setattr("experiments.runs.run.git_commit", lambda: shutil.rmtree(tmp_path / spec.hash, True) or "")
    with pytest.raises(FileNotFoundError, match=r"metrics\.jsonl"):
        run_one(spec, tmp_path, "test")
    assert not (tmp_path / spec.hash / "row.json").exists()
