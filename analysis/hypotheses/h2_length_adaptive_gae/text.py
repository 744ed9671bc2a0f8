"""Report text for limitation 2, length-adaptive GAE: title, theory, and what would change the conclusions."""

from analysis.hypotheses.study_text import StudyText

TEXT = StudyText(
    "Limitation 2: length-adaptive GAE",
    (
        "Bias falls as σ τ/(τ + h) with the horizon h = 1/(1 − λ), variance grows as v h/(2 l n). The best horizon is "
        "(4 σ² τ² l n / v)^(1/3) (R4): slope 1/3 on log l. VAPO's h = α l has slope 1.",
        "An exact critic wants λ = 0 at every length (R3). A slope of 1 needs an error whose reach grows with length.",
        "A horizon ten times too short costs about five times as much as one ten times too long.",
    ),
    (
        "h2a: slopes near 1 for errors measured in trained critics, and not only for filler or planted late errors.",
        "h2b: an α chosen on half of the seeds that beats the best constant λ on the other half, at mixed lengths.",
    ),
)

TOPICS: dict[str, str] = {
    "h2a": "form of λ(l)",
    "h2b": "α against a constant λ",
}
"""A few words per question, as figures have room for."""
