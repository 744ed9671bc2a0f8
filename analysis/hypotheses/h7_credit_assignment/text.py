"""Report text for limitation 7, credit assignment: title, theory, and what would change the conclusions."""

from analysis.hypotheses.study_text import StudyText

TEXT = StudyText(
    "Limitation 7: credit assignment",
    (
        "Tokens before an error at j receive λ^(j − t) of it, so a step of w tokens holds about w/h of the blame (R12). "
        "Under VAPO's rule h = α l: blame spreads in proportion to length.",
        "A critic that notices late leaves λ^d for the erring token; a blind one blames the last tokens most.",
        "At a matched horizon, λ_segment = λ_token^m, credit by segments of m decisions shares one advantage among them and "
        "uses an mth of the values: a factor in samples that knows nothing of the answer's length.",
    ),
    (
        "h7a: a share of blame inside the erring step that does not thin out with length under VAPO's rule.",
        "h7b: samples that grow more slowly with the number of decisions under credit by segments at the same horizon.",
    ),
)

TOPICS: dict[str, str] = {
    "h7a": "blame spread by length",
    "h7b": "credit by segments",
}
"""A few words per question, as figures have room for."""
