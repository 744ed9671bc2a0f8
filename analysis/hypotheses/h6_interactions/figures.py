"""Figures of limitation 6: actual and predicted changes by updates, failing combinations, shares of the components."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import seaborn as sns

from analysis.ablations.factorial import Factorial, shapley
from analysis.hypotheses.h6_interactions.tables import FALLS, Updates, by_seed, given_back_interval, phi
from analysis.plots.drawing import GREY, INK, Drawing, canvas
from analysis.statistics.intervals import Interval, NoEstimate, student
from analysis.tables.schema import COMPONENTS

COLOUR = sns.color_palette("colorblind")


def promise(updates: Updates) -> Drawing:
    """Exact change of J by every large update against what the recipe's objective promises; the line where they agree."""
    data = pd.DataFrame({"seed": updates.seed, "step": updates.step, "predicted": updates.predicted,
                         "predicted_se": updates.predicted_se, "delta_j": updates.delta_j})  # fmt: skip
    with canvas(3.6, 3.0) as picture:
        axes = picture.subplots()
        spots = axes.scatter(data["predicted"], data["delta_j"], c=data["step"], cmap="viridis", s=6, linewidths=0)
        ends = np.array([data["predicted"].min(), data["predicted"].max()])
        axes.plot(ends, ends, "--", color=INK, linewidth=0.8)
        axes.axhline(0, color=INK, linewidth=0.8)
        axes.set(xlabel="promised by the recipe's objective, reward", ylabel="exact change of J, reward")
        picture.colorbar(spots, label="RL step", pad=0.01)
    return Drawing(
        picture, data, "Exact change of J by large updates against what the objective promises; dashed: equal."
    )


def falls(updates: Updates, threshold: float) -> Drawing:
    """Share of updates that lower J along training: without sampling noise, sampled, and as signal over noise has it."""
    shares = {
        "32 times the responses": (updates.delta_j < FALLS).astype(float),
        "sampled": updates.sampled_down,
        "Φ(−signal / noise)": phi(updates),
    }
    rows = []
    for name, values in shares.items():
        for step in np.unique(updates.step):
            there = updates.step == step
            rows.append((name, int(step), *student(by_seed(updates.seed[there], values[there])), int(there.sum())))
    data = pd.DataFrame(rows, columns=["updates", "step", "share", "low", "high", "runs"])
    with canvas(3.6, 2.9) as picture:
        axes = picture.subplots()
        for (kind, part), dashes, colour in zip(
            data.groupby("updates", sort=False), ("-", "--", ":"), COLOUR, strict=False
        ):
            axes.plot(part["step"], part["share"], dashes, color=colour, label=str(kind))
            axes.fill_between(part["step"], part["low"].clip(0, 1), part["high"].clip(0, 1), color=colour, alpha=0.15,
                              linewidth=0)  # fmt: skip
        axes.axhline(threshold, color=GREY, linewidth=0.8)
        axes.set(xlabel="RL step", ylabel="updates that lower J, share", ylim=(-0.02, 1.02))
        axes.legend(frameon=False, fontsize=7.5)
    return Drawing(picture, data, "Share of updates that lower J along training, with 95 % intervals over seeds.")


def given_back(updates: Updates, bands: Sequence[tuple[float, float]], threshold: float) -> Drawing:
    """Falls of J over its rises by band of the starting J, with 95 % intervals, and how many updates a band has."""
    rows = []
    for low, high in bands:
        inside = int(((updates.j >= low) & (updates.j < high)).sum())
        try:
            interval = given_back_interval(updates, ((low, high),), 0.95)
        except NoEstimate:
            interval = Interval(np.nan, np.nan, np.nan)
        rows.append((f"{low:g} to {high:g}", *interval, inside))
    data = pd.DataFrame(rows, columns=["band", "share", "low", "high", "updates"])
    with canvas(3.4, 2.6) as picture:
        axes = picture.subplots()
        spread = np.nan_to_num(np.abs(data[["low", "high"]].to_numpy(float).T - data["share"].to_numpy(float)))
        axes.errorbar(
            np.arange(len(data)), data["share"], yerr=spread, fmt="o", color=COLOUR[0], capsize=3, markersize=4
        )
        axes.axhline(threshold, color=GREY, linewidth=0.8)
        axes.set_xticks(np.arange(len(data)), data["band"])
        axes.set(xlabel="J before the update", ylabel="falls over rises", ylim=(0, None))
    return Drawing(picture, data, "What large updates lose of what they gain, by the J from which they start.")


def combinations(found: Factorial, half: float) -> Drawing:
    """Mean score of every combination over that of full VAPO, by how many components are off; failing ones named."""
    mean = found.scores.mean(0)
    off = found.points < 0
    relative = mean / mean[~off.any(1)]
    names = [", ".join(np.array(COMPONENTS)[row]) for row in off]
    data = pd.DataFrame(
        {"off": names, "count": off.sum(1), "score": mean, "relative": relative, "pair": off[:, 0] & off[:, 1]}
    )
    data = data.sort_values("relative").reset_index(drop=True)
    with canvas(3.6, 2.9) as picture:
        axes = picture.subplots()
        rng = np.random.default_rng(0)
        for pair, mark, colour, label in ((False, "o", COLOUR[0], "others"),
                                          (True, "s", COLOUR[1], "value_pretraining and decoupled_gae off")):  # fmt: skip
            part = data[data["pair"] == pair]
            jitter = 0.16 * rng.uniform(-1, 1, len(part))
            axes.plot(part["count"] + jitter, part["relative"], mark, color=colour, markersize=3, alpha=0.7, label=label,
                      markeredgewidth=0)  # fmt: skip
        axes.axhline(half, color=INK, linewidth=0.8, linestyle="--")
        axes.axhline(1, color=GREY, linewidth=0.8)
        axes.set(xlabel="components off", ylabel="area under the curve\nover full VAPO's", ylim=(0, None))
        picture.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=7.5, handletextpad=0.1)
    failed = int((data["relative"] < half).sum())
    alt = f"Score of {len(data)} combinations over full VAPO's by components off; {failed} lie below half."
    return Drawing(picture, data, alt)


def shares(starts: Mapping[str, Factorial]) -> Drawing:
    """Shapley value of every component by the critic's start, with 95 % intervals over seeds."""
    tables = [shapley(found).assign(start=name) for name, found in starts.items() if not found.words]
    data = pd.concat(tables, ignore_index=True)
    with canvas(3.6, 2.7) as picture:
        axes = picture.subplots()
        for number, (start, part) in enumerate(data.groupby("start", sort=False)):
            y = np.arange(len(part)) + 0.2 * (number - 0.5 * (len(tables) - 1))
            bars = np.stack([part["auc"] - part["auc_low"], part["auc_high"] - part["auc"]])
            axes.errorbar(part["auc"], y, xerr=np.nan_to_num(bars), fmt="os"[number], color=COLOUR[number], markersize=3.5,
                          capsize=2, linewidth=1, label=f"{start} answers")  # fmt: skip
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.set_yticks(np.arange(len(COMPONENTS)), COMPONENTS)
        axes.set_ylim(len(COMPONENTS) - 0.5, -0.5)
        axes.set_xlabel("Shapley value, AUC")
        picture.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=7.5, handletextpad=0.3)
    return Drawing(picture, data, "Shapley value of every component, by the critic's start, with 95 % intervals.")
