"""The studies' part of the page: every question on its line, full and quick apart, what was planted, in words and picture."""

import base64
import re

import pytest

from analysis.report.forest import Answer, forest
from analysis.report.report import write_report
from analysis.report.study_page import studies
from analysis.tables.schema import COMPONENTS
from analysis.verdict.decisions import NOTE, QUESTIONS_ASKED
from experiments.studies import STEMS, find
from tests.support.html_page import assert_self_contained
from tests.support.outcome_folders import plant, row

DECLARED = {stem: find(stem).QUESTIONS for stem in STEMS}
H1, H4, H7 = "h1_value_fidelity", "h4_exploration", "h7_credit_assignment"


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """h1b full and supported; h7a full and negligible; h7b quick; h4a full, refuted; components full; the rest not run."""
    top = tmp_path_factory.mktemp("planted")
    results, runs = top / "results", top / "runs"
    h1, h4, h7, own = (DECLARED[stem] for stem in (H1, H4, H7, "components"))
    plant(results / H1, "full", h1, [row(h1["h1b"], 2.5, "full"), row(h1["h1b"], 9.0, "full", "walk")], ["bias"])
    plant(results / H7, "full", h7, [row(h7["h7a"], 0.1, "full")], ["theory_r12", "blame"])
    plant(runs / f"study-{H7}-quick", "quick", h7, [row(h7["h7b"], 1.0, "quick")], ["map_filler"], commit="def5678")
    plant(results / H4, "full", h4, [row(h4["h4a"], -3.0, "full")], ["escape"])
    plant(results / "components", "full", own, [worth(own[name], 2.0) for name in COMPONENTS])
    return results, runs


def worth(question, centre):
    """What the judge of components says; group_sampling had nothing to do."""
    found = row(question, centre, "full", estimand=question.estimand)
    idle = question.id == "group_sampling"
    activity = {"effect": 0.125, "least": question.floor.least, "measure": question.floor.measure}
    return found._replace(decision="not_tested" if idle else None, strata={"activity": activity})


@pytest.fixture(scope="module")
def page(planted, tmp_path_factory):
    """Made once: the tests only read it."""
    text = write_report([], tmp_path_factory.mktemp("page") / "page.html", studies(DECLARED, *planted)).read_text()
    return assert_self_contained(text), text


def line_of(text, name):
    """What the table of all questions says of a question."""
    return re.sub(r"<[^>]+>|\s+", " ", re.search(rf'<a href="#{name}">.*?</tr>', text, re.DOTALL).group(0))


def test_all_questions_are_there_whether_run_or_not(page):
    text = page[1]
    asked = [name for stem in STEMS[1:] for name in DECLARED[stem]]
    assert len(asked) == QUESTIONS_ASKED
    assert re.findall(r'<th scope="row"><a href="#(\w+)">', text) == asked
    assert all(f'<h3 id="{name}">' in text for name in asked)
    assert line_of(text, "h5a").count("not run yet") == 1


def test_decisions_by_word_and_symbol(page):
    text = page[1]
    assert "▲ supported" in re.sub(r"\s+", " ", line_of(text, "h1b"))
    assert "■ refuted: negligible" in re.sub(r"\s+", " ", line_of(text, "h7a"))
    assert "▼ refuted: a difference" in re.sub(r"\s+", " ", line_of(text, "h4a"))
    assert "○ undecided" in re.sub(r"\s+", " ", line_of(text, "h7b")), "hollow: quick"
    assert 'class="decision refuted_negligible"' in text
    for name in ("supported", "refuted_opposite", "refuted_negligible", "conditional"):
        assert f".decision.{name}" in text, "each has a colour"


def test_full_and_quick_cannot_be_taken_for_each_other(page):
    text = page[1]
    assert " full " in line_of(text, "h1b")
    assert " quick only " in line_of(text, "h7b")
    assert "quick" not in line_of(text, "h1b")
    assert "1 of 4 rows (h7b) rest on quick runs alone" in page[0].text
    said = "1 supported, 1 refuted: a difference, 1 refuted: negligible, 1 undecided (quick only), 12 not run yet."
    assert f"16 questions: {said}" in page[0].text


def test_estimates_thresholds_and_sources(page):
    text = page[0].text
    assert "0.125 [" in text
    assert "relative bias at sigma = 0.1" in text
    for words in (
        "abc1234",
        "def5678",
        "1.50",
        "vapo study h7_credit_assignment --preset quick",
        "Linux x86_64, 2 cores",
    ):
        assert words in text
    assert "outside the primary interval" in text, "the walk's estimate is nine thresholds"


def test_components_stand_beside_the_paper(page):
    rows = re.findall(r'<tr><th scope="row">(\w+)</th><td>([+−-]\d+)</td>', page[1])
    assert rows[:2] == [("value_pretraining", "+49"), ("decoupled_gae", "+27")]
    assert [name for name, _ in rows] == list(COMPONENTS)
    assert "0.040 [" in page[0].text
    said = re.findall(r"<td>(0\.125)(?: <span class=\"idle\">(idle)</span>)?</td>", page[1])
    assert said == [("0.125", "")] * 6 + [("0.125", "idle")]


def test_maps_and_closed_forms_have_sections_of_their_own(page):
    text = page[1]
    own = text[text.index('<h2 id="h7_credit_assignment">') : text.index('<h2 id="maps">')]
    assert "figure blame" in own
    assert "map_filler" not in own
    assert "theory_r12" not in own
    maps, theory = text.index('<h2 id="maps">'), text.index('<h2 id="theory">')
    assert maps < text.index("figure map_filler") < theory < text.index("figure theory_r12")


