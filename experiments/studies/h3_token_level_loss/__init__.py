"""The study of limitation 3, the token-level loss: its questions and its runs."""

from experiments.studies.h3_token_level_loss.questions import QUESTIONS
from experiments.studies.h3_token_level_loss.runs import REPLICATES, primary, specs

__all__ = ["QUESTIONS", "REPLICATES", "primary", "specs"]
