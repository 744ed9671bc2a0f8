"""The page: one file, nothing loaded from elsewhere, the planted numbers in it, hostile text harmless."""

import base64
import re

import pandas as pd
import pytest

from analysis.ablations.effects import ablation_table
from analysis.ablations.figures import effects_forest
from analysis.report.report import write_report
from analysis.report.sentences import component_sentences
from analysis.report.wording import summary
from analysis.tables.schema import CURVE_COLUMNS, RUN_COLUMNS, Tables
from analysis.tables.terminal import interval
from tests.support.html_page import Page, assert_self_contained


@pytest.fixture
def diverged(synthetic) -> Tables:
    """Two diverged runs, one with a hostile reason."""
    tables = synthetic(6)
    rows = tables.runs.index[tables.runs["arm"] == "ppo"][:2]
    tables.runs.loc[rows, "state"] = "diverged"
    tables.runs.loc[rows, "reason"] = ["<script>alert(1)</script>", "loss is nan at step 43"]
    return tables


def test_one_file_that_loads_nothing(diverged, folder, tmp_path):
    out = write_report(folder(diverged), tmp_path / "site" / "page.html")
    assert [path.name for path in out.parent.iterdir()] == ["page.html"]
    assert_self_contained(out.read_text())


def test_every_figure_comes_with_its_numbers(diverged, folder, tmp_path):
    page = Page(write_report(folder(diverged), tmp_path / "page.html").read_text())
    links = [a for a in page.all("a") if "download" in a]
    assert [a["download"] for a in links] == [
        "effects.csv", "learning_curves.csv", "component_curves.csv", "profiles.csv",
    ]  # fmt: skip
    table = base64.b64decode(links[0]["href"].split(",", 1)[1]).decode()
    assert table.splitlines()[0].startswith("arm,pairs,auc_diff")


def test_it_is_accessible(diverged, folder, tmp_path):
    page = Page(write_report(folder(diverged), tmp_path / "page.html").read_text())
    images = [a for tag, a in page.found if tag == "img"]
    assert len(images) == 4
    assert all(len(a["alt"] or "") > 20 for a in images)
    assert all(a.get("scope") in ("col", "row") for tag, a in page.found if tag == "th")
    assert ("html", {"lang": "en"}) in page.found


def test_it_holds_the_numbers(diverged, folder, tmp_path):
    text = write_report(folder(diverged), tmp_path / "page.html").read_text()
    for _, row in ablation_table(diverged.runs, "vapo").iloc[1:].iterrows():
        assert interval(row, "auc_diff", sign=True) in text
        assert interval(row, "last", sign=False) in text
        assert f"<td>{row['paper_diff']:+.0f}</td>" in text
    assert "α = 1.5; mean response length 32.5 tokens in vapo" in text
    assert "abc1234" in text
    assert "0.75: seconds" in text  # 30 runs of 90 s
    assert "30, of which 2 diverged" in text
    assert "loss is nan at step 43" in text


def test_hostile_text_is_escaped(diverged, folder, tmp_path):
    diverged.runs["task"] = '"><img src=x onerror=alert(1)>'
    text = write_report([("<b>title</b>", folder(diverged))], tmp_path / "page.html").read_text()
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "<img src=x" not in text
    assert "<b>" not in text


@pytest.mark.parametrize(
    ("seeds", "said", "unsaid"),
    [
        (3, "3 paired seeds are too few for a verdict. With fewer than five", "smallest threshold"),
        (6, "6 paired seeds are too few for a verdict. The smallest threshold", "fewer than five pairs"),
        (16, "The smallest threshold this design can serve", "Illustration"),
    ],
)
def test_what_the_seeds_allow(synthetic, folder, tmp_path, seeds, said, unsaid):
    text = write_report(folder(synthetic(seeds)), tmp_path / "page.html").read_text()
    assert said in text
    assert unsaid not in text


def test_worlds_designs_and_folders_stay_apart(synthetic, folder, tmp_path):
    """Two worlds in one folder and an add-one-in design in another: three sections, each with its own reference."""
    both = Tables(*(pd.concat(pair) for pair in zip(synthetic(3), synthetic(3, world="lm"), strict=True)))
    more = synthetic(3, ("ppo", "vapo", "ppo with clip_higher"))
    sources = [("first", folder(both, "a")), ("second", folder(more, "b"))]
    text = write_report(sources, tmp_path / "page.html").read_text()
    assert re.findall(r"<h2 id=\"s\d\">(.*?)</h2>", text) == [
        "first: world “lm”, task “walk”",
        "first: world “walk”, task “walk”",
        "second: world “walk”, task “walk”",
    ]
    assert re.findall(r"<h3>Effects against (\w+)</h3>", text) == ["vapo", "vapo", "ppo"]


