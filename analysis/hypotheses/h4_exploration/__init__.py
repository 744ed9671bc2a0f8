"""The judge of limitation 4, exploration: `score` turns tables into verdicts, `figures` draws them."""

from analysis.hypotheses.h4_exploration.judge import figures, score

__all__ = ["figures", "score"]
