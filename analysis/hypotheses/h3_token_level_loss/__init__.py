"""The judge of limitation 3, the token-level loss: `score` turns tables into verdicts, `figures` draws them."""

from analysis.hypotheses.h3_token_level_loss.judge import figures, score

__all__ = ["figures", "score"]
