"""`vapo evaluate`: the task its checkpoint learned, table and JSON, and one line for whatever cannot be."""

import json
import shutil

import numpy as np
import pytest

from experiments.cli import main
from experiments.commands.evaluate import configure, trained_on
from experiments.runs.run import run_one
from experiments.specs.spec import TaskSpec
from tests.support.worlds import small_spec
from vapo_core.models.base_model import base_identity, ensure_base
from vapo_core.settings import Base
from vapo_core.tasks import make_task
from vapo_core.tasks.base import Grade
from vapo_core.training.evaluation_report import _bins, _by_value, _count, detailed_evaluation
from vapo_core.types import Problem

FEW = ["--problems", "20", "--answers", "8", "--k", "2", "4"]


@pytest.fixture(scope="module")
def home(cache, tmp_path_factory):
    """A folder of records with the run of a text walk whose dials are not the defaults."""
    home = tmp_path_factory.mktemp("runs")
    (cache / "bases").mkdir(parents=True, exist_ok=True)
    (home / "bases").symlink_to(cache / "bases")
    return home


@pytest.fixture(scope="module")
def checkpoint(home):
    spec = small_spec("lm", steps=1)
    spec = spec.model_copy(update={"task": TaskSpec(name="text_walk", dials={**spec.task.dials, "noise": 0.9})})
    run_one(spec, home, "study")
    return home / spec.hash / "checkpoint" / "policy"


@pytest.fixture(scope="module")
def base(cache):
    """A base model of another task."""
    task = make_task("routes", {})
    return ensure_base(base_identity("routes", task, Base()), task, cache)


def test_table_and_json_of_the_task_the_run_was_about(checkpoint, tmp_path, capsys):
    out = tmp_path / "evaluation.json"
    assert main(["evaluate", str(checkpoint), *FEW, "--out", str(out)]) == 0
    report = json.loads(out.read_text())
    assert (report["task"], report["dials"]["noise"]) == ("text_walk", 0.9)
    assert 0 <= report["pass_at_1"] <= report["pass_at_k"]["2"] <= report["pass_at_k"]["4"] <= 1
    assert sum(report["modes"].values()) == pytest.approx(1)
    for table in ("by_length", "by_difficulty"):
        assert sum(item["responses"] for item in report[table]) == 160
        right = sum(item["responses"] * item["accuracy"] for item in report[table])
        assert right / 160 == pytest.approx(report["pass_at_1"])
    said = capsys.readouterr().out
    assert "pass@1 (avg@8)" in said
    assert "noise 0.9" in said


def test_a_flag_is_stronger_than_what_the_run_tells(checkpoint, base):
    assert configure([str(checkpoint), "--dials.noise", "0.5"]).dials.noise == 0.5
    other = configure([str(checkpoint), "--task", "chain"])
    assert (other.task, other.dials) == ("chain", make_task("chain", {}).dials)
    assert configure([str(base)]).task == "routes"
    assert trained_on(base.parent) is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--k", "20"], "needs at least 40 answers"),
        (["--k", "0"], "k"),
        (["--split", "hold_out"], "did you mean 'held_out'"),
        (["--task", "walk"], "no task 'walk'"),
        (["--task", "chain"], "cannot read"),
        (["--out", "."], "is a folder"),
    ],
)
def test_what_cannot_be_is_one_line(checkpoint, words, said, capsys):
    assert main(["evaluate", str(checkpoint), *words]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert said in error


def test_a_checkpoint_that_is_damaged_is_one_line(checkpoint, tmp_path, capsys):
    damaged = tmp_path / "policy"
    shutil.copytree(checkpoint, damaged)
    weights = damaged / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    assert main(["evaluate", str(tmp_path / "nothing")]) == 2
    assert main(["evaluate", str(damaged), "--task", "text_walk"]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_bins_cover_all_and_keep_equal_lengths_together():
    lengths = np.array([1, 1, 1, 1, 2, 3, 9, 9])
    right = np.array([1, 0, 0, 0, 1, 1, 1, 1], bool)
    found = _bins(lengths, right)
    assert sum(b.responses for b in found) == 8
    assert (found[0].low, found[0].high, found[0].accuracy) == (1, 1, 0.25)
    assert found[-1].accuracy == 1.0


def test_few_difficulties_have_a_line_each_and_many_share_them():
    values = np.array([1.0, 1.0, 2.0, 5.0])
    found = _by_value(values, np.array([True, False, True, False]))
    assert [(b.low, b.high, b.responses, b.accuracy) for b in found] == [(1, 1, 2, 0.5), (2, 2, 1, 1), (5, 5, 1, 0)]
    assert len(_by_value(np.arange(100.0), np.ones(100, bool))) == 4


def evaluation_of(prompts, rewards):
    """An evaluation with two answers to each of some prompts."""
    problems = [Problem(prompt, None) for prompt in prompts]
    grades = [Grade(reward) for pair in rewards for reward in pair]
    return _count(problems, grades, np.ones(len(grades)), np.zeros(len(grades)), ())


def test_a_problem_that_is_asked_again_adds_no_independent_evidence():
    once = evaluation_of("abc", [(1, 1), (0, 1), (0, 0)])
    assert once.pass_at_1_se == pytest.approx(np.std([1, 0.5, 0], ddof=1) / np.sqrt(3))
    again = evaluation_of("abc" * 50, [(1, 1), (0, 1), (0, 0)] * 50)
    assert (again.problems, again.distinct_problems) == (150, 3)
    assert again.pass_at_1_se == pytest.approx(once.pass_at_1_se)
    assert np.isnan(evaluation_of("aa", [(1, 1), (0, 0)]).pass_at_1_se)


def test_kinds_tell_what_cannot_be_read_from_what_has_no_name_and_reasoning_from_guesses():
    problems = [Problem(str(i), None) for i in range(3)]
    grades = [Grade(0.0, parsed=False), Grade(1.0), Grade(1.0, mode="guess"), Grade(1.0, mode="skipped"),
              Grade(1.0, mode="reasoned"), Grade(0.0, mode="reasoned")]  # fmt: skip
    report = _count(problems, grades, np.ones(6), np.zeros(6), ())
    assert set(report.modes) == {"unreadable", "unnamed", "guess", "skipped", "reasoned"}
    assert report.reasoned == pytest.approx(2 / 6)
    assert report.pass_at_1 == pytest.approx(4 / 6)


def test_exam_refuses_k_beyond_half_the_answers():
    with pytest.raises(ValueError, match="needs at least 16 answers"):
        detailed_evaluation(None, None, [], 8, (8,), 0)
