"""`vapo regimes`: search for regimes in which PPO fails."""

from collections.abc import Sequence

from experiments.regimes.search import RegimesConfig, search
from experiments.specs.options import parse


def run(words: Sequence[str]) -> int:
    """Parse, run, judge."""
    return search(parse(RegimesConfig, RegimesConfig(), words, "regimes"))
