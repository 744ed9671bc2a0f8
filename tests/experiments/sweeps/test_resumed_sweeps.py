"""A sweep that is resumed tries data and checkpoint again, unless all of its runs are there."""

import pytest

from experiments.commands.sweep import configure
from experiments.sweeps import sweep as sweeps
from experiments.sweeps import trials
from experiments.sweeps.sweep import studies_of, sweep, sweep_folder
from experiments.sweeps.tune import work

WORDS = ["alpha", "--preset", "smoke", "--trials", "2", "--no-control"]


class Reached(Exception):
    """The command got as far as its first run."""


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """A sweep whose data cannot be read, and which stops before its runs."""

    def unreadable(specs, runs):
        raise ValueError("path: data.jsonl cannot be read")

    def stop(*_, **__):
        raise Reached

    monkeypatch.setattr(sweeps, "check_readable", unreadable)
    monkeypatch.setattr(sweeps, "tracked", stop)
    return configure([*WORDS, "--runs", str(tmp_path / "runs")], {})


def finished(config, dials):
    """Its trials, done; the journal lies where the command looks for it."""
    folder = sweep_folder(config, dials)
    folder.mkdir(parents=True)
    for study in studies_of(config, dials):
        work({study.plan: lambda values, index, number: values["alpha"]}, folder / "journal.log")


def test_a_new_sweep_leaves_nothing_behind(asked):
    config, dials = asked
    with pytest.raises(ValueError, match="cannot be read"):
        sweep(config, dials)
    assert not sweep_folder(config, dials).exists()


def test_a_sweep_that_was_begun_is_checked_too(asked):
    config, dials = asked
    sweep_folder(config, dials).mkdir(parents=True)
    with pytest.raises(ValueError, match="cannot be read"):
        sweep(config, dials)


def test_trials_that_are_done_leave_the_held_back_seeds_to_run(asked):
    config, dials = asked
    finished(config, dials)
    with pytest.raises(ValueError, match="cannot be read"):
        sweep(config, dials)


def test_a_sweep_without_runs_to_come_needs_no_data(asked, monkeypatch):
    config, dials = asked
    finished(config, dials)
    monkeypatch.setattr(trials, "finished_row", lambda spec, runs: {"auc": 0.5})
    with pytest.raises(Reached):
        sweep(config, dials)
