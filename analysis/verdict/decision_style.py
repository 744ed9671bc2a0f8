"""How decisions are displayed: by word, symbol and colour, so that any one of them suffices."""

from typing import NamedTuple

from analysis.verdict.decisions import Decision, Verdict
from analysis.verdict.questions import Level


class DecisionStyle(NamedTuple):
    """The same in text, on pages and in figures."""

    word: str
    symbol: str
    hollow: str
    """The symbol where the row comes from quick runs."""
    marker: str
    """matplotlib's."""
    colour: str
    """Dark enough for text on white; distinguishable by colour-blind readers."""


STYLES: dict[Decision | None, DecisionStyle] = {
    "supported": DecisionStyle("supported", "▲", "△", "^", "#005b96"),
    "refuted_opposite": DecisionStyle("refuted: opposite", "▼", "▽", "v", "#b34700"),
    "refuted_negligible": DecisionStyle("refuted: negligible", "■", "□", "s", "#8a5a00"),
    "conditional": DecisionStyle("conditional", "◆", "◇", "D", "#8f3a73"),
    "undecided": DecisionStyle("undecided", "●", "○", "o", "#4d4d4d"),
    "not_tested": DecisionStyle("not tested", "✖", "✕", "X", "#6b6b6b"),
    None: DecisionStyle("not run yet", "–", "–", "", "#6b6b6b"),
}
"""Refuted and undecided are shown as prominently as supported."""


def style_of(decision: Decision | None, equivalence: bool = False) -> DecisionStyle:
    """Of a decision. A predicted equivalence is refuted by any difference, so there `opposite` reads `a difference`."""
    if equivalence and decision == "refuted_opposite":
        return STYLES[decision]._replace(word="refuted: a difference")
    return STYLES[decision]


LEVEL_NAMES: dict[Level, str] = {"exact": "exact", "walk": "walk", "tiny_lm": "tiny LM", "real_lm": "real LM"}
"""Levels of evidence as pages call them."""


def replicates(verdict: Verdict) -> str:
    """What independent replicates are called at the row's level."""
    return "instances" if verdict.level == "exact" else "seeds"
