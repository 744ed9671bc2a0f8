"""The study of limitation 7, credit assignment: its questions and its runs."""

from experiments.studies.h7_credit_assignment.questions import QUESTIONS
from experiments.studies.h7_credit_assignment.runs import REPLICATES, primary, specs

__all__ = ["QUESTIONS", "REPLICATES", "primary", "specs"]
