"""The judge of limitation 1, value fidelity: `score` turns tables into verdicts, `figures` draws them."""

from analysis.hypotheses.h1_value_fidelity.judge import figures, score

__all__ = ["figures", "score"]
