"""`vapo study`: run and judge one study or several, and plot the results."""

from collections.abc import Sequence
from itertools import takewhile

from experiments.specs.options import parse
from experiments.studies.study import StudyConfig, run_study, studies_named


def run(words: Sequence[str]) -> int:
    """Names first, then options; one study after the other."""
    names = list(takewhile(lambda word: not word.startswith("-"), words))
    config = parse(StudyConfig, StudyConfig(), words[len(names) :], "study NAMES")
    return max(run_study(stem, config) for stem in studies_named(names))
