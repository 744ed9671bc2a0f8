"""The judge of the component study: `score` turns tables into verdicts, `figures` draws them."""

from analysis.hypotheses.components.judge import figures, score

__all__ = ["figures", "score"]
