"""A plan says which probes cost more than the training between two of their measurements."""

import pytest

from experiments.benchmarks.phases import row
from experiments.cli import main
from experiments.commands.bench import table
from experiments.cost.probe_cost import probe_costs, probe_lines
from experiments.cost.study_plan import study_cost
from tests.support.worlds import small_spec


@pytest.fixture
def benchmarks(tmp_path, monkeypatch):
    """Curvature takes 8 RL steps of short answers and 20 of long ones, credit 2 and 3; written as the benchmark writes it."""
    import numpy as np

    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "results" / "benchmarks"
    folder.mkdir(parents=True)
    one = np.ones(3)
    found = [
        row("probes", case, probe, steps * one, one, "RL step")
        for case, probe, steps in (
            ("a", "curvature", 8),
            ("b", "curvature", 20),
            ("a", "credit", 2),
            ("b", "credit", 3),
        )
    ]
    (folder / "walk_lengths.csv").write_text(table([row("walk", "a", "whole run", one, one, "floor"), *found]))
    return folder


def probed(every, steps=30, world="walk"):
    return small_spec(world, steps=steps).model_copy(update={"probes": {"curvature": every, "credit": every}})


def test_costs_are_the_least_and_the_most_over_lengths(benchmarks):
    assert probe_costs("walk", benchmarks) == {"curvature": (8.0, 20.0), "credit": (2.0, 3.0)}
    assert probe_costs("lm", benchmarks) == {}
    assert probe_costs("exact", benchmarks) == {}


def test_only_what_costs_more_than_its_interval_is_named(benchmarks):
    (said,) = probe_lines([probed(15)])
    assert said.endswith("measurements: curvature on walk (8 to 20 RL steps, measured every 15)")
    assert probe_lines([probed(20)]) == []
    (said,) = probe_lines([probed(2)])
    assert said.count("RL steps") == 2


def test_a_run_of_few_steps_has_no_more_training_than_those(benchmarks):
    """Measured before the first step and after the last, whatever the interval."""
    (said,) = probe_lines([probed(1000, steps=10)])
    assert "every 10)" in said


def test_runs_without_probes_or_a_table_say_nothing(benchmarks):
    assert probe_lines([small_spec(), probed(1, world="lm")]) == []
    assert probe_lines([probed(1)], benchmarks / "none") == []


def test_both_plans_say_it(benchmarks, tmp_path, capsys):
    words = ["--preset", "smoke", "--probes", "curvature", "3", "--runs", str(tmp_path / "runs"), "--dry-run"]
    assert main(["ablate", *words]) == 0
    assert "curvature on walk" in capsys.readouterr().out
    assert "curvature on walk" in "\n".join(study_cost("h3", "full", [probed(5)], [], tmp_path, 2))
