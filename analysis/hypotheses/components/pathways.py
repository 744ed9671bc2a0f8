"""Alternatives from later papers beside full VAPO: what each gains at every length, and the best of them fairly scored."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import seaborn as sns

from analysis.hypotheses.components.cells import Cells
from analysis.hypotheses.components.tables import difference
from analysis.plots.drawing import INK, Drawing, canvas
from analysis.statistics.intervals import student
from analysis.tables.regimes import NOISY, TEXT, Regime
from analysis.verdict.lengths import mean_length

ALTERNATIVES: dict[str, str] = {
    "vapo values=tether": "critic tethered to the group's mean",
    "vapo values=gated": "critic only where it explains variance",
    "vapo token_level_loss=length_normalised": "loss normalised by length",
    "vapo whiten=positive_only": "positive advantages alone",
    "vapo whiten=negative_only": "negative advantages alone",
}
"""Arm -> how it is called."""

CONTROL = "wider clip, random rewards"
"""With nothing to learn: full VAPO minus VAPO without clip_higher, both rewarded by chance."""

COLUMNS = ["pathway", "regime", "world", "mean_length", "seed", "gain"]
MOST = 3


class Fair(NamedTuple):
    """A pathway's gain where it was not chosen: each half of the seeds is scored by the choice of the other."""

    pathway: str
    gain: pd.Series
    """[S] mean over regimes, of the seeds that did not choose it."""


def gains(runs: pd.DataFrame) -> pd.DataFrame:
    """A row per pathway, regime and seed, columns `COLUMNS`: AUC beyond that of full VAPO, and the control's."""
    plain, found = (*NOISY, *TEXT), []
    cells, chance = Cells(runs, plain), Cells(runs, map(_by_chance, NOISY))
    for regime in plain:
        arms = [(called, cells, arm, "vapo") for arm, called in ALTERNATIVES.items()]
        arms += [(CONTROL, chance, "vapo", "vapo without clip_higher")]
        for called, here, first, second in arms:
            pairs = difference(here, [regime], first, second)
            found += [
                (called, regime.name, regime.world, mean_length(pairs.runs), seed, gain)
                for seed, gain in pairs.gain.items()
            ]
    return pd.DataFrame(found, columns=COLUMNS)


def _by_chance(regime: Regime) -> Regime:
    """The same regime with rewards that are drawn at random."""
    return regime._replace(length=regime.length._replace(dials={**regime.length.dials, "random_reward": 1.0}))


def best(found: pd.DataFrame, most: int = MOST) -> list[Fair]:
    """The pathways that either half of the seeds puts among the best, with their gains on the other half; the control is none.

    The best of several looks better than it is on the seeds that chose it.
    """
    wide = found[found["pathway"] != CONTROL].pivot_table(
        index="seed", columns="pathway", values="gain", aggfunc="mean"
    )
    first = np.arange(len(wide)) % 2 == 0
    fair: dict[str, list[pd.Series]] = {}
    for half in (first, ~first):
        for name in wide[half].mean().nlargest(most).index if half.any() and (~half).any() else ():
            fair.setdefault(str(name), []).append(wide.loc[~half, name].dropna())
    return [Fair(name, pd.concat(parts)) for name, parts in fair.items()]


def table(found: pd.DataFrame) -> pd.DataFrame:
    """A row per pathway and regime: mean gain with its 95 % Student interval, mean length, seeds."""
    rows = [
        (pathway, regime, part["world"].iloc[0], part["mean_length"].iloc[0], *student(part["gain"]), len(part))
        for (pathway, regime), part in found.groupby(["pathway", "regime"], sort=False)
    ]
    return pd.DataFrame(rows, columns=["pathway", "regime", "world", "mean_length", "effect", "low", "high", "seeds"])


def figure(found: pd.DataFrame) -> Drawing:
    """A row per pathway, a mark per regime, short answers above long ones."""
    rows = table(found)
    names, places = list(dict.fromkeys(rows["pathway"])), list(dict.fromkeys(rows["regime"]))
    colours = dict(zip(places, sns.color_palette("colorblind", len(places)), strict=True))
    with canvas(5.6, 0.55 * len(names) + 1.3) as picture:
        axes = picture.subplots()
        for place in places:
            part = rows[rows["regime"] == place]
            y = [
                names.index(name) + 0.6 * (places.index(place) / max(1, len(places) - 1) - 0.5)
                for name in part["pathway"]
            ]
            spread = np.nan_to_num([part["effect"] - part["low"], part["high"] - part["effect"]])
            label = f"{part['world'].iloc[0].replace('lm', 'text')}, {part['mean_length'].mean():.0f} tokens"
            axes.errorbar(
                part["effect"], y, xerr=spread, fmt="o", color=colours[place], capsize=2, markersize=3.5, linewidth=1,
                label=label,
            )  # fmt: skip
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlabel("AUC beyond full VAPO; of the control, beyond VAPO without clip_higher")
        picture.legend(loc="outside lower center", frameon=False, ncols=3)
    return Drawing(picture, rows, "AUC of alternatives minus that of full VAPO at every length, with 95 % intervals.")
