"""Judges and figures of the exact level on what the smoke preset measures."""

from itertools import chain

import numpy as np
import pandas as pd
import pytest

from analysis.hypotheses import theory
from analysis.hypotheses.exact_tables import arrays, measured
from analysis.hypotheses.h1_value_fidelity import exact as exact_h1
from analysis.hypotheses.h2_length_adaptive_gae import (
    exact as exact_h2,
)
from analysis.hypotheses.h2_length_adaptive_gae import (
    exact_figures as exact_h2_figures,
)
from analysis.hypotheses.h2_length_adaptive_gae import (
    exact_rules,
)
from analysis.hypotheses.h3_token_level_loss import exact as exact_h3
from analysis.hypotheses.h3_token_level_loss import exact_figures as exact_h3_figures
from analysis.hypotheses.h6_interactions import exact as exact_h6
from analysis.hypotheses.h7_credit_assignment import exact as exact_h7
from analysis.tables.schema import Tables
from analysis.verdict.decisions import NOTE
from experiments.exact_level.plans import Theory
from experiments.runs.committed import from_runs
from experiments.runs.run import run_one
from experiments.specs.exact import exact_spec
from experiments.studies.h1_value_fidelity import questions as h1_value_fidelity_questions
from experiments.studies.h2_length_adaptive_gae import questions as h2_length_adaptive_gae_questions
from experiments.studies.h3_token_level_loss.questions import QUESTIONS as H3
from experiments.studies.h6_interactions.questions import QUESTIONS as H6
from experiments.studies.h7_credit_assignment import questions as h7_credit_assignment_questions
from tests.analysis.hypotheses.test_judge_exact_level import ASKED, planted, primary
from tests.calibration import exact_level
from tests.support.exact_runs import ALL


@pytest.fixture(scope="module")
def smoke(smoke_runs):
    """Every run of the smoke preset, R7's long one left out."""
    specs = {stem: [s for s in found("smoke") if s.plan != Theory(measure="theory", result="r7")]
             for stem, found in ALL.items()}  # fmt: skip
    for spec in chain(*specs.values()):
        run_one(spec, smoke_runs, "smoke")
    return {stem: from_runs(part, smoke_runs) for stem, part in specs.items() if part}


def test_h7a_says_what_its_formula_gives_and_that_a_share_of_1_was_not_found(smoke):
    assert exact_h7.formula(exact_level.TOKENS) == pytest.approx(-0.938, abs=1e-3)
    assert "gives 0.94: this is the rule's arithmetic" in primary("h7a", planted("h7a", 1.0)).strata[NOTE]
    rows = exact_h7.h7a(smoke["h7"], ASKED["h7a"][0], "smoke")
    (none,) = [row for row in rows if row.estimand.startswith("share of blame in the erring step, λ = 0, true")]
    assert ("CONTRADICTED" in none.strata.get(NOTE, "")) == (none.high < 1)
    assert "CONTRADICTED" in exact_h7._against_one(none._replace(high=0.8)).strata[NOTE]
    assert exact_h7._against_one(none._replace(high=1.0)).strata == {}


def test_h3b_tells_batches_and_noise_of_shared_logits_first(smoke):
    rows = exact_h3.h3b(smoke["h3"], H3["h3b"], "smoke")
    first = rows[: len(rows) // 2]
    assert all("one set of logits" in row.estimand for row in first)
    assert sum("at 64 responses" in row.estimand for row in rows) == 12
    assert sum(row.estimand.startswith(exact_h3.NOISE) for row in rows) == 12
    table = exact_h3.rows_of(smoke["h3"])
    np.testing.assert_allclose(exact_h3.quality(table, 512), table["log_quality"], atol=1e-6)


def test_every_judge_reads_what_the_measurements_write(smoke):
    asked = {
        **h1_value_fidelity_questions.QUESTIONS,
        **h2_length_adaptive_gae_questions.QUESTIONS,
        **h7_credit_assignment_questions.QUESTIONS,
        **H3,
        **H6,
    }
    judges = {
        "h1": [("h1b", exact_h1.h1b)],
        "h2": [("h2a", exact_h2.h2a), ("h2b", exact_h2.h2b), ("h2b", exact_rules.r11)],
        "h3": [("h3b", exact_h3.h3b)], "h6": [("h6a", exact_h6.h6a)], "h7": [("h7a", exact_h7.h7a)],
    }  # fmt: skip
    for stem, parts in judges.items():
        for name, judge in parts:
            rows = judge(smoke[stem], asked[name], "smoke")
            assert rows, name
            assert {row.level for row in rows} == {"exact"}
            assert len({row.estimand for row in rows}) == len(rows)
            assert sum(row.primary for row in rows) == (name in ASKED)
            assert all(np.isfinite(row.effect) for row in rows)


def test_h1b_beside_shared_logits_and_at_a_quarter_of_the_variance(smoke):
    rows = {row.estimand: row for row in exact_h1.h1b(smoke["h1"], ASKED["h1b"][0], "smoke")}
    table = arrays(smoke["h1"], measured(smoke["h1"], "sharing"), "sharing")
    both = rows["the same with one set of logits for all positions, mean of both kinds of length"]
    assert (both.effect, both.seeds) == (pytest.approx(table["bias_shared"].mean()), 2)
    scaled = table["bias"] * np.sqrt(0.25 / table["fvu"])
    assert rows[
        "the same at an error that is a quarter of Var(V), mean of both kinds of length"
    ].effect == pytest.approx(scaled.mean())
    own = rows["relative bias at lambda 0.95, 64 tokens, one length, error of 0.1 frozen, by state"]
    fixed = arrays(smoke["h1"], measured(smoke["h1"], "sharing", variable=False), "sharing")
    assert own.effect == pytest.approx(fixed["bias"].mean(), abs=1e-5)


def test_figures_show_their_numbers(smoke):
    drawn = {}
    for stem, module in (
        ("h1", exact_h1),
        ("h2", exact_h2_figures),
        ("h3", exact_h3_figures),
        ("h6", exact_h6),
        ("h7", exact_h7),
    ):
        drawn |= module.figures(smoke[stem])
    for tables in smoke.values():
        drawn |= theory.figures(tables)
    assert {f"theory_r{i}" for i in range(1, 14) if i != 7} <= set(drawn)
    assert {"h1b_exact", "h2a_exact", "h2b_exact", "h3b_exact", "h6a_exact", "h7a_exact"} <= set(drawn)
    for name, drawing in drawn.items():
        assert len(drawing.data), name
        assert len(drawing.alt) > 40
        assert all(axes.get_xlabel() for axes in drawing.figure.axes if axes.get_xscale() == "log"), name
    assert theory.figures(Tables(smoke["h1"].runs.iloc[:0], smoke["h1"].curves)) == {}


def test_identities_show_as_marks_on_their_lines(smoke):
    data = theory.figures(smoke["h1"])["theory_r1"].data
    pd.testing.assert_series_equal(data["formula"], data["found"], check_names=False, rtol=1e-4)


def test_results_are_drawn_for_one_family_alone(tmp_path):
    specs = [exact_spec(Theory(measure="theory", result="r12"), 0)]
    run_one(specs[0], tmp_path, "one")
    assert set(theory.figures(from_runs(specs, tmp_path))) == {"theory_r12"}
