"""Other sources of values in VAPO's slot, on the walk: what they are worth beside the critic's, on the same seeds."""

import numpy as np
import pandas as pd

from analysis.plots.drawing import COLOURS, INK, Drawing, canvas
from analysis.statistics.intervals import student
from analysis.tables.rows import full_vapo, having
from analysis.tables.schema import Tables

STARTS: dict[str, dict[str, object]] = {
    "full VAPO": {**full_vapo(), "settings.critic_bias": 0.0},
    "no value pretraining, critic biased by 2": {**full_vapo("value_pretraining"), "settings.critic_bias": 2.0},
}
"""Where the critic starts -> columns."""

VALUES: dict[str, str] = {
    "values=bounded": "the critic's values cut to the range of rewards",
    "values=monte_carlo": "means of fresh continuations from every step",
}
"""Variant -> how it is called."""

COLUMNS = ["start", "values", "seed", "gain", "log_tokens"]
SAME = ["seed", "steps", "settings.policy_lr", "settings.responses_per_step"]


def gains(tables: Tables) -> pd.DataFrame:
    """A row per start, source and seed: AUC beyond that with the critic's own values, log of tokens sampled over its."""
    parts = [pd.DataFrame(columns=COLUMNS)]
    for start, wanted in STARTS.items():
        own = having(tables.runs, {"world": "walk", "task": "walk", **wanted})
        for variant, called in VALUES.items():
            other = having(tables.runs, {"world": "walk", "task": "walk", **wanted, "variants": variant})
            if not len(own) or not len(other):
                continue
            pairs = other[[*SAME, "auc", "tokens"]].merge(
                own[[*SAME, "auc", "tokens"]].drop_duplicates(SAME), on=SAME, suffixes=("", "_own")
            )
            parts.append(pd.DataFrame({
                "start": start, "values": called, "seed": pairs["seed"], "gain": pairs["auc"] - pairs["auc_own"],
                "log_tokens": np.log(pairs["tokens"] / pairs["tokens_own"]),
            }))  # fmt: skip
    return pd.concat([part for part in parts if len(part)] or parts, ignore_index=True)


def figure(found: pd.DataFrame) -> Drawing:
    """Mean gain with its 95 % Student interval, by source and start."""
    rows = [
        (start, values, *student(part["gain"]), float(np.exp(part["log_tokens"].mean())), len(part))
        for (start, values), part in found.groupby(["start", "values"], sort=False)
    ]
    table = pd.DataFrame(rows, columns=["start", "values", "difference", "low", "high", "times_the_tokens", "seeds"])
    y = np.arange(len(table))
    with canvas(5.2, 0.5 * len(table) + 0.9) as picture:
        axes = picture.subplots()
        for number, start in enumerate(dict.fromkeys(table["start"])):
            part, at = table[table["start"] == start], y[table["start"] == start]
            spread = np.nan_to_num([part["difference"] - part["low"], part["high"] - part["difference"]])
            axes.errorbar(part["difference"], at, xerr=spread, fmt="os"[number], capsize=3, markersize=4, label=start,
                          color=list(COLOURS.values())[number])  # fmt: skip
        axes.axvline(0, color=INK, linewidth=0.8)
        called = [
            f"{source}\n{times:.2g} times the tokens"
            for source, times in zip(table["values"], table["times_the_tokens"], strict=True)
        ]
        axes.set_yticks(y, called)
        axes.set_ylim(len(table) - 0.5, -0.5)
        axes.set_xlabel("change of AUC")
        picture.legend(loc="outside lower center", frameon=False, ncols=2)
    alt = "Area under the learning curve with other sources of values minus that with the critic's own, with intervals."
    return Drawing(picture, table, alt)
