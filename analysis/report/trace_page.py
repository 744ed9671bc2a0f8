"""One self-contained HTML page about traced responses: every token coloured by any column, so credit can be seen."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from analysis.report.pages import page

MOST_RESPONSES = 200
"""Responses a page shows, the first of the table; more would make browsers slow. The table has all."""

EXTREME = 0.98
"""Quantile of the absolute values that gets the full colour, so that a single token does not fade all others."""


class Column(NamedTuple):
    """A column tokens can be coloured by."""

    name: str
    label: str
    unit: str
    scale: Literal["signed", "size", "range"]
    """Two hues around 0; one hue from 0 to the extreme; one hue from lowest to highest value or truth."""
    meaning: str


class Scale(NamedTuple):
    """Strength of a colour is (x - zero) / (full - zero), cut to [-1, 1]."""

    zero: float
    full: float


OWN = Column(
    "advantage_own", "advantage, recipe's rule", "reward", "signed",
    "the recipe's own rule before whitening; under group-relative credit in standard deviations of the group",
)  # fmt: skip

FIXED: tuple[Column, ...] = (
    Column("td_error", "TD error", "reward", "signed", "r + V(next) − V with the critic's values"),
    Column(
        "true_td_error", "TD error of true V", "reward", "signed",
        "the same with true V: what the token changed, its true advantage where moves have sure results; noisy on text",
    ),
    Column("value", "value (critic)", "reward", "range", "the value the recipe uses before the token; 0 without a critic"),
    Column(
        "truth", "true V", "reward", "range",
        "expected reward before the token under this policy: exact in the walk, Monte-Carlo on text, empty if not asked",
    ),
    Column(
        "truth_se", "standard error of true V", "reward", "size",
        "0 where exact, and where all continuations agreed, which proves nothing",
    ),
    Column("logp", "log-probability", "nats", "size", "of the token under the policy; strong colour: a surprise"),
    Column("entropy", "entropy", "nats", "size", "of the distribution the token was drawn from"),
)  # fmt: skip


class Token(NamedTuple):
    """One token as the page needs it before any script runs."""

    row: int
    """Its place in the numbers the page carries."""
    text: str
    hue: str
    strength: float
    """In [0, 1]."""


class Response(NamedTuple):
    """One response."""

    number: int
    problem: int
    prompt: str
    reward: str
    truncated: bool
    length: int
    steps: list[list[Token]]


def columns_of(table: pd.DataFrame) -> list[Column]:
    """The columns tokens can be coloured by: the recipe's advantage first, then the other rules, then the rest."""
    rules = [name.removeprefix("advantage_") for name in table.columns if name.startswith("advantage_")]
    others = [
        Column(f"advantage_{rule}", f"advantage, λ = {rule}" if rule[0].isdigit() else f"advantage, {rule} λ", "reward", "signed",
               "generalised advantage estimate with this λ, not whitened; adaptive: 1 − 1/(α l)")
        for rule in rules if rule != "own"
    ]  # fmt: skip
    return [OWN, *others, *FIXED]


def render(table: pd.DataFrame, facts: Sequence[tuple[str, str]]) -> str:
    """The page as text; it holds everything it shows and loads nothing.

    Args:
        table: one row per token, the columns of `vapo_core.training.trace.trace`.
        facts: (name, value) pairs for its head.
    """
    shown = table[table["response"] < MOST_RESPONSES].reset_index(drop=True)
    columns = columns_of(shown)
    scales = {column.name: scale_of(shown, column) for column in columns}
    groups = [
        (title, key, responses(shown[shown["correct"] == right], scales[OWN.name]))
        for title, key, right in (("Right", "right", True), ("Wrong", "wrong", False))
    ]
    return page(
        "trace.html.j2", facts=facts, groups=groups, columns=columns, first=scales[OWN.name],
        data=numbers(shown, columns, scales),
        left_out=int(table["response"].nunique() - shown["response"].nunique()),
    )  # fmt: skip


def scale_of(table: pd.DataFrame, column: Column) -> Scale:
    """Which values of a column get no colour and full colour; a column without spread gets a span of 1."""
    if column.scale == "range":
        both = table[["value", "truth"]].to_numpy(float)
        both = both[np.isfinite(both)]
        low, high = float(both.min()), float(both.max())
        return Scale(low, high if high > low else low + 1.0)
    values = table[column.name].to_numpy(float)
    values = values[np.isfinite(values)]
    full = float(np.quantile(np.abs(values), EXTREME)) if len(values) else 0.0
    downward = column.scale == "size" and len(values) and values.min() < 0
    return Scale(0.0, (-full if downward else full) or 1.0)


def strength(x: float, scale: Scale) -> float:
    """How strongly a value is coloured, in [-1, 1]."""
    return max(-1.0, min(1.0, (x - scale.zero) / (scale.full - scale.zero)))


def responses(table: pd.DataFrame, scale: Scale) -> list[Response]:
    """Responses in the table's order, coloured by the recipe's advantage."""
    found = []
    for number, part in table.groupby("response"):
        steps: dict[int, list[Token]] = {}
        for row, text, step, x in zip(part.index, part["text"], part["step"], part[OWN.name], strict=True):
            s = strength(x, scale)
            token = Token(int(row), visible(text), "neg" if s < 0 else "pos", round(abs(s), 2))
            steps.setdefault(int(step), []).append(token)
        top: Any = part.iloc[0]
        found.append(
            Response(
                int(str(number)), int(top["problem"]), plain(top["prompt"]), f"{top['reward']:.3g}",
                bool(top["truncated"]), int(top["length"]), list(steps.values()),
            )
        )  # fmt: skip
    return found


def plain(text: str) -> str:
    """Text without surprises: characters that are not printable (turns of writing direction, say) as their codes."""
    return "".join(c if c.isprintable() or c == "\n" else f"\\u{ord(c):04x}" for c in text)


def visible(text: str) -> str:
    """A token's text, in which spaces and ends of lines are signs and nothing is a sign, too."""
    signs = {" ": "␣", "\n": "⏎", "\t": "⇥"}
    return "".join(signs.get(c) or plain(c) for c in text) or "∅"


def numbers(table: pd.DataFrame, columns: Sequence[Column], scales: dict[str, Scale]) -> dict[str, Any]:
    """What the page's script reads: per column its scale and a number per token (None where not known)."""
    listed = [
        {
            **column._asdict(),
            **scales[column.name]._asdict(),
            "values": [float(f"{x:.4g}") if np.isfinite(x) else None for x in table[column.name]],
        }
        for column in columns
    ]
    return {
        "columns": listed,
        "common": max(scales[column.name].full for column in columns if column.scale == "signed"),
        "states": [plain(state) for state in table["state"]],
        "positions": table["position"].tolist(),
        "steps": table["step"].tolist(),
    }
