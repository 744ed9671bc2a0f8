"""The study of limitation 1, value fidelity: its questions and its runs."""

from experiments.studies.h1_value_fidelity.questions import QUESTIONS
from experiments.studies.h1_value_fidelity.runs import REPLICATES, primary, specs

__all__ = ["QUESTIONS", "REPLICATES", "primary", "specs"]
