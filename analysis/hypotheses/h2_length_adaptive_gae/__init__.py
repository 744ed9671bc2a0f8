"""The judge of limitation 2, length-adaptive GAE: `score` turns tables into verdicts, `figures` draws them."""

from analysis.hypotheses.h2_length_adaptive_gae.judge import figures, score

__all__ = ["figures", "score"]
