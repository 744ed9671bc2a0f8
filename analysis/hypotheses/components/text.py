"""Report text for the component study: title, theory, and what would change the conclusions."""

from analysis.hypotheses.study_text import StudyText

TEXT = StudyText(
    "What each component is worth",
    (
        "A component is worth what full VAPO loses without it, on the same seeds: mean over a grid of lengths, noise levels and "
        "critic starts that was declared before the runs. Theory names mechanisms, not sizes, and a "
        "component that had nothing to do shows no effect whatever it could do.",
    ),
    (
        "An effect that changes sign with the task, or that an equal change of learning rate, constant λ or number of "
        "prompts makes as well.",
    ),
)

TOPICS: dict[str, str] = {}
"""A few words per question, as figures have room for."""
