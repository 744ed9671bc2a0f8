"""A question as declared before its runs: what is asked, predicted, and counted as large."""

from typing import Literal, NamedTuple

Level = Literal["exact", "walk", "tiny_lm", "real_lm"]
"""Levels of evidence: tabular answers, small networks on the walk, tiny transformers, Hugging Face checkpoints."""

LEVEL_OF: dict[str, Level] = {"exact": "exact", "walk": "walk", "lm": "tiny_lm"}
"""The level that rows of a world are evidence of; of world lm where the base model was pretrained here."""

BASES_HERE = ("tiny", "tiny32", "small", "medium")
"""Base models pretrained here, as the column `base` begins; any other is a checkpoint's."""


def level_of(world: str, base: str) -> Level:
    """The level of a row, from its columns `world` and `base` (model:initialisation)."""
    checkpoint = world == "lm" and base.rsplit(":", 1)[0] not in BASES_HERE
    return "real_lm" if checkpoint else LEVEL_OF[world]


class Floor(NamedTuple):
    """Activity below which a question is not tested."""

    measure: str
    """What is measured, with its unit."""
    least: float
    """Smallest mean over seeds at which the question counts as tested."""


class Gate(NamedTuple):
    """A check of assay sensitivity, run before a question's own runs: does the outcome respond to the mechanism at all?

    It manipulates the mechanism over its whole range and never the contrast that is judged, on seeds of its own
    (`analysis.verdict.gates.SEEDS`). If the outcome hardly moves, a small effect of the judged contrast means nothing.
    """

    manipulation: str
    """What is set to what, minus what, in one line."""
    cells: str
    """On which cells it is done."""
    least: float
    """What the interval of the difference must clear, on either side, in the question's unit."""


class Question(NamedTuple):
    """One of the sixteen questions, signed so that the prediction is positive."""

    id: str
    """Such as h1a."""
    question: str
    """In plain words, after the limitations paper (Shao et al., 2025), section 3."""
    estimand: str
    """theta: what is estimated, at which arm, lambda or component, with its sign."""
    unit: str
    prediction: str
    """What theory says of theta, and from what it follows."""
    threshold: float
    """delta > 0, in the unit: the smallest theta that matters."""
    primary: Level
    """The level whose interval is corrected for sixteen questions and decides."""
    also: tuple[Level, ...]
    """Levels shown beside it, without a verdict."""
    floor: Floor
    equivalence: bool = False
    """Whether the prediction is that theta is negligible."""
    gate: Gate | None = None
    """What must be seen before the question counts as tested, if anything."""
    definition: str = ""
    """The estimand formally, for those who want it: shown folded beneath the question."""
