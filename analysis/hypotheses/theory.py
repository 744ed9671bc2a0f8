"""R1 to R13 as figures: each formula as a line, the independently computed quantity as markers."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from analysis.hypotheses.exact_tables import arrays, measured
from analysis.plots.drawing import INK, Drawing, canvas
from analysis.statistics.intervals import student
from analysis.tables.schema import Tables

COLOURS = sns.color_palette("colorblind")
MARKS = ("o", "s", "^", "D", "v", "x")


class TheoryResult(NamedTuple):
    """How one result is drawn."""

    says: str
    """In one line."""
    x: str
    y: str
    curve: str
    """Column whose values distinguish the curves."""
    labels: dict[float, str]
    """Its values, and what each curve is called."""
    scales: tuple[str, str] = ("linear", "linear")
    limits: tuple[float, float] | None = None
    """Of y."""
    where: Callable[[pd.DataFrame], pd.DataFrame] = lambda table: table
    """Rows that are shown; others are only in the table."""


def _left(table: pd.DataFrame) -> pd.DataFrame:
    """1 - lambda in place of lambda, which ends at 0."""
    return table[table["x"] < 1].assign(x=1 - table["x"])


RESULTS: dict[str, TheoryResult] = {
    "r1": TheoryResult(
        "bias of the gradient = (1 − λ) Σ λᵏ of the errors ahead", "1 − λ", "|E g − ∇J| / |∇J|", "case",
        {0: "state, one length", 3: "state, varying length", 4: "position, varying length", 5: "constant, varying length"},
        ("log", "log"), (1e-3, 20), _left,
    ),
    "r2": TheoryResult(
        "weight of the reward on the first token tends to exp(−1/α)", "tokens", "λ^(l−1) over exp(−1/α)", "alpha",
        {a: f"α = {a:g}" for a in (0.05, 0.1, 0.4, 0.5, 1.5)}, ("log", "linear"), (0, 1.4),
    ),
    "r3": TheoryResult(
        "squared TD errors add up to Var(R) under exact values", "Var(R), given the first state", "Σ E[δ²]", "case",
        {0: "one length", 1: "varying length"}, where=lambda table: table.assign(x=table["formula"]),
    ),
    "r4": TheoryResult(
        "the best horizon grows as the cube root of length (line: τ = 1 decision)", "tokens", "h*, tokens", "b",
        {b: f"B = {b}" for b in (64, 512, 4096)}, ("log", "log"),
    ),
    "r5": TheoryResult(
        "a baseline turns the sequence mean, not the token mean", "constant added to the baseline", "cosine to ∇J", "case",
        {0: "token mean", 1: "sequence mean"}, limits=(-1.05, 1.05),
    ),
    "r6": TheoryResult(
        "variance of token over sequence mean", "correlation ρ of token gradients", "Var token / Var sequence", "cv2",
        {c: f"CV² = {c:g}" for c in (0.25, 0.9, 2.0)}, ("symlog", "linear"),
    ),
    "r7": TheoryResult(
        "at full success the positive-example loss lets modes drift", "μ² η² steps / B", "entropy left of two modes", "",
        {0: "μ = 0.1"}, limits=(0, 1.03),
    ),
    "r8": TheoryResult(
        "the trust region's bound is vacuous; the shift is far below it", "tokens", "|ΔJ − surrogate|", "case",
        {0: "clip 0.2 / 0.2", 1: "clip 0.2 / 0.28"}, ("log", "log"),
        where=lambda table: table.assign(found=np.exp(table["log_found"])),
    ),
    "r9": TheoryResult(
        "what warm-up leaves of a constant error, 200 tokens before the end", "sweeps", "share left", "lambda",
        {0.8: "λ = 0.8", 0.95: "λ = 0.95", 0.99: "λ = 0.99", 1.0: "λ = 1"}, ("log", "linear"),
    ),
    "r10": TheoryResult(
        "N responses find a mode of probability p or not", "rarity log(1/p), nats", "chance of a hit", "n",
        {n: f"N = {n}" for n in (64, 128, 8192)},
    ),
    "r11": TheoryResult(
        "VAPO's rule is biased though values are exact: Σ Cov(λᵏ, δ)", "mean tokens", "|E g − ∇J| / |∇J|", "alpha",
        {0.05: "α = 0.05", 0.5: "α = 0.5"}, ("log", "linear"),
    ),
    "r12": TheoryResult(
        "share of blame in the erring step of 8 tokens, error halfway", "tokens", "share of blame", "case",
        {0: "α = 0.05", 1: "α = 0.5", 2: "λ = 0.95", 3: "λ = 0"}, ("log", "log"),
    ),
    "r13": TheoryResult(
        "GRPO weighs problems by 1/√(p(1−p)) as groups grow", "success probability p", "weight over that of ∇J", "g",
        {g: f"G = {g}" for g in (4, 8, 16, 64)}, limits=(0, 8),
    ),
}  # fmt: skip


def figures(tables: Tables) -> dict[str, Drawing]:
    """One per result whose runs are there, named theory_r1 and so on."""
    found = {}
    for name, result in RESULTS.items():
        table = arrays(tables, measured(tables, "theory", result=name), name)
        if len(table):
            found[f"theory_{name}"] = draw(name, result, summary(result, table))
    return found


def summary(result: TheoryResult, table: pd.DataFrame) -> pd.DataFrame:
    """Mean over families of formula and found, with the 95 % interval of what was found, by curve and x.

    Where x itself is drawn, as in R3 and R11, families are ranked by it and shown in eight groups per curve.
    """
    shown = result.where(table)
    curve = shown[result.curve] if result.curve else pd.Series(0.0, shown.index)
    grouped = shown.assign(curve=curve)
    first = grouped[grouped["curve"] == grouped["curve"].iloc[0]]
    drawn_x = first["x"].nunique() == len(first) > 40
    if drawn_x:
        rank = grouped.groupby("curve")["x"].rank(pct=True)
        grouped["at"] = np.minimum((rank * 8).astype(int), 7)
    else:
        grouped["at"] = grouped["x"]
    rows = []
    for (kind, _), part in grouped.groupby(["curve", "at"]):
        if kind in result.labels:
            mean, low, high = student(part["found"])
            label = result.labels[kind]
            rows.append((label, part["x"].mean(), part["formula"].mean(), mean, low, high, len(part)))
    return pd.DataFrame(rows, columns=["curve", "x", "formula", "found", "low", "high", "families"])


def draw(name: str, result: TheoryResult, shown: pd.DataFrame) -> Drawing:
    """Lines and marks."""
    with canvas(3.4, 3.0) as figure:
        axes = figure.subplots()
        for (label, part), colour, mark in zip(shown.groupby("curve", sort=False), COLOURS, MARKS, strict=False):
            part = part.sort_values("x")
            axes.plot(part["x"], part["formula"], "-", color=colour, linewidth=1)
            spread = [(part["found"] - part["low"]).fillna(0).clip(lower=0),
                      (part["high"] - part["found"]).fillna(0).clip(lower=0)]  # fmt: skip
            few = _apart(part["x"], log=result.scales[0] == "log")
            axes.errorbar(
                part["x"][few], part["found"][few], yerr=[s[few] for s in spread], fmt=mark, color=colour, markersize=3.5,
                linewidth=1, capsize=2, label=label, markerfacecolor="none",
            )  # fmt: skip
        _finish(axes, name, result)
    alt = f"{name.upper()}: {result.says}. Lines: formula; markers: computed independently, 95 % interval over sampled families."
    return Drawing(figure, shown, alt)


def _apart(x: pd.Series, log: bool) -> pd.Index:
    """Some of rising x, far enough apart to be distinguishable."""
    place = np.log(x) if log else x
    bins = ((place - place.min()) / max(float(place.max() - place.min()), 1e-12) * 20).astype(int)
    return x.index[~bins.duplicated()]


def _finish(axes: Axes, name: str, result: TheoryResult) -> None:
    """Scales, labels, the title over two lines where it is long."""
    if result.scales[0] == "symlog":
        axes.set_xscale("symlog", linthresh=0.002)
    else:
        axes.set_xscale(result.scales[0])
    axes.set_yscale(result.scales[1])
    axes.set(xlabel=result.x, ylabel=result.y)
    if result.limits:
        axes.set_ylim(*result.limits)
    words = f"{name.upper()}: {result.says}".split()
    half = next((i for i in range(len(words)) if len(" ".join(words[: i + 1])) > 44), len(words))
    axes.set_title(" ".join(words[:half]) + "\n" + " ".join(words[half:]), loc="left", fontsize=8, color=INK)
    axes.legend(frameon=False, fontsize=7)
