"""Rows and the predictions that they test, by commit."""

import subprocess

import pandas as pd
import pytest

from analysis.verdict.decisions import QUESTIONS_ASKED
from experiments.studies import STEMS, find
from experiments.studies.registration import ROOT, commits_by_level, declarations, registration_violations

A = '"a": Question(threshold=0.1, primary="exact")'
B = '"b": Question(threshold=0.3, primary="walk")'
OTHER_A = '"a": Question(threshold=0.2, primary="exact")'
OLD, NEW = "experiments/studies/h9.py", "experiments/studies/h9/questions.py"


def declared(*questions):
    return "QUESTIONS: dict = {\n    # a comment\n    " + ",\n    ".join(questions) + "\n}\n"


class Checkout:
    """A repository whose commits declare questions."""

    def __init__(self, root):
        self.root = root
        self._git("init", "-q")

    def _git(self, *words):
        git = ["git", "-C", str(self.root), "-c", "user.name=a", "-c", "user.email=a@b", *words]
        return subprocess.run(git, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, path, content):
        for place in (OLD, NEW):
            (self.root / place).unlink(missing_ok=True)
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(content)
        self._git("add", "-A")
        self._git("commit", "-qm", "x", "--allow-empty")
        return self._git("rev-parse", "--short", "HEAD")


@pytest.fixture
def checkout(tmp_path):
    return Checkout(tmp_path)


def test_a_threshold_changed_after_the_runs_is_found(checkout):
    """Layout, comments and other lines may change; a number in the question may not."""
    first = checkout.commit(NEW, declared(A))
    same = checkout.commit(NEW, declared(A).replace("0.1,", "0.10,") + "SEEDS = 4\n")
    assert registration_violations("h9", {"exact": {first, same}}, checkout.root) == []
    checkout.commit(NEW, declared(OTHER_A))
    assert registration_violations("h9", {"exact": {first}}, checkout.root) == [
        f"a: rows made at commit {first}, where this question was declared differently"
    ]


def told(estimand, prediction="Up.", definition="", threshold=0.1):
    folded = f', definition="{definition}"' if definition else ""
    return f'"a": Question(estimand="{estimand}", prediction="{prediction}", threshold={threshold}, primary="exact"{folded})'


def test_a_question_told_in_other_words_keeps_its_rows_while_its_definition_repeats_the_former_ones(checkout):
    first = checkout.commit(NEW, declared(told("x minus y.")))
    kept = told("How much more x is.", "It rises.", "Declared: x minus y. Prediction: Up.")
    checkout.commit(NEW, declared(kept))
    assert registration_violations("h9", {"exact": {first}}, checkout.root) == []


@pytest.mark.parametrize(
    "now",
    [
        told("How much more x is.", definition="Declared: y minus x. Prediction: Up."),
        told("How much more x is.", "Down.", "Declared: x minus y."),
        told("How much more x is."),
        told("How much more x is.", definition="Declared: x minus y. Prediction: Up.", threshold=0.2),
    ],
    ids=["another definition", "without the prediction", "no definition", "another threshold"],
)
def test_a_question_told_otherwise_loses_its_rows(checkout, now):
    first = checkout.commit(NEW, declared(told("x minus y.")))
    checkout.commit(NEW, declared(now))
    assert len(registration_violations("h9", {"exact": {first}}, checkout.root)) == 1


def test_a_changed_question_does_not_touch_its_neighbour(checkout):
    """Questions are held against rows one by one: b keeps its rows when a is declared anew."""
    first = checkout.commit(NEW, declared(A, B))
    checkout.commit(NEW, declared(OTHER_A, B))
    found = registration_violations("h9", {"exact": {first}, "walk": {first}}, checkout.root)
    assert [line[0] for line in found] == ["a"]


def test_only_rows_of_the_deciding_level_count(checkout):
    """Rows of another level are secondary, whenever they were made."""
    first = checkout.commit(NEW, declared(A))
    checkout.commit(NEW, declared(OTHER_A))
    assert registration_violations("h9", {"walk": {first}}, checkout.root) == []


def test_a_declaration_is_found_where_it_stood_before(checkout):
    """Rows made when a study was one file count as made under its declaration."""
    first = checkout.commit(OLD, declared(A))
    checkout.commit(NEW, declared(A))
    assert registration_violations("h9", {"exact": {first}}, checkout.root) == []


def test_rows_from_before_the_study_or_from_nowhere_are_found(checkout):
    before = checkout.commit("README", "x")
    checkout.commit(NEW, declared(A))
    assert len(registration_violations("h9", {"exact": {before, ""}}, checkout.root)) == 2


@pytest.mark.parametrize("stem", STEMS)
def test_questions_are_literal_and_whole(stem):
    """What is declared can be read from the file alone, and nothing is left open."""
    source = (ROOT / "experiments" / "studies" / stem / "questions.py").read_text()
    assert list(declarations(source)) == list(find(stem).QUESTIONS)
    for name, question in find(stem).QUESTIONS.items():
        assert name == question.id
        assert question.threshold > 0
        assert question.floor.least > 0
        assert question.primary not in question.also
        assert all((question.question, question.estimand, question.unit, question.prediction, question.floor.measure))


def test_intervals_are_corrected_for_as_many_questions_as_are_asked():
    """Each is asked once, under the name of its limitation and a letter, from a on."""
    asked = [(stem, name) for stem in STEMS[1:] for name in find(stem).QUESTIONS]
    assert len({name for _, name in asked}) == len(asked) == QUESTIONS_ASKED
    for stem in STEMS[1:]:
        short = stem.partition("_")[0]
        assert [name for of, name in asked if of == stem] == [
            f"{short}{letter}" for letter in "abcdefgh"[: len(find(stem).QUESTIONS)]
        ]


@pytest.mark.parametrize("path", sorted((ROOT / "results").glob("*/verdicts.json")), ids=lambda path: path.parent.name)
def test_committed_rows_came_after_their_predictions(path):
    runs = pd.read_csv(path.parent / "runs.csv", dtype=str)
    assert registration_violations(path.parent.name, commits_by_level(runs)) == []


def test_rows_of_a_dirty_tree_are_judged_by_their_commit(checkout):
    """The trainer's files were edited; what had been declared stands in the commit."""
    first = checkout.commit(NEW, declared(A))
    assert registration_violations("h9", {"exact": {f"{first}-dirty"}}, checkout.root) == []
    checkout.commit(NEW, declared(OTHER_A))
    assert registration_violations("h9", {"exact": {f"{first}-dirty"}}, checkout.root) == [
        f"a: rows made at commit {first}-dirty, where this question was declared differently"
    ]
