"""Report text for limitation 4, exploration: title, theory, and what would change the conclusions."""

from analysis.hypotheses.study_text import StudyText

TEXT = StudyText(
    "Limitation 4: exploration",
    (
        "If a right answer has probability p, N responses hold one with probability 1 − (1 − p)^N (R10). Before the first "
        "hit neither clipping nor the positive-example loss has anything to act on, so no component moves the depth of "
        "escape by more than doubling the batch would, ln 2.",
        "On policy the positive-example loss is parallel to grad J (R7): a matter of speed until J nears 1, where its noise "
        "stays and modes drift apart.",
    ),
    (
        "h4a: a depth of even odds that moves by more than ln 2 at equal samples, or no direction that full VAPO fails to find "
        "where right answers were to be expected.",
        "h4b: less entropy over correct modes with the loss than without, at an equal time after the policy became good.",
    ),
)

TOPICS: dict[str, str] = {
    "h4a": "escape from traps",
    "h4b": "modes left once good",
}
"""A few words per question, as figures have room for."""
