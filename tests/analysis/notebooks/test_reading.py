"""Studies as notebooks read them: levels from full or quick folders, scored anew, figures of the full one first."""

from types import SimpleNamespace

import pandas as pd
import pytest

from analysis.notebooks.reading import ROOT, read, root
from analysis.verdict.questions import LEVEL_OF
from experiments.studies.h1_value_fidelity import questions as study_questions
from tests.support.outcome_folders import drawing, plant, row

QUESTIONS = study_questions.QUESTIONS


def score(tables, questions, preset):
    """h1b at every level that has rows, its estimate the number of runs in thresholds."""
    worlds = sorted(set(tables.runs["world"]))
    return [row(questions["h1b"], len(tables.runs), preset, LEVEL_OF[world]) for world in worlds]


def figures(tables, questions):
    """One named alike everywhere, one by its worlds."""
    return {"shared": drawing(f"{len(tables.runs)} runs"), "-".join(sorted(set(tables.runs["world"]))): drawing("own")}


STUDY = SimpleNamespace(QUESTIONS=QUESTIONS, specs=lambda preset: ())
JUDGE = SimpleNamespace(__name__="analysis.hypotheses.h1_value_fidelity", score=score, figures=figures)


def put(folder, preset, tables, worlds):
    """An outcome whose committed verdicts are stale: the tables alone are to be believed."""
    levels = [LEVEL_OF[world] for world in worlds]
    plant(folder, preset, QUESTIONS, [row(QUESTIONS["h1b"], -99.0, preset, level) for level in levels])
    tables.runs.to_csv(folder / "runs.csv", index=False)
    tables.curves.to_parquet(folder / "curves.parquet")


@pytest.fixture
def home(tmp_path, synthetic):
    """The walk in full with 10 runs; walk and text in quick with 4."""
    arms = ("vapo", "ppo")
    put(tmp_path / "results" / "h1_value_fidelity", "full", synthetic(5, arms), ("walk",))
    walk, text = synthetic(1, arms), synthetic(1, arms, world="lm")
    both = type(walk)(*(pd.concat(pair) for pair in zip(walk, text, strict=True)))
    put(tmp_path / "runs" / "study-h1_value_fidelity-quick", "quick", both, ("walk", "lm"))
    return tmp_path


def test_each_level_is_scored_from_the_folder_that_speaks_for_it(home):
    found = read(STUDY, JUDGE, home)
    assert [(v.level, v.preset) for v in found.scored] == [("walk", "full"), ("tiny_lm", "quick")]
    sizes = [v.effect / v.threshold for v in found.scored]
    assert sizes == pytest.approx([10, 4]), "scored from the tables, not read from verdicts.json"
    told = found.sources.rows
    assert told["preset"].tolist() == ["full", "quick"]
    assert told["folder"].tolist() == ["results/h1_value_fidelity", "runs/study-h1_value_fidelity-quick"]


def test_figures_of_the_full_runs_come_first_and_win(home):
    drawn = read(STUDY, JUDGE, home).figures.drawings
    assert list(drawn) == ["shared", "walk", "lm-walk"]
    assert drawn["shared"].alt == "10 runs"


def test_secondary_rows_are_listed_with_what_they_estimate(home):
    found = read(STUDY, JUDGE, home)
    assert found.verdicts.rows.empty, "h1b is decided at the exact level"
    assert found.secondary.rows["level"].tolist() == ["walk", "tiny LM"]
    assert QUESTIONS["h1b"].estimand in found.secondary._repr_html_(), "texts are shown whole"
    assert "vapo study h1_value_fidelity --preset quick" in repr(found.verdicts)


def test_nothing_is_said_to_be_nothing(tmp_path):
    found = read(STUDY, JUDGE, tmp_path)
    assert repr(found.headline).startswith("NO DATA: no outcome of h1_value_fidelity")
    assert found.scored == []
    assert found.figures.drawings == {}
    assert "vapo study h1_value_fidelity --preset quick" in found.sources._repr_html_()


def test_questions_are_shown_as_declared(tmp_path):
    text = read(STUDY, JUDGE, tmp_path).questions._repr_html_()
    assert all(name in text for name in QUESTIONS)
    assert QUESTIONS["h1a"].estimand.split(" (")[0] in text


def test_the_root_is_the_checkout_unless_another_is_named(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(ROOT, raising=False)
    assert (root() / "analysis" / "notebooks" / "reading.py").is_file()
    monkeypatch.setenv(ROOT, str(tmp_path))
    assert root() == tmp_path


def test_a_drawing_shows_itself_as_a_picture_with_words():
    data, metadata = drawing("what is seen")._repr_mimebundle_()
    assert data["image/png"][:4] == b"\x89PNG"
    assert metadata["image/png"]["alt"] == repr(drawing("what is seen")) == "what is seen"
