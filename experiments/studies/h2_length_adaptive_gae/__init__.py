"""The study of limitation 2, length-adaptive GAE: what is asked, and the runs that answer it."""

from experiments.studies.h2_length_adaptive_gae.questions import QUESTIONS
from experiments.studies.h2_length_adaptive_gae.runs import REPLICATES, specs

__all__ = ["QUESTIONS", "REPLICATES", "specs"]
