"""Report text for limitation 5, generalisation: title, theory, and what would change the conclusions."""

from analysis.hypotheses.study_text import StudyText

TEXT = StudyText(
    "Limitation 5: generalisation",
    (
        "Nothing in the loss asks values to hold beyond the training distribution; a shift of level alone keeps the order "
        "of next steps, so ranking should suffer less than squared error.",
        "Near λ = 1 VAPO and GRPO follow one expected direction up to weights of prompts (R13). At equal skill in "
        "distribution, equal skill beyond it is expected.",
    ),
    (
        "h5a: an error out of distribution that stays within a tenth of Var(V) once length and V are matched.",
        "h5b: a gap of three points in accuracy where held-out skill in distribution is the same.",
    ),
)

TOPICS: dict[str, str] = {
    "h5a": "critic out of distribution",
    "h5b": "overfitting",
}
"""A few words per question, as figures have room for."""
