"""The study of limitation 5, generalisation: its questions and its runs."""

from experiments.studies.h5_generalization.questions import QUESTIONS
from experiments.studies.h5_generalization.runs import REPLICATES, primary, specs

__all__ = ["QUESTIONS", "REPLICATES", "primary", "specs"]
