"""The study of limitation 4, exploration: its questions and its runs."""

from experiments.studies.h4_exploration.questions import QUESTIONS
from experiments.studies.h4_exploration.runs import REPLICATES, primary, specs

__all__ = ["QUESTIONS", "REPLICATES", "primary", "specs"]
