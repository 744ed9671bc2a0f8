"""Report text for limitation 3, the token-level loss: title, theory, and what would change the conclusions."""

from analysis.hypotheses.study_text import StudyText

TEXT = StudyText(
    "Limitation 3: token-level loss",
    (
        "Token mean is sequence mean plus Cov(l, m)/mean l (R5): the two differ by the covariance of length with whatever "
        "is averaged, be it loss, gradient or curvature. At λ = 1 token mean points along grad J; without a baseline "
        "sequence mean points along grad E[R/l].",
        "Token mean has the smaller variance while gradients within a response correlate less than 1/(1 + E l) (R6), if "
        "the squared gradient of a response grows as its length. Scores are martingale differences, which puts that "
        "correlation near 0. Variances include the scale of either gradient; noise over signal, and Q at a number of "
        "responses, do not. Signals differ, too: of that R6 says nothing.",
        "At one step size KL goes with the squared norm; only KL per squared gain of J compares directions.",
    ),
    (
        "h3a: sharpness that does not follow the sign of the covariance of length and per-response curvature, as where slopes "
        "move as curvatures do.",
        "h3b: more noise over signal under token mean. Gradients of a response correlate, or grow more slowly than its length, "
        "or sequence mean has the larger signal.",
        "h3c: token mean paying more KL for the same gain on tasks whose lengths vary.",
    ),
)

TOPICS: dict[str, str] = {
    "h3a": "sharpness follows length",
    "h3b": "gradient noise",
    "h3c": "KL per gain",
}
"""A few words per question, as figures have room for."""
