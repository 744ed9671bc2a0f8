"""What an ablation found, one plain sentence per component."""

import math

import pandas as pd

from analysis.tables.terminal import interval, number

VERBS = {"removal": "Removing", "addition": "Adding"}


def component_sentences(table: pd.DataFrame) -> list[str]:
    """A sentence per changed component of the table of effects, from its own numbers: estimate, interval, n of N seeds.

    A component had nothing to do where its activity is exactly 0: then on and off are the same algorithm.
    """
    asked = int(table["seeds"].max()) if len(table) else 0
    return [_sentence(row, asked) for _, row in table.iterrows() if row["change"] in VERBS]


def _sentence(row: pd.Series, asked: int) -> str:
    change = f"{VERBS[row['change']]} {row['component']}"
    seeds = f"({row['pairs']} of {asked} seeds)"
    if row["activity"] == 0:
        return f"{row['component']} had nothing to do in these runs: its activity is 0 {seeds}."
    effect, low, high = (float(row[name]) for name in ("auc_diff", "auc_diff_low", "auc_diff_high"))
    if math.isnan(effect):
        return f"{change}: no seed was run both with and without it."
    if math.isnan(low):
        return f"{change} changed AUC by {number(effect, sign=True)} in one seed; one seed has no interval."
    if low <= 0 <= high:
        return f"{change} changes AUC by {interval(row, 'auc_diff', sign=True)}, not distinguishable from zero {seeds}."
    if effect > 0:
        return f"{change} gains {interval(row, 'auc_diff')} of AUC {seeds}."
    lost = pd.Series({"lost": -effect, "lost_low": -high, "lost_high": -low})
    return f"{change} costs {interval(lost, 'lost')} of AUC {seeds}."