def test_figures_carry_their_numbers_and_say_their_preset(page):
    links = {a["download"]: a["href"] for a in page[0].all("a") if "download" in a}
    assert set(links) == {f"{name}.csv" for name in ("verdicts", "bias", "escape", "blame", "map_filler", "theory_r12")}
    assert base64.b64decode(links["bias.csv"].split(",", 1)[1]).decode().startswith("step,value\n0,0.1")
    assert "Preset quick. What figure map_filler" in page[0].text
    assert all(len(a["alt"] or "") > 20 for a in page[0].all("img"))


def test_without_any_outcome_there_is_nothing_to_say(tmp_path):
    assert studies(DECLARED, tmp_path, tmp_path) is None


def test_figures_of_closed_forms_alone_make_a_page(tmp_path):
    plant(tmp_path / "results" / "theory", "full", {}, [], ["r4"])
    found = studies(DECLARED, tmp_path / "results", tmp_path / "runs")
    text = write_report([], tmp_path / "page.html", found).read_text()
    assert "figure r4" in text
    assert "16 questions: 16 not run yet." in text


def test_closed_forms_in_the_order_of_their_numbers_each_once(tmp_path):
    for stem, names in ((H7, ["theory_r12", "theory_r2"]), (H1, ["theory_r10", "theory_r2"])):
        rows = [row(question, 2.0, "full") for question in DECLARED[stem].values()]
        plant(tmp_path / stem, "full", DECLARED[stem], rows, names)
    assert [p.name for p in studies(DECLARED, tmp_path, tmp_path).theory] == ["theory_r2", "theory_r10", "theory_r12"]


def test_ablations_come_before_studies(planted, tmp_path, synthetic, folder):
    found = studies(DECLARED, *planted)
    text = write_report([("mine", folder(synthetic(3)))], tmp_path / "both.html", found).read_text()
    assert_self_contained(text)
    assert (
        text.index('<h2 id="s1">mine') < text.index('<h2 id="verdicts">') < text.index('<h2 id="h7_credit_assignment">')
    )


def test_hostile_words_stay_words(tmp_path):
    own = DECLARED[H1]
    bad = row(own["h1b"], 2.0, "quick", "walk", "<script>alert(1)</script>")
    plant(
        tmp_path / f"study-{H1}-quick",
        "quick",
        own,
        [row(own["h1b"], 2.0, "quick"), bad],
        machine='"><img src=x onerror=alert(1)>',
    )
    text = write_report([], tmp_path / "page.html", studies(DECLARED, tmp_path / "no", tmp_path)).read_text()
    assert_self_contained(text)
    assert "<img src=x" not in text


def test_the_forest_shows_multiples_of_the_threshold():
    asked = [(stem, question) for stem in STEMS[1:] for question in DECLARED[stem].values()]
    answers = [Answer(s, q, row(q, centre, "full")) for (s, q), centre in zip(asked[:3], (2.0, -9.0, 0.0), strict=True)]
    drawn = forest([*answers, Answer(*asked[3], None)])
    assert drawn.data["effect_over_threshold"].tolist()[:3] == pytest.approx([2.0, -9.0, 0.0], abs=1e-9)
    assert drawn.data["decision"].tolist() == ["supported", "refuted: opposite", "refuted: negligible", "not run yet"]
    axes = drawn.figure.axes[0]
    assert axes.get_xlim() == (-4.0, 4.0)
    assert {-1, 0, 1} <= {line.get_xdata()[0] for line in axes.lines if len(set(line.get_xdata())) == 1}
    assert "-9.0" in [text.get_text() for text in axes.texts], "an estimate beyond the frame is named"
    assert "h1a supported; h1b refuted: opposite" in drawn.alt


def test_strata_are_named(tmp_path):
    own = DECLARED["h3_token_level_loss"]
    parts = {"covariance above 0": {"effect": 0.5, "low": 0.3, "high": 0.7, "decision": "supported"}, "other": 3}
    parts[NOTE] = "all 9 replicates are equal"
    split = row(own["h3a"], 0.0, "full")._replace(decision="conditional", strata=parts)
    beside = row(own["h3a"], 0.0, "full", estimand="another")._replace(strata={NOTE: "no estimate: 0 of 4 runs"})
    plant(tmp_path / "h3_token_level_loss", "full", own, [split, beside])
    text = write_report([], tmp_path / "page.html", studies(DECLARED, tmp_path, tmp_path)).read_text()
    assert "Stratum covariance above 0: 0.50 [0.30, 0.70], supported" in text
    assert "Note: all 9 replicates are equal." in text
    assert f"Stratum {NOTE}" not in text
    assert '<td class="text">no estimate: 0 of 4 runs</td>' in text
    assert "◆" in text


def test_a_formal_definition_is_folded_beneath_its_question_and_the_mean_response_stands_beside_it(tmp_path):
    question = DECLARED[H1]["h1b"]._replace(definition="theta = E[on - off] of the log")
    asked = {H1: {"h1b": question}}
    found = row(question, 2.5, "full")._replace(mean_length=64.0, mean_decisions=8.0)
    plant(tmp_path / "results" / H1, "full", asked[H1], [found])
    text = write_report([], tmp_path / "page.html", studies(asked, tmp_path / "results", tmp_path / "runs")).read_text()
    assert "<p><b>Definition.</b> theta = E[on - off] of the log</p>" in text
    assert "<details><summary>Formal definition</summary><p>theta = E[on - off] of the log</p></details>" in text
    assert text.count("64 tokens, 8 decisions") == 2
