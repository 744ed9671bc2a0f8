"""Sentences and table cells of the report; the layout is in templates/."""

import math
from typing import NamedTuple

import pandas as pd

from analysis.ablations.effects import ENOUGH_SEEDS, smallest_effect
from analysis.tables.arms import in_order, parse, references, short
from analysis.tables.schema import SCORE_LABELS
from analysis.tables.terminal import interval, number


class ArmRow(NamedTuple):
    """One arm's line in the report's table, as text."""

    arm: str
    seeds: str
    auc: str
    auc_diff: str
    last: str
    last_diff: str
    activity: str
    tokens: str
    length: str
    paper: str
    paper_diff: str


def effect_rows(table: pd.DataFrame) -> list[ArmRow]:
    """The table of effects as text; scores with three decimals, lengths in tokens, the paper's in points."""
    return [_row(row) for _, row in table.iterrows()]


def _row(row: pd.Series) -> ArmRow:
    is_reference = row["change"] == "reference"
    lost = f", {row['pairs']} paired" if row["pairs"] != row["seeds"] else ""
    crashed = f", {row['diverged']} diverged" if row["diverged"] else ""
    return ArmRow(
        short(row["arm"]),
        f"{row['seeds']}{lost}{crashed}",
        interval(row, "auc"),
        "reference" if is_reference else interval(row, "auc_diff", sign=True),
        interval(row, "last"),
        "reference" if is_reference else interval(row, "last_diff", sign=True),
        number(row["activity"]),
        "×" + number(row["tokens_ratio"], 2),
        number(row["mean_length"], 1),
        number(row["paper"], 0),
        "reference" if is_reference and not math.isnan(row["paper"]) else number(row["paper_diff"], 0, sign=True),
    )


def facts(runs: pd.DataFrame) -> list[tuple[str, str]]:
    """What was run, as (name, value): arms, seeds, steps, task, alpha with length, commit, hours."""
    reference_arm = [*references(runs["arm"]), ""][0]
    metric = str(runs["metric"].iloc[0])
    seeds = sorted(runs["seed"].unique())
    crashed = int((runs["state"] == "diverged").sum())
    return [
        ("Arms", _arms(runs["arm"], reference_arm)),
        ("Runs", f"{len(runs)}, of which {crashed} diverged"),
        ("Seeds", f"{len(seeds)} ({_span(seeds)}), paired across arms"),
        ("Task", f"{_distinct(runs['task'])}, base {_distinct(runs['base'])}"),
        ("Score", f"{SCORE_LABELS.get(metric, metric)} ({metric}) on held-out problems, 0 to 1"),
        ("RL steps", f"{_distinct(runs['steps'])} (protocol {_distinct(runs['protocol'])})"),
        ("α and response length", _alpha_and_length(runs, reference_arm)),
        ("Commit", _distinct(runs["git_commit"])),
        ("Core-hours", f"{runs['seconds'].sum() / 3600:.2f}: seconds summed over runs, counting one core per run"),
    ]


MOST_ARMS = 24
"""Arms that are listed one by one."""


def _arms(labels: pd.Series, reference_arm: str) -> str:
    """Arms by name while they can be read; combinations of several components are counted."""
    every = list(dict.fromkeys([*in_order(labels, reference_arm), *sorted(labels.unique())]))
    plain = [arm for arm in every if parse(arm).change != "combination"]
    listed, several = plain[:MOST_ARMS], len(every) - len(plain)
    more = f" and {len(plain) - len(listed)} more" if len(plain) > len(listed) else ""
    return ", ".join(listed) + more + (f"; {several} combinations of several changes" if several else "")


def _alpha_and_length(runs: pd.DataFrame, reference_arm: str) -> str:
    alpha = _distinct(runs["settings.alpha"]) if "settings.alpha" in runs else "not recorded"
    means = runs.groupby("arm")["mean_length"].mean()
    reference = f" in {reference_arm}" if reference_arm in means else ""
    middle = means.get(reference_arm, means.mean())
    span = f"{means.min():.1f} to {means.max():.1f} over arms"
    return f"α = {alpha}; mean response length {middle:.1f} tokens{reference} ({span})"


def _distinct(column: pd.Series) -> str:
    kept = [f"{x:g}" if isinstance(x, float) else str(x) for x in sorted(column.dropna().unique())]
    return ", ".join(x for x in kept if x) or "not recorded"


def _span(seeds: list[int]) -> str:
    consecutive = len(seeds) > 2 and seeds[-1] - seeds[0] == len(seeds) - 1
    return f"{seeds[0]} to {seeds[-1]}" if consecutive else ", ".join(map(str, seeds))


def seeds_note(table: pd.DataFrame) -> str:
    """What the number of seeds allows to be seen; "" without a second arm."""
    pairs, size = smallest_effect(table)
    if not table["auc_diff"].notna().any():
        return ""
    seen = (
        "With fewer than five pairs no smallest detectable effect can be given: read the differences as examples."
        if math.isnan(size)
        else f"The smallest threshold this design can serve is about {size:.3f} in AUC (the median sd of the paired "
        "differences times the factor for this number of seeds). At that threshold it has 80 % power to call a zero "
        "effect negligible, and 80 % power to detect an effect of twice the threshold."
    )
    if pairs >= ENOUGH_SEEDS:
        return seen
    return f"Illustration only: {pairs} paired seed{'s are' if pairs != 1 else ' is'} too few for a verdict. {seen}"


def summary(table: pd.DataFrame) -> str:
    """Which 95 % intervals of the difference in AUC exclude 0, in one or two sentences."""
    others = table[table["auc_diff_low"].notna()]
    if others.empty:
        return "No arm has two paired seeds, so no interval can be given."
    below = [short(a) for a in others.loc[others["auc_diff_high"] < 0, "arm"]]
    above = [short(a) for a in others.loc[others["auc_diff_low"] > 0, "arm"]]
    parts = [
        f"AUC {word} than {table['arm'].iloc[0]}'s, interval excludes 0: {', '.join(names)}."
        for word, names in (("lower", below), ("higher", above))
        if names
    ]
    open_ = len(others) - len(below) - len(above)
    return " ".join([*parts, f"{open_} of {len(others)} intervals include 0."])
