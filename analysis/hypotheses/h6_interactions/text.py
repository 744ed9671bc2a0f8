"""Report text for limitation 6, interactions: title, theory, and what would change the conclusions."""

from analysis.hypotheses.study_text import StudyText

TEXT = StudyText(
    "Limitation 6: interactions and guarantees",
    (
        "The bound behind PPO's guarantee, 2 l (l − 1) TV² max|A|, exceeds 1 from 8 tokens on with clips of 0.2, from 7 with "
        "clip-higher (R8): nothing is promised at any length of interest.",
        "What an update of infinitely many responses gets wrong is bias: λ < 1, whitening's shift, the imitation loss.",
        "A long horizon takes weight off the critic (R1), value pretraining takes error off it (R9): each should leave the "
        "other less to do, a negative interaction. The VAPO paper's removals lose 2.24 times its whole gain, as if its "
        "components needed each other.",
    ),
    (
        "h6a: updates that lose less than a twentieth of what they gain, sampling noise taken out. Bias would then be no "
        "practical matter.",
        "h6b: an interaction of the other sign, or one whose sign changes with the scale of the score.",
    ),
)

TOPICS: dict[str, str] = {
    "h6a": "loss over gain of updates",
    "h6b": "pretraining × adaptive λ",
}
"""A few words per question, as figures have room for."""
