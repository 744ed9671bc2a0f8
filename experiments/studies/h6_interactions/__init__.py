"""The study of limitation 6, interactions: its questions and its runs."""

from experiments.studies.h6_interactions.questions import QUESTIONS
from experiments.studies.h6_interactions.runs import REPLICATES, primary, specs

__all__ = ["QUESTIONS", "REPLICATES", "primary", "specs"]
