"""The judge of limitation 6, interactions: `score` turns tables into verdicts, `figures` draws them."""

from analysis.hypotheses.h6_interactions.judge import figures, score

__all__ = ["figures", "score"]
