"""What a page says of limitation 6, interactions beside its numbers."""

from analysis.hypotheses.study_text import StudyText

TEXT = StudyText(
    "Limitation 6: interactions and guarantees",
    (
        "The bound behind PPO's guarantee, 2 l (l − 1) TV² max|A|, exceeds 1 from 8 tokens on with clips of 0.2, from 7 with "
        "clip-higher (R8): nothing is promised at any length of interest.",
        "What an update of infinitely many responses gets wrong is bias: λ < 1, whitening's shift, the imitation loss.",
        "Value pretraining and decoupled GAE remove the same initial error (R9), so whichever comes second has little "
        "left to remove: a negative interaction.",
    ),
    (
        "h6a: fewer than one harmful update in twenty at infinite batch. Bias would then be no practical matter.",
        "h6b: an interaction of the other sign, or one whose sign changes with the scale of the score.",
    ),
)

TOPICS: dict[str, str] = {
    "h6a": "updates that lower J",
    "h6b": "pretraining × decoupled GAE",
}
"""A few words per question, as figures have room for."""
