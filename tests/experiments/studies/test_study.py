"""The study command: what it runs, what it takes from results folders, and that an outcome can be made again."""

import importlib
import shutil
from types import SimpleNamespace

import pandas as pd
import pytest

from analysis.tables.schema import load
from analysis.verdict.verdicts import as_json, read
from experiments.cli import main
from experiments.runs import committed
from experiments.runs.outcome_folder import study_folder
from experiments.runs.run import run_one
from experiments.studies import STEMS, core, find, stem_of, study
from experiments.studies.study import StudyConfig, run_study, studies_named

STEM = "h4_exploration"


SPECS = tuple(
    core.run("walk", "smoke", seed, toggles=core.without(*off), probes={"exploration": 2})
    for seed in (0, 1)
    for off in ((), ("clip_higher", "positive_lm_loss", "group_sampling"))
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Records of the four runs, of two steps each."""
    runs = tmp_path_factory.mktemp("trained")
    for spec in SPECS:
        run_one(spec, runs, STEM)
    return runs


FAKE = SimpleNamespace(QUESTIONS=find(STEM).QUESTIONS, specs=lambda preset: SPECS)
"""The study of exploration with those four runs."""


@pytest.fixture(scope="module")
def judged(trained, tmp_path_factory):
    """Their records, and what preset full made of them: judging takes most of the time of these tests."""
    home = tmp_path_factory.mktemp("judged")
    shutil.copytree(trained, home / "runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "find", lambda stem: FAKE)
        assert run_study(STEM, config(home, preset="full")) == 0
    return home


@pytest.fixture
def small(monkeypatch, tmp_path, trained):
    """The study with its four runs, all of them finished."""
    monkeypatch.setattr(study, "find", lambda stem: FAKE)
    shutil.copytree(trained, tmp_path / "runs")
    return SPECS


@pytest.fixture
def outcome(monkeypatch, tmp_path, judged):
    """The folder of that outcome, its runs' records where the command looks for them."""
    monkeypatch.setattr(study, "find", lambda stem: FAKE)
    shutil.copytree(judged, tmp_path, dirs_exist_ok=True)
    return tmp_path / "results" / STEM


def files(folder):
    """Everything in an outcome that its rows determine, by name; study.json and README.md also tell the commit."""
    names = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.name not in ("study.json", "README.md")]
    return {str(p.relative_to(folder)): p.read_bytes() for p in names}


def config(tmp_path, **more):
    return StudyConfig(runs=tmp_path / "runs", results=tmp_path / "results", workers=1, **more)


def test_names():
    assert stem_of("h3") == "h3_token_level_loss"
    assert studies_named(["all"]) == list(STEMS)
    assert studies_named(["h7", "components"]) == ["h7_credit_assignment", "components"]
    with pytest.raises(ValueError, match="h4"):
        stem_of("h44")
    with pytest.raises(ValueError, match="which one"):
        studies_named([])


def test_command_line_refuses_in_one_line(capsys):
    assert main(["study", "h99", "--dry-run"]) == 2
    assert main(["study"]) == 2
    assert main(["study", "h1", "--preset", "huge"]) == 2
    assert all(line.startswith("vapo: ") for line in capsys.readouterr().err.splitlines())


def test_an_outcome_is_made_once_and_again(tmp_path, small, capsys):
    """Finished runs are not run again; figures and verdicts that were deleted come back equal."""
    assert run_study(STEM, config(tmp_path, preset="smoke")) == 0
    out = study_folder(STEM, "smoke", tmp_path / "runs", tmp_path / "results")
    first = files(out)
    assert {"runs.csv", "curves.parquet", "probes.parquet", "verdicts.json", "figures/index.json"} <= set(first)
    rows = {spec: (tmp_path / "runs" / spec.hash / "row.json").stat().st_mtime_ns for spec in small}
    for path in out.rglob("*"):
        if path.parent.name == "figures" or path.name == "verdicts.json":
            path.unlink()
    assert run_study(STEM, config(tmp_path, preset="smoke", judge=True)) == 0
    assert files(out) == first
    assert run_study(STEM, config(tmp_path, preset="smoke")) == 0
    assert files(out) == first
    assert rows == {spec: (tmp_path / "runs" / spec.hash / "row.json").stat().st_mtime_ns for spec in small}
    assert "4 runs (4 walk), 4 finished" in capsys.readouterr().out


