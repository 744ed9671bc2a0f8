"""Rows and the predictions that judge them, by commit."""

import json
import subprocess

import pytest

from experiments.studies import STEMS, find
from experiments.studies.declared import ROOT, declaration, late

FIRST = 'QUESTIONS: dict = {"a": Question(threshold=0.1)}\nSEEDS = 3\n'
SAME = '# a comment\nQUESTIONS: dict = {\n    "a": Question(threshold=0.10)\n}\nSEEDS = 4\n'
OTHER = 'QUESTIONS: dict = {"a": Question(threshold=0.2)}\n'


def commit(root, content):
    path = root / "experiments" / "studies" / "h9.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    git = ["git", "-C", str(root), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "x"], check=True)
    done = subprocess.run([*git, "rev-parse", "--short", "HEAD"], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_a_threshold_changed_after_the_runs_is_found(tmp_path):
    """Layout, comments and other lines may change; a number in QUESTIONS may not."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    first, same = commit(tmp_path, FIRST), commit(tmp_path, SAME)
    assert late("h9", [first, same, first], tmp_path) == []
    commit(tmp_path, OTHER)
    assert late("h9", [first], tmp_path) == [
        f"h9: rows made at commit {first}, where QUESTIONS differed from what judges them now"
    ]


def test_rows_from_before_the_study_or_from_nowhere_are_found(tmp_path):
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / "README").write_text("x")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "x"], check=True)
    before = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    commit(tmp_path, FIRST)
    assert len(late("h9", [before, ""], tmp_path)) == 2


@pytest.mark.parametrize("stem", STEMS)
def test_questions_are_literal_and_whole(stem):
    """What is declared can be read from the file alone, and nothing is left open."""
    source = (ROOT / "experiments" / "studies" / f"{stem}.py").read_text()
    assert declaration(source)
    for name, question in find(stem).QUESTIONS.items():
        assert name == question.id
        assert question.threshold > 0
        assert question.floor.least > 0
        assert question.primary not in question.also
        assert all((question.question, question.estimand, question.unit, question.prediction, question.floor.measure))


def test_sixteen_questions():
    asked = [name for stem in STEMS[1:] for name in find(stem).QUESTIONS]
    assert sorted(asked) == [
        *("h1a", "h1b", "h1c", "h2a", "h2b", "h3a", "h3b", "h3c"),
        *("h4a", "h4b", "h5a", "h5b", "h6a", "h6b", "h7a", "h7b"),
    ]


@pytest.mark.parametrize("path", sorted((ROOT / "results").glob("*/study.json")), ids=lambda path: path.parent.name)
def test_committed_rows_came_after_their_predictions(path):
    note = json.loads(path.read_text())
    assert late(note["stem"], note["commits_of_rows"]) == []