def test_summary_counts_an_interval_around_zero_as_open():
    """One interval below 0, one above, one around: each is named or counted once."""
    table = pd.DataFrame(
        {
            "arm": ["vapo", "ppo", "grpo", "dapo"],
            "auc_diff_low": [float("nan"), -0.3, 0.1, -0.1],
            "auc_diff_high": [float("nan"), -0.2, 0.2, 0.1],
        }
    )
    assert summary(table) == (
        "AUC lower than vapo's, interval excludes 0: ppo. AUC higher than vapo's, interval excludes 0: grpo. "
        "1 of 3 intervals include 0."
    )


def test_nothing_yet(folder, tmp_path):
    empty = Tables(pd.DataFrame(columns=list(RUN_COLUMNS)), pd.DataFrame(columns=list(CURVE_COLUMNS)))
    assert "No finished runs yet" in write_report(folder(empty), tmp_path / "page.html").read_text()


def test_without_curves_and_without_reference(synthetic, folder, tmp_path):
    tables = synthetic(3)
    bare = Tables(tables.runs, tables.curves.iloc[:0])
    assert write_report(folder(bare, "a"), tmp_path / "page.html").read_text().count("<img") == 1
    lone = Tables(tables.runs.assign(arm="strange", seed=range(len(tables.runs))), tables.curves)
    assert "no reference arm" in write_report(folder(lone, "b"), tmp_path / "page.html").read_text()


def test_the_page_leads_with_what_was_run(diverged, folder, tmp_path):
    """Ablation, a sentence per component, its figure; tables and what was run follow."""
    text = write_report(folder(diverged), tmp_path / "page.html").read_text()
    order = ["<h1>VAPO ablation report", '<h2 id="s1">', "<li>Removing clip_higher costs", 'alt="Paired difference',
             "Table of effects against", "Interquartile mean and", "<h3>What was run"]  # fmt: skip
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    assert "not run" not in text.lower()
    assert "No verdicts" not in text


def test_a_sentence_has_the_number_of_table_and_figure(diverged, folder, tmp_path):
    table = ablation_table(diverged.runs, "vapo").set_index("arm", drop=False)
    row = table.loc["vapo without clip_higher"]
    low, high = -row["auc_diff_high"], -row["auc_diff_low"]
    said = f"Removing clip_higher costs {-row['auc_diff']:.3f} [{low:.3f}, {high:.3f}] of AUC (6 of 6 seeds)."
    assert component_sentences(table) == [said]
    drawn = effects_forest(table.reset_index(drop=True), "vapo").data.set_index("arm")
    assert drawn.loc["vapo without clip_higher", "auc_diff"] == row["auc_diff"]


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ((0.02, 0.01, 0.03, 5, 0.25), "Removing clip_higher gains 0.020 [0.010, 0.030] of AUC (5 of 6 seeds)."),
        ((-0.02, -0.05, 0.01, 6, 0.25), "Removing clip_higher changes AUC by -0.020 [-0.050, +0.010], not distinguishable"
                                        " from zero (6 of 6 seeds)."),
        ((-0.02, -0.03, -0.01, 6, 0.0), "clip_higher had nothing to do in these runs: its activity is 0 (6 of 6 seeds)."),
        ((-0.02, float("nan"), float("nan"), 1, 0.25), "Removing clip_higher changed AUC by -0.020 in one seed; one seed has"
                                                       " no interval."),
        ((float("nan"),) * 3 + (0, 0.25), "Removing clip_higher: no seed was run both with and without it."),
    ],
)  # fmt: skip
def test_sentences_of_both_signs_none_and_idle(numbers, said):
    names = ("auc_diff", "auc_diff_low", "auc_diff_high", "pairs", "activity")
    row = {"change": "removal", "component": "clip_higher", "seeds": 6, **dict(zip(names, numbers, strict=True))}
    assert component_sentences(pd.DataFrame([row])) == [said]
