"""`vapo report` puts every ablation and every sweep it finds on one page, or those it is given."""

import pandas as pd
import pytest

from analysis.sweeps.sweep import load_sweep, recommendations
from analysis.tables.schema import load
from analysis.verdict.outcomes import found
from experiments.cli import main
from tests.analysis.sweeps.test_sweep_tables import ALPHA, LAMBDA, join, write
from tests.analysis.verdict.test_outcomes import QUESTIONS, STEM
from tests.support.html_page import assert_self_contained
from tests.support.outcome_folders import plant, row


@pytest.fixture
def runs(synthetic, folder, tmp_path):
    """A folder with an ablation and a sweep, as the commands leave them."""
    folder(synthetic(6), "ablate-walk")
    swept = tmp_path / "sweep-walk-alpha"
    swept.mkdir()
    tables = join(ALPHA, LAMBDA)
    recommendations(tables).to_csv(write(tables, swept) / "recommendation.csv", index=False)
    return tmp_path


def page_of(runs, *words):
    """The page that the command writes."""
    out = runs / "page.html"
    assert main(["report", "--runs", str(runs), "--results", str(runs / "none"), "--out", str(out), *words]) == 0
    return assert_self_contained(out.read_text())


def test_ablations_and_sweeps_stand_on_one_page_and_are_linked_from_its_head(runs):
    page = page_of(runs)
    assert "ablate-walk: world" in page.text
    assert "recommended: alpha = 0.5" in page.text
    links = {attributes["href"] for attributes in page.all("a")}
    assert {"#how-to-read", "#how-to-read-sweeps"} <= links
    heads = [attributes["id"] for attributes in page.all("h2")]
    assert heads == ["s1", "how-to-read", "sweep1", "how-to-read-sweeps"]


@pytest.mark.parametrize(("name", "head"), [("ablate-walk", "s1"), ("sweep-walk-alpha", "sweep1")])
def test_a_folder_that_is_named_is_shown_alone(runs, name, head):
    page = page_of(runs, "--folders", str(runs / name))
    assert [attributes["id"] for attributes in page.all("h2")][0::2] == [head]


def test_a_sweep_that_has_recommended_nothing_yet_is_left_out(runs):
    (runs / "sweep-walk-alpha" / "recommendation.csv").unlink()
    assert "Sweep" not in page_of(runs).text


def test_a_page_of_sweeps_alone_is_called_so(runs):
    (runs / "ablate-walk" / "runs.csv").unlink()
    page = page_of(runs)
    assert "VAPO sweep report" in page.text
    assert "ablation report" not in page.text


def value(column, text):
    """A table whose first row says something else in a column."""

    def change(path):
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        table.loc[0, column] = text
        table.to_csv(path, index=False)

    return change


def holding(content):
    return lambda path: path.write_bytes(content)


def folder_instead(path):
    path.unlink()
    path.mkdir()


GARBAGE = {"empty": b"", "cut": b'spec,study\n"a', "null": b"null", "binary": b"\xff\xfe\x00", "deep": b"[" * 100_000}
DAMAGES = [
    *(pytest.param(f"{place}/{name}", holding(content), id=f"{name} {kind}")
      for place, name in (("ablate-walk", "runs.csv"), ("ablate-walk", "curves.parquet"), ("sweep-walk-alpha", "sweep.csv"),
                          ("sweep-walk-alpha", "space.csv"), ("sweep-walk-alpha", "importances.csv"))
      for kind, content in GARBAGE.items()),
    *(pytest.param("ablate-walk/runs.csv", value(column, text), id=f"runs.csv {column}")
      for column, text in {"clip_higher": "maybe", "auc": "x", "state": "3", "seed": "1.5", "last": "inf"}.items()),
    *(pytest.param("sweep-walk-alpha/sweep.csv", value(column, "x"), id=f"sweep.csv {column}") for column in ("score", "seed")),
    pytest.param("ablate-walk/curves.parquet", folder_instead, id="curves.parquet folder"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "damage"), DAMAGES)
def test_a_damaged_table_is_named(runs, name, damage):
    damage(runs / name)
    home = (runs / name).parent
    with pytest.raises((ValueError, FileNotFoundError), match=name) as caught:
        load_sweep(home) if name.startswith("sweep") else load(home)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["study.json", "verdicts.json", "figures/index.json"])
@pytest.mark.parametrize("content", [*GARBAGE.values(), b'[{"effect": "x"}]', b'{"stem": 3}'])
def test_a_damaged_study_is_named(tmp_path, name, content):
    home, objections = plant_study(tmp_path), []
    (home / name).write_bytes(content)
    assert found(STEM, tmp_path / "none", tmp_path, objections) == []
    (line,) = objections
    assert line.startswith(f"{home / name}: cannot be read")
    assert "\n" not in line


def plant_study(runs):
    """A quick study's outcome."""
    home = runs / f"study-{STEM}-quick"
    plant(home, "quick", QUESTIONS, [row(QUESTIONS["h1b"], 1.0, "quick")], ["value_error"])
    return home


def test_a_page_shows_what_can_be_read_and_says_what_cannot(runs, capsys):
    (runs / "ablate-walk" / "curves.parquet").write_bytes(b"PAR1")
    (plant_study(runs) / "verdicts.json").write_text("null")
    out = runs / "page.html"
    assert main(["report", "--runs", str(runs), "--results", str(runs / "none"), "--out", str(out)]) == 1
    one, two = capsys.readouterr().err.splitlines()
    assert "quick/verdicts.json: cannot be read" in one
    assert "ablate-walk/curves.parquet: cannot be read" in two
    assert "recommended: alpha = 0.5" in out.read_text()
    assert "ablate-walk: world" not in out.read_text()


def test_nothing_but_damage_is_one_line(runs, capsys):
    words = ["report", "--folders", str(runs / "ablate-walk"), "--out", str(runs / "page.html")]
    (runs / "ablate-walk" / "runs.csv").write_bytes(b"")
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "ablate-walk/runs.csv: cannot be read" in error
