"""The page in an outcome folder."""

from analysis.verdict import decisions
from analysis.verdict.decisions import CONTRADICTED, Verdict
from experiments.studies.study_readme import study_readme

NOTE = {
    "stem": "h9_example", "command": "vapo study h9_example --preset full", "commit": "abc1234",
    "commits_of_rows": ["0000001", "0000002"], "runs": 1200, "core_hours": 2.0, "machine": "Linux, 2 cores",
    "questions": {
        "h9a": {"question": "Does it?", "primary": "walk", "estimand": "On minus off.", "prediction": "Positive.",
                "definition": "theta = E[on - off]"},
        "h9b": {"question": "And P(a|b)?", "primary": "tiny_lm", "estimand": "A share.", "prediction": "Zero."},
    },
}  # fmt: skip


def row(primary: bool) -> Verdict:
    decision = "supported" if primary else None
    return Verdict("h9a", "walk", 0.5, "AUC", 0.4, 0.6, 0.1, 32, decision, primary, "full", 0.2, {}, "x")


def test_the_page_says_where_rows_come_from_what_was_decided_and_what_is_missing():
    page = study_readme(NOTE, [row(True), row(False), row(False)], {"h9a": "A figure."})
    assert "1,200 runs, 2.00 core-hours (6.0 s a run)" in page
    assert "0000001, 0000002" in page
    assert "| h9a: Does it? | supported | 0.5 [0.4, 0.6] AUC | 0.1 | 32 | – |" in page
    assert "| h9b: And P(a\\|b)? | no rows yet of its primary level, tiny_lm | | | | |" in page
    assert "2 secondary rows" in page
    assert "- **h9a** estimates: On minus off. *Predicted:* Positive." in page
    assert "<details><summary>Formal definition</summary>theta = E[on - off]</details>" in page
    assert page.count("<details>") == 1, "a question without a definition has none folded beneath it"
    assert "![A figure.](figures/h9a.png)" in page


def test_remarks_and_contradictions_beside_the_question_stand_under_the_table():
    remark = {decisions.NOTE: "an identity"}
    contradicted = row(False)._replace(strata={decisions.NOTE: f"{CONTRADICTED}: 0 was predicted"})
    page = study_readme(NOTE, [row(True)._replace(strata=remark), row(False)._replace(strata=remark), contradicted], {})
    assert page.count("- h9a: an identity.") == page.count("an identity") == 1
    assert f"- Also for h9a, x: 0.50 [0.40, 0.60] AUC; {CONTRADICTED}: 0 was predicted." in page


def test_the_table_shows_how_long_the_answers_were():
    page = study_readme(NOTE, [row(True)._replace(mean_length=64.0, mean_decisions=8.0)], {})
    assert "| 0.1 | 32 | 64 tokens, 8 decisions |" in page
