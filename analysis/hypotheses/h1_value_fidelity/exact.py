"""h1b at the exact level: the bias of the policy gradient due to a critic's error, by lambda, length and kind of error."""

import numpy as np
import pandas as pd

from analysis.hypotheses.exact_tables import arrays, at, measured, per_seed
from analysis.plots.drawing import COLOURS, Drawing, canvas
from analysis.statistics.intervals import student
from analysis.statistics.slopes import loglog_slope
from analysis.tables.schema import Tables
from analysis.verdict.activity import with_activity
from analysis.verdict.decisions import NOTE, Verdict, verdict
from analysis.verdict.estimates import Estimand, secondary_row
from analysis.verdict.lengths import computed_at
from analysis.verdict.questions import Question

LAMBDA, LENGTH, PER = 0.95, 64, 0.1
"""lambda and tokens of the estimand; the deviation that a slope is stated per, reward."""

KINDS: dict[str, tuple[str, float]] = {
    "state": ("frozen, by state", 0.0),
    "autocorrelated": ("frozen, correlated over 16 positions of one situation", 0.0),
    "position": ("frozen, by position", 0.0),
    "constant": ("constant", 0.0),
    "shrinkage": ("shrinking values by that share", 0.0),
    "fresh": ("drawn afresh", 0.1),
}
"""Kind of error -> how it is called, and the plan's noise; fresh noise is kind none with noise. Situations are drawn anew at
every token, so an error correlated between positions of one situation hardly persists along a response."""

ROUNDING = 1e-6
"""Relative bias below which the arithmetic and the table's six decimals leave nothing to see."""


