"""`vapo report` puts every ablation and every sweep it finds on one page, or those it is given."""

import pytest

from analysis.sweep import recommendations
from experiments.cli import main
from tests.analysis.test_sweep_tables import ALPHA, LAMBDA, join, write
from tests.html_page import assert_self_contained


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
