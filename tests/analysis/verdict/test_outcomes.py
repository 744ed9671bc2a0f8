"""Outcome folders: which of two speaks for a level of evidence, what is read, what a broken file says."""

import json

import numpy as np
import pandas as pd
import pytest

from analysis.verdict.outcomes import found, pictures, read, tables
from experiments.studies.h1_value_fidelity import questions as study_questions
from tests.support.outcome_folders import plant, row

STEM, QUESTIONS = "h1_value_fidelity", study_questions.QUESTIONS


def rows(preset, *levels, centre=2.0):
    """h1b at these levels."""
    return [row(QUESTIONS["h1b"], centre, preset, level) for level in levels]


@pytest.fixture
def homes(tmp_path):
    """(results, runs): exact in full, exact and walk in quick."""
    plant(tmp_path / "results" / STEM, "full", QUESTIONS, rows("full", "exact"), ["value_error"])
    plant(
        tmp_path / "runs" / f"study-{STEM}-quick", "quick", QUESTIONS, rows("quick", "exact", "walk", centre=-5),
        ["value_error", "forgetting"],
    )  # fmt: skip
    return tmp_path / "results", tmp_path / "runs"


def test_a_level_comes_from_results_if_it_has_rows_there_else_from_quick(homes):
    full, quick = found(STEM, *homes)
    assert (full.preset, full.levels, [v.level for v in full.verdicts]) == ("full", ("exact",), ["exact"])
    assert (quick.preset, quick.levels, [v.level for v in quick.verdicts]) == ("quick", ("walk",), ["walk"])
    assert full.verdicts[0].effect > 0 > quick.verdicts[0].effect
    assert [figure.name for figure in full.figures] == ["value_error"]
    assert [figure.name for figure in quick.figures] == ["forgetting"], "a figure that both have comes from results"


def test_quick_alone_full_alone_and_nothing(homes, tmp_path):
    nowhere = tmp_path / "nowhere"
    (quick,) = found(STEM, nowhere, homes[1])
    assert quick.levels == ("exact", "walk")
    (full,) = found(STEM, homes[0], nowhere)
    assert full.levels == ("exact",)
    assert found(STEM, nowhere, nowhere) == []
    assert found("h2_length_adaptive_gae", *homes) == []


def test_what_is_not_finished_does_not_count(homes):
    (homes[0] / STEM / "study.json").unlink()
    assert [outcome.preset for outcome in found(STEM, *homes)] == ["quick"]


def test_a_quick_run_without_levels_of_its_own_is_left_out(homes):
    quick = homes[1] / f"study-{STEM}-quick"
    kept = [v for v in json.loads((quick / "verdicts.json").read_text()) if v["level"] == "exact"]
    (quick / "verdicts.json").write_text(json.dumps(kept))
    assert [outcome.preset for outcome in found(STEM, *homes)] == ["full"]


def test_the_note_and_the_questions_come_back_as_declared(homes):
    outcome = read(homes[0] / STEM)
    assert outcome.questions == QUESTIONS
    assert (outcome.stem, outcome.runs, outcome.core_hours, outcome.commit) == (STEM, 12, 1.5, "abc1234")


def test_a_verdict_without_an_interval_keeps_its_place(tmp_path):
    alone = row(QUESTIONS["h1b"], 1.0, "quick")._replace(low=float("nan"), high=float("nan"))
    plant(tmp_path / f"study-{STEM}-quick", "quick", QUESTIONS, [alone])
    (outcome,) = found(STEM, tmp_path / "none", tmp_path)
    assert np.isnan(outcome.verdicts[0].low)
    assert outcome.verdicts[0].decision == "undecided" or outcome.verdicts[0].decision == alone.decision


@pytest.mark.parametrize("name", ["study.json", "verdicts.json", "figures/index.json"])
@pytest.mark.parametrize("content", ["{", '"words"', "[1]"])
def test_a_broken_file_is_named(homes, name, content):
    path = homes[0] / STEM / name
    path.write_text(content)
    with pytest.raises(ValueError, match=path.name):
        found(STEM, *homes)


def test_half_written_figures_are_left_out(homes):
    (homes[1] / f"study-{STEM}-quick" / "figures" / "value_error.csv").unlink()
    assert [figure.name for figure in pictures(homes[1] / f"study-{STEM}-quick")] == ["forgetting"]
    assert pictures(homes[1]) == []


def test_tables_of_a_full_study_borrow_from_other_studies(homes, synthetic):
    """Half of the runs lie with this study, half with the components; a run of neither study is left out."""
    made = synthetic(4)
    names = list(made.runs["spec"])
    for folder, part in ((homes[0] / STEM, names[::2]), (homes[0] / "components", names[1::2])):
        folder.mkdir(exist_ok=True)
        made.runs[made.runs["spec"].isin(part)].to_csv(folder / "runs.csv", index=False)
        made.curves[made.curves["spec"].isin(part)].to_parquet(folder / "curves.parquet")
    full, _ = found(STEM, *homes)
    got = tables(full, homes[0], names[:-1])
    assert sorted(got.runs["spec"]) == sorted(names[:-1])
    assert set(got.curves["spec"]) == set(names[:-1])
    assert pd.api.types.is_bool_dtype(got.runs["clip_higher"])
    quick = full._replace(preset="quick")
    assert sorted(tables(quick, homes[0], names).runs["spec"]) == sorted(names[::2]), "quick runs stand alone"
