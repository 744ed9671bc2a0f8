"""The judge of limitation 7, credit assignment: `score` turns tables into verdicts, `figures` draws them."""

from analysis.hypotheses.h7_credit_assignment.judge import figures, score

__all__ = ["figures", "score"]
