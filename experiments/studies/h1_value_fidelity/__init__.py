"""The study of limitation 1, value fidelity: what is asked, and the runs that answer it."""

from experiments.studies.h1_value_fidelity.questions import QUESTIONS
from experiments.studies.h1_value_fidelity.runs import REPLICATES, specs

__all__ = ["QUESTIONS", "REPLICATES", "specs"]
