"""How long runs take: one estimate, from finished runs of the same kind, and every command says the same."""

import json
import re

import pytest

from experiments.cli import main
from experiments.cost.run_time import estimate, kind_of, median_seconds
from experiments.cost.study_plan import study_cost
from experiments.runs.run import describe
from tests.support.worlds import small_spec

SECONDS = r"\((.*?) s per run; (.*?)\)"


def record(runs, spec, seconds, state="finished"):
    folder = runs / spec.hash
    folder.mkdir()
    (folder / "row.json").write_text(json.dumps({**describe(spec, "test"), "state": state, "seconds": seconds}))


def test_runs_with_probes_have_a_time_of_their_own(tmp_path):
    plain, probed = small_spec(), small_spec().model_copy(update={"probes": {"curvature": 5, "credit": 2}})
    for seed, seconds in enumerate((1.0, 2.0, 3.0)):
        record(tmp_path, plain.model_copy(update={"seed": seed}), seconds)
        record(tmp_path, probed.model_copy(update={"seed": seed}), 10 * seconds)
    known = median_seconds(tmp_path)
    assert (known[kind_of(plain)], known[kind_of(probed)]) == (2.0, 20.0)
    todo = [probed.model_copy(update={"seed": seed}) for seed in range(10, 190)]
    said = " ".join(study_cost("h3", "full", todo, todo, tmp_path, 2))
    assert "about 1.00 core-hours" in said
    assert "20.0 s per run; the median of finished runs" in said


def test_other_kinds_and_diverged_runs_tell_nothing(tmp_path):
    spec = small_spec()
    record(tmp_path, spec.model_copy(update={"steps": spec.steps + 1}), 100.0)
    record(tmp_path, spec.model_copy(update={"seed": 5}), 0.01, state="diverged")
    assert estimate([spec], tmp_path).measured == 0


def test_a_guess_grows_with_steps_and_probes(tmp_path):
    short, long = (small_spec(steps=steps) for steps in (30, 60))
    probed = short.model_copy(update={"probes": {"credit": 30}})
    assert [estimate([spec], tmp_path).seconds for spec in (short, long, probed)] == [2.0, 4.0, 3.0]


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"world": "walk"}'])
def test_a_row_that_cannot_be_read_tells_nothing(tmp_path, text):
    (tmp_path / "0123456789abcdef").mkdir()
    (tmp_path / "0123456789abcdef" / "row.json").write_text(text)
    assert median_seconds(tmp_path) == {}


@pytest.mark.parametrize("seconds", [None, 9.0])
@pytest.mark.parametrize("world", ["walk", "lm"])
def test_every_command_says_the_same_of_the_same_run(tmp_path, capsys, world, seconds):
    """Ablate, sweep and study, of runs without probes; before and after one of them has finished."""
    from experiments.ablations.ablate import plan
    from experiments.commands.ablate import configure

    words = ["--world", world, "--preset", "smoke", "--steps", "30", "--seeds", "2", "--runs", str(tmp_path)]
    specs = plan(*configure(words, {})).specs
    if seconds is not None:
        record(tmp_path, specs[0].model_copy(update={"seed": 77}), seconds)
    said = []
    for command in (["ablate"], ["sweep", "alpha"]):
        assert main([*command, *words, "--dry-run"]) == 0
        said.append(capsys.readouterr().out)
    said.append("\n".join(study_cost("h1", "quick", specs, specs, tmp_path, 2)))
    found = [re.findall(SECONDS, text) for text in said]
    assert found[0] == found[1] == found[2]
    assert float(found[0][0][0]) == (seconds or {"walk": 2.0, "lm": 15.0}[world])