def h1b(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """Slope of relative bias in the error's size at lambda = 0.95 and 64 tokens; then errors, lambdas, lengths, noise."""
    found = {(kind, varies): biases(tables, kind, varies) for kind in KINDS for varies in (False, True)}
    state = [found["state", varies] for varies in (False, True)]
    both = pd.concat([slope(part) for part in state], axis=1, join="inner").mean(axis=1)
    if not len(both):
        return []
    spread = float(spreads(tables).mean())
    row = verdict(question, "exact", both, preset, spread >= question.floor.least)
    row = computed_at(row._replace(strata=growth_note(state[0]) | row.strata), [LENGTH])
    rows = with_activity([row], spread)
    for (kind, varies), part in found.items():
        what = f"relative bias at lambda 0.95, 64 tokens, {_length(varies)}, error of 0.1 {KINDS[kind][0]}"
        rows += secondary_row(question, "exact", slope(part), preset, what)
    for lam in (0.0, 0.5, 0.8, 0.9, 0.98, 0.99, 1.0):
        other = pd.concat([slope(part, lam) for part in state], axis=1, join="inner").mean(axis=1)
        what = f"the same at lambda {lam:g}"
        rows += secondary_row(question, "exact", other, preset, what)
    rows += _growth(question, state[0], preset) + _noise(question, found["fresh", False], preset)
    return rows + _sharing(tables, question, preset)


def growth_note(state: pd.DataFrame) -> dict[str, str]:
    """The remark beside the verdict: how the bias grows with length; {} for a single length."""
    means = {int(length): slope(state, length=int(length)).mean() for length in sorted(set(state["length"]))}
    by_length = ", ".join(f"{bias:.2f} at {length:,} tokens" for length, bias in means.items())
    return {NOTE: f"grows with length: where all answers have one length, {by_length}"} if len(means) > 1 else {}


def biases(tables: Tables, kind: str, varies: bool) -> pd.DataFrame:
    """Rows (seed, length, size, lambda, bias, noise ...) under one kind of error."""
    wanted = {"error__kind": "none" if kind == "fresh" else kind, "error__noise": KINDS[kind][1], "variable": varies}
    return arrays(tables, measured(tables, "bias", **wanted), "bias")


def spreads(tables: Tables) -> pd.Series:
    """[S] the state error's spread over the situations of one position at 64 tokens, reward: the activity."""
    table = arrays(tables, measured(tables, "bias", error__kind="state"), "problems")
    return per_seed(at(table, length=LENGTH), "spread")


def slope(table: pd.DataFrame, lam: float = LAMBDA, length: int = LENGTH) -> pd.Series:
    """[S] relative bias per PER of the error's deviation: least squares through the origin over its sizes."""
    part = at(table, lam=lam, length=length)
    if not len(part):
        return pd.Series(dtype=float)
    top = (part["size"] * part["bias"]).groupby(part["seed"]).sum()
    return PER * top / (part["size"] ** 2).groupby(part["seed"]).sum()


def _length(varies: bool) -> str:
    return "lengths that vary" if varies else "one length"


def _growth(question: Question, state: pd.DataFrame, preset: str) -> list[Verdict]:
    """Other lengths, and the exponent of the bias in length."""
    lengths = sorted(set(state["length"])) if len(state) else []
    rows, curves = [], []
    for length in lengths:
        found = slope(state, length=int(length))
        curves.append(found.rename(length))
        if length == LENGTH:
            continue
        what = f"relative bias at lambda 0.95, {length:g} tokens, one length, frozen error of 0.1 by state"
        rows += secondary_row(question, "exact", found, preset, what)
    if len(lengths) < 2:
        return rows
    exponents = loglog_slope(lengths, pd.concat(curves, axis=1).dropna().to_numpy())
    what = "exponent of that bias in length (1/2: errors add up as noise does, grad J does not grow)"
    return rows + secondary_row(question, "exact", exponents, preset, Estimand(what, "slope", 0.25))


def _noise(question: Question, fresh: pd.DataFrame, preset: str) -> list[Verdict]:
    """Exponent in sigma of the variance that fresh noise adds."""
    part = at(fresh, lam=LAMBDA, length=LENGTH)
    if not len(part):
        return []
    wide = part.pivot(index="seed", columns="size", values="noise")
    added = wide.drop(columns=0.0).sub(wide[0.0], axis=0)
    what = "exponent in its deviation of the variance that noise drawn afresh adds, lambda 0.95, 64 tokens, one length"
    return secondary_row(
        question, "exact", loglog_slope(added.columns, added.to_numpy()), preset, Estimand(what, "slope", 0.25)
    )


QUARTER = 0.25
"""Share of Var(V) at which errors of different problems are compared."""


def _sharing(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """The same with one set of logits for all positions, and at an error that is a quarter of Var(V)."""
    kinds = {
        _length(varies): arrays(tables, measured(tables, "sharing", variable=varies), "sharing")
        for varies in (False, True)
    }
    parts = {where: table.set_index("seed") for where, table in kinds.items() if len(table)}
    if len(parts) < len(kinds):
        return []
    rows: list[Verdict] = []
    for what, of in (
        ("with one set of logits for all positions", lambda table: table["bias_shared"]),
        ("at an error that is a quarter of Var(V)", lambda table: table["bias"] * np.sqrt(QUARTER / table["fvu"])),
    ):
        found = {where: of(table) for where, table in parts.items()}
        mean = pd.concat(list(found.values()), axis=1, join="inner").mean(axis=1)
        for where, theta in {"mean of both kinds of length": mean, **found}.items():
            rows += secondary_row(question, "exact", theta, preset, f"the same {what}, {where}")
    for where, table in parts.items():
        what = f"log of the share of Var(V) that an error of 0.1 is, {where}"
        rows += secondary_row(question, "exact", np.log(table["fvu"]), preset, Estimand(what, "nats", 0.25))
    return rows


def figures(tables: Tables) -> dict[str, Drawing]:
    """The bias by lambda and by length; nothing without rows."""
    shown = curve(tables)
    return {"h1b_exact": drawings(shown)} if len(shown) else {}


def curve(tables: Tables) -> pd.DataFrame:
    """Mean relative bias at an error of 0.1 with its 95 % interval, by kind, kind of length, lambda and length."""
    rows = []
    for kind in KINDS:
        for varies in (False, True):
            table = at(biases(tables, kind, varies), size=PER)
            for (length, lam), part in table.groupby(["length", "lambda"]) if len(table) else ():
                mean, low, high = student(part["bias"])
                rows.append((KINDS[kind][0], varies, length, lam, mean, low, high, len(part)))
    return pd.DataFrame(rows, columns=["error", "lengths_vary", "length", "lambda", "bias", "low", "high", "families"])


MARKS = ("o", "s", "^", "D", "v", "x")


def drawings(shown: pd.DataFrame) -> Drawing:
    """Three panels: by lambda at one length, at lengths that vary, and by length at lambda = 0.95."""
    colours = [*COLOURS.values(), (0.4, 0.4, 0.4)]
    with canvas(7.2, 3.0) as figure:
        panels = figure.subplots(1, 3, sharey=True)
        for (kind, part), colour, mark in zip(shown.groupby("error", sort=False), colours, MARKS, strict=True):
            name = f"{kind}{'' if part['bias'].max() > ROUNDING else ' (none)'}"
            for axes, varies in zip(panels, (False, True), strict=False):
                own = part[(part["lengths_vary"] == varies) & (part["length"] == LENGTH)]
                _bars(axes, 1 - own["lambda"], own, colour, mark, name)
            own = part[~part["lengths_vary"] & np.isclose(part["lambda"], LAMBDA)]
            _bars(panels[2], own["length"], own, colour, mark, name)
        for axes, title in zip(panels, ("64 tokens each", "64 tokens on average", "λ = 0.95, one length"), strict=True):
            axes.set(yscale="log", ylim=(3e-3, 5), title=title)
            axes.axhline(0.05, color="0.6", linewidth=0.8, linestyle="--")
        for axes in panels[:2]:
            axes.set(xscale="log", xlabel="1 − λ")
        panels[2].set(xscale="log", xlabel="tokens")
        panels[0].set_ylabel("|E g − ∇J| / |∇J|, error of 0.1")
        handles, labels = panels[1].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    alt = (
        "Relative bias of the policy gradient under six kinds of critic error of size 0.1, against 1 - lambda at one length"
        " and at varying length, and against length at lambda 0.95; dashed: what matters, 0.05. Errors that are missing"
        " from a panel have no bias there."
    )
    return Drawing(figure, shown, alt)


def _bars(axes: object, x: pd.Series, own: pd.DataFrame, colour: object, mark: str, name: str) -> None:
    """Means with their intervals, where there is a bias at all."""
    seen = (own["bias"] > ROUNDING).to_numpy() & (x > 0).to_numpy()
    y = own["bias"][seen]
    errors = np.maximum([y - own["low"][seen], own["high"][seen] - y], 0.0)
    axes.errorbar(  # type: ignore[attr-defined]
        x[seen],
        y,
        yerr=errors,
        fmt=mark,
        linestyle="-",
        color=colour,
        markersize=3.5,
        capsize=2,
        linewidth=1,
        label=name,
    )
