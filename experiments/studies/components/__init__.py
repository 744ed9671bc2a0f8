"""The study of the component study: what is asked, and the runs that answer it."""

from experiments.studies.components.questions import QUESTIONS
from experiments.studies.components.runs import primary, specs

__all__ = ["QUESTIONS", "primary", "specs"]
