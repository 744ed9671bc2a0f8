"""The study of limitation 2, length-adaptive GAE: its questions and its runs."""

from experiments.studies.h2_length_adaptive_gae.questions import QUESTIONS
from experiments.studies.h2_length_adaptive_gae.runs import REPLICATES, primary, specs

__all__ = ["QUESTIONS", "REPLICATES", "primary", "specs"]
