"""Results of a sweep as text: the recommendation, its uncertainty, and a table of the best trials."""

import math

import pandas as pd
from rich import box
from rich.table import Table

from analysis.ablations.effects import ENOUGH_SEEDS
from analysis.sweeps.sweep import CONTROL, MAIN, SweepTables, settings_of, trials_of
from analysis.tables.schema import SCORE_LABELS
from analysis.tables.terminal import interval, number

MOST_LISTED = 10
"""Trials that a table lists, the best first."""


def sentences(tables: SweepTables, found: pd.DataFrame) -> list[str]:
    """What a person takes away, a few lines per place; alpha never without the response length it holds for."""
    lines = []
    for place in tables.space["place"].unique():
        if place:
            lines.append(f"{place}:")
        for role in (MAIN, CONTROL):
            here = found[(found["place"] == place) & (found["role"] == role)]
            if len(here):
                lines += _about(here, role)
            elif role in set(tables.space.loc[tables.space["place"] == place, "role"]):
                lines.append(
                    f"no trial of {' x '.join(settings_of(tables, place, role))} is complete: no recommendation"
                )
        lines += _verdict(found[(found["place"] == place) & (found["role"] == MAIN)])
    return lines


def _about(here: pd.DataFrame, role: str) -> list[str]:
    first = here.iloc[0]
    word = "recommended" if role == MAIN else "best constant"
    settings = [f"{row['setting']} = {row['value']:.4g} ({reach(row, len(here) > 1)})" for _, row in here.iterrows()]
    seeds = int(first["seeds"])
    scored = (
        f"AUC {interval(first, 'score')} on {seeds} held-back seeds"
        if seeds
        else "not scored: no held-back seed was run"
    )
    return [
        f"{word}: {', '.join(settings)}, for a mean response length of {number(first['mean_length'], 1)} tokens",
        f"  {scored}; {number(first['choosing_score'])} on the seeds that chose it",
    ]


def reach(row: pd.Series, several: bool) -> str:
    """The interval of a setting's best value, and what it rests on."""
    ends = f"{row['low']:.4g} to {row['high']:.4g}"
    if row["low_open"] and row["high_open"]:
        return f"no value from {ends} is ruled out"
    bare = [name for name, is_open in (("lower", row["low_open"]), ("upper", row["high_open"])) if is_open]
    rate = "range of trials not ruled out" if several else "95 % interval"
    return f"{rate} {ends}" + (f", {' and '.join(bare)} end: limit of the searched range" if bare else "")


def _verdict(main: pd.DataFrame) -> list[str]:
    """The difference to the best constant in a sentence, if there is one."""
    if main.empty or main["difference"].isna().all():
        return []
    row = main.iloc[0]
    pairs = int(row["pairs"])
    lines = [
        f"difference to {row['constant']}: {interval(row, 'difference', sign=True)} in AUC, 95 % Student interval over"
        f" {pairs} held-back pairs: {direction(row)}"
    ]
    if pairs < ENOUGH_SEEDS:
        lines.append(f"  illustration only: {pairs} pair{'s are' if pairs != 1 else ' is'} too few for a verdict")
    return lines


def direction(row: pd.Series) -> str:
    """Which side of 0 the interval of the difference excludes."""
    if math.isnan(row["difference_low"]):
        return "no interval"
    if row["difference_low"] > 0:
        return "better than the constant"
    return "worse than the constant" if row["difference_high"] < 0 else "not distinguishable from the constant"


def trials_table(tables: SweepTables) -> list[Table]:
    """The best trials of every study for a terminal."""
    out = []
    for place, role in tables.space[["place", "role"]].drop_duplicates().itertuples(index=False):
        names = settings_of(tables, place, role)
        listed = trial_rows(tables, place, role)
        title = ", ".join(filter(None, [" x ".join(names), place]))
        table = Table(box=box.SIMPLE_HEAD, title=f"Sweep of {title}: the best of {_count(tables, place, role)} trials",
                      padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)  # fmt: skip
        for head in heads(names):
            table.add_column(head, justify="right", no_wrap=True)
        for row in listed:
            table.add_row(*row)
        out.append(table)
    return out


def heads(names: list[str]) -> list[str]:
    """Column heads of a table of trials."""
    return ["trial", *names, "choosing seeds", "held-back seeds", "all, 95 % interval", "seeds", "length"]


def trial_rows(tables: SweepTables, place: str, role: str) -> list[list[str]]:
    """The best trials by their choosing seeds, complete ones first, as text under `heads`."""
    trials = trials_of(tables, place, role)
    if trials.empty:
        return []
    trials["kept"] = trials["outcome"] == "complete"
    best = trials.sort_values(["kept", "choosing"], ascending=False, kind="stable").head(MOST_LISTED)
    return [
        [
            str(row["trial"]) + ("" if row["kept"] else f" {row['outcome']}"),
            *(f"{row[name]:.4g}" for name in settings_of(tables, place, role)),
            number(row["choosing"]),
            number(row["held_back"]),
            f"{number(row['mean'])} [{number(row['low'])}, {number(row['high'])}]",
            f"{row['seeds']}" + (f" {row['diverged']}✗" if row["diverged"] else ""),
            number(row["mean_length"], 1),
        ]
        for _, row in best.iterrows()
    ]


def facts(tables: SweepTables, place: str) -> list[tuple[str, str]]:
    """What was run at a place, as (name, value)."""
    runs = tables.runs[tables.runs["place"] == place]
    metric = str(runs["metric"].iloc[0])
    counts = [f"{role}: {_count(tables, place, role)}{_pruned(runs[runs['role'] == role])}" for role in (MAIN, CONTROL)]
    seeds = {half: sorted(part["seed"].unique()) for half, part in runs.groupby("half")}
    return [
        ("Searched", "; ".join(_range(row) for _, row in tables.space[tables.space["place"] == place].iterrows())),
        ("Trials", ", ".join(c for c in counts if not c.endswith(": 0"))),
        ("Seeds", "; ".join(f"{half!s}: {', '.join(map(str, numbers))}" for half, numbers in seeds.items())),
        ("Task", f"{runs['task'].iloc[0]} ({runs['world'].iloc[0]}){f', {place}' if place else ''}"),
        ("Arms", ", ".join(runs["arm"].unique())),
        ("Score", f"AUC of {SCORE_LABELS.get(metric, metric)} over {runs['steps'].iloc[0]} RL steps, 0 to 1"),
        (
            "Runs",
            f"{runs['spec'].nunique()}, of which {int((runs['state'] == 'diverged').sum())} diverged (0 from there on)",
        ),
        ("Commit", ", ".join(sorted(c for c in runs["git_commit"].unique() if c)) or "not recorded"),
        ("Core-hours", f"{runs.drop_duplicates('spec')['seconds'].sum() / 3600:.2f}"),
    ]


def _count(tables: SweepTables, place: str, role: str) -> int:
    runs = tables.runs
    return int(runs.loc[(runs["place"] == place) & (runs["role"] == role), "trial"].nunique())


def _pruned(runs: pd.DataFrame) -> str:
    pruned = runs.loc[runs["outcome"] == "pruned", "trial"].nunique()
    return f" ({pruned} pruned)" if pruned else ""


def _range(row: pd.Series) -> str:
    return f"{row['setting']} {row['low']:g} to {row['high']:g} ({row['scale']})"