def test_rows_in_results_count_as_finished_on_another_machine(tmp_path, outcome):
    """With the results folder alone, no record: the same tables, verdicts and figures, and nothing is run."""
    first = files(outcome)
    (tmp_path / "runs").rename(tmp_path / "gone")
    assert run_study(STEM, config(tmp_path, preset="full")) == 0
    assert files(outcome) == first
    assert not list((tmp_path / "runs").glob("*/row.json"))


def test_a_row_that_another_folder_holds_is_read_there(tmp_path, outcome):
    """It serves the study, and is not kept twice."""
    whole, shared = load(outcome), {SPECS[0].hash, SPECS[2].hash}
    committed.write(committed.select(whole, shared), tmp_path / "results" / "components")
    for path in outcome.glob("*"):
        if path.is_file():
            path.unlink()
    (tmp_path / "runs").rename(tmp_path / "gone")
    assert run_study(STEM, config(tmp_path, preset="full", judge=True)) == 0
    assert len(load(outcome).runs) == 0
    (tmp_path / "gone").rename(tmp_path / "there")
    again = StudyConfig(runs=tmp_path / "there", results=tmp_path / "results", workers=1, preset="full")
    assert run_study(STEM, again) == 0
    assert set(load(outcome).runs["spec"]) == {SPECS[1].hash, SPECS[3].hash}


def test_rows_are_added_in_parts_while_a_study_runs_and_joined_when_it_is_judged(tmp_path, outcome, capsys):
    """Each part holds what the earlier ones lack; none is changed; judging gives the same files as without parts."""
    whole = files(outcome)
    shutil.rmtree(outcome)
    gone = tmp_path / "runs" / SPECS[0].hash
    gone.rename(tmp_path / "later")
    assert run_study(STEM, config(tmp_path, preset="full", collect=True)) == 0
    assert "3 runs added" in capsys.readouterr().out
    first = files(outcome)
    (tmp_path / "later").rename(gone)
    assert run_study(STEM, config(tmp_path, preset="full", collect=True)) == 0
    assert run_study(STEM, config(tmp_path, preset="full", collect=True)) == 0
    assert "0 runs added, 0 to come" in capsys.readouterr().out
    assert {name: text for name, text in files(outcome).items() if "0001" in str(name)} == first
    assert [path.name for path in committed.parts(outcome)] == ["0001", "0002"]
    assert committed.folders(tmp_path / "results") == [outcome]
    (tmp_path / "runs").rename(tmp_path / "gone")
    assert run_study(STEM, config(tmp_path, preset="full", judge=True)) == 0
    assert files(outcome) == whole


def test_parts_are_of_preset_full_alone(tmp_path):
    with pytest.raises(ValueError, match="collect"):
        config(tmp_path, preset="smoke", collect=True)


@pytest.mark.parametrize("stem", STEMS)
def test_judges_say_nothing_where_there_is_nothing(stem):
    """Studies are judged while their runs are still to come: no rows, no verdicts, no error."""
    judge, questions = importlib.import_module(f"analysis.hypotheses.{stem}"), find(stem).QUESTIONS
    assert judge.score(committed.nothing(), questions, "quick") == []
    assert judge.figures(committed.nothing(), questions) == {}


def test_a_row_without_its_curve_is_not_held(tmp_path, outcome):
    curves = pd.read_parquet(outcome / "curves.parquet")
    curves[curves["spec"] != SPECS[0].hash].to_parquet(outcome / "curves.parquet", index=False)
    assert committed.finished_specs(outcome) == {spec.hash for spec in SPECS[1:]}
    assert committed.finished_specs(tmp_path) == set()


def test_slim_tables_keep_what_judges_read(outcome):
    curves = load(outcome).curves
    kept = set(curves["metric"].astype(str))
    assert {"val/exact_j", "exploration/prefix_entropy", "response_length/mean"} <= kept
    assert not any(name.startswith(("timing/", "critic/")) for name in kept)


def test_verdicts_survive_their_file(tmp_path, outcome):
    path = outcome / "verdicts.json"
    assert as_json(read(path)) == path.read_text()
    (tmp_path / "x.json").write_text('[{"a": 1}]')
    with pytest.raises(ValueError, match=r"x.json: cannot be read .*unexpected keyword argument 'a'"):
        read(tmp_path / "x.json")


def test_a_study_without_a_finished_run_writes_no_outcome(tmp_path, small, capsys):
    shutil.rmtree(tmp_path / "runs")
    assert run_study(STEM, config(tmp_path, preset="full", judge=True)) == 0
    assert "no run has finished yet" in capsys.readouterr().out
    assert files(tmp_path / "results") == {}
