"""The judge of limitation 5, generalisation: `score` turns tables into verdicts, `figures` draws them."""

from analysis.hypotheses.h5_generalization.judge import figures, score

__all__ = ["figures", "score"]
