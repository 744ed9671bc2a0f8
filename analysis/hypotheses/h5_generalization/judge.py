"""Limitation 5, generalisation: the critic on unlike problems at matched length and V, and accuracies at equal skill."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.hypotheses.h1_value_fidelity.tables import mean_of_ends
from analysis.hypotheses.h5_generalization import figures as generalization_figures
from analysis.plots.drawing import Drawing
from analysis.tables.rows import crossing, full_vapo, having, series
from analysis.tables.schema import Tables
from analysis.verdict.decisions import Verdict, verdict
from analysis.verdict.estimates import Estimand, secondary_row
from analysis.verdict.questions import LEVEL_OF, Question

SPLITS: dict[str, tuple[str, ...]] = {"lm": ("ood_operator", "ood_composition"), "walk": ("ood_hazard",)}
"""Splits out of distribution that are averaged, by world."""

CHAIN: dict[str, Any] = {"world": "lm", "task": "chain", "dials.filler": 0, "dials.longest": 7}
FILLED: dict[str, Any] = {**CHAIN, "dials.filler": 2}
SHORT: dict[str, Any] = {**CHAIN, "dials.longest": 3}
HAZARDS: dict[str, Any] = {"world": "walk", "task": "walk", "dials.novel_hazards": 3}
CELLS: dict[str, dict[str, Any]] = {"lm": CHAIN, "walk": HAZARDS}

HEIGHT: dict[str, float] = {"lm": 0.50, "walk": 0.80}
"""Held-out accuracy that arms are compared at."""
INSIDE, TRAIN = "generalization/accuracy_held_out", "generalization/accuracy_train"
FEWEST = 3
"""Measurements of a run below which a straight line between them says nothing of where it crossed."""
RISE = 0.05
"""Held-out accuracy that two runs must at least have gained for a comparison at the highest one both reached."""


def score(tables: Tables, questions: dict[str, Question], preset: str) -> list[Verdict]:
    """Both questions."""
    return [*h5a(tables, questions["h5a"], preset), *h5b(tables, questions["h5b"], preset)]


# --- h5a: the critic on unlike problems ---


def transferred(tables: Tables, runs: pd.DataFrame, name: str, splits: Sequence[str]) -> pd.Series:
    """[S] a number of probe value_transfer, mean over splits and both ends of a run."""
    return mean_of_ends(tables, runs, {f"value_transfer/{name}_{split}": 1 / len(splits) for split in splits})


def h5a(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """Matched excess of FVU out of distribution; by split; ranking; the walk; length by filler and by steps."""
    rows = []
    for world, cell in CELLS.items():
        runs, splits = having(tables.runs, {**cell, **full_vapo()}), SPLITS[world]
        theta = transferred(tables, runs, "excess", splits)
        if not len(theta):
            continue
        shares = [transferred(tables, runs, "effective", [split]).reindex(theta.index).mean() for split in splits]
        rows.append(verdict(question, LEVEL_OF[world], theta, preset, bool(min(shares) >= question.floor.least)))
        for split in splits if len(splits) > 1 else ():
            rows += secondary_row(
                question,
                LEVEL_OF[world],
                transferred(tables, runs, "excess", [split]),
                preset,
                f"the same, split {split} alone",
            )
        rows += _ranking(tables, runs, question, world, preset)
    return rows + _lengths(tables, question, preset)


def _ranking(tables: Tables, runs: pd.DataFrame, question: Question, world: str, preset: str) -> list[Verdict]:
    """Unmatched errors, the gap captured, and whether ranking loses less than FVU does."""
    splits, rows = SPLITS[world], []
    excess, lost = (transferred(tables, runs, name, splits) for name in ("excess", "gap_lost"))
    unmatched = transferred(tables, runs, "excess_unmatched", splits)
    for theta, what, unit in (
        (unmatched, "the same without matching, each error over its own Var(V)", question.unit),
        (
            lost,
            "gap captured on alternative next steps, held-out problems minus out of distribution",
            "share of the gap",
        ),
        ((excess - lost).dropna(), "rise of FVU minus fall of the gap captured: ranking degrades less", "share"),
    ):
        rows += secondary_row(question, LEVEL_OF[world], theta, preset, Estimand(what, unit))
    return rows


def _lengths(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """The 2 x 2 of length, by filler, and composition; and steps beyond the training ones."""
    plain, filled, short = (having(tables.runs, {**cell, **full_vapo()}) for cell in (CHAIN, FILLED, SHORT))
    rows = []
    for name, what in (
        ("excess", "excess on ood_composition with two filler tokens a step, minus without: length and composition"),
        ("fvu_inside", "FVU on held-out problems with two filler tokens a step, minus without: length alone"),
    ):
        both = [transferred(tables, runs, name, ["ood_composition"]) for runs in (filled, plain)]
        rows += secondary_row(question, "tiny_lm", (both[0] - both[1]).dropna(), preset, what)
    longer = transferred(tables, short, "excess", ["ood_length"])
    what = "excess on chains of four steps, training up to three"
    return rows + secondary_row(question, "tiny_lm", longer, preset, what)


# --- h5b: accuracies at equal skill ---


class Trail(NamedTuple):
    """What a run's accuracies were."""

    inside: np.ndarray
    """[n] on held-out problems, in the order measured; n at least FEWEST."""
    outside: np.ndarray
    """[n] out of distribution, mean over splits."""
    train: np.ndarray
    """[n] on training problems."""

    def at(self, height: float) -> "Trail | None":
        """All three where the first one first reaches a height, linear between measurements.

        None if it never does, and if it was above from the start: where it crossed was not seen.
        """
        place = crossing(np.arange(len(self.inside), dtype=float), self.inside, height)
        if np.isnan(place) or self.inside[0] > height:
            return None
        return Trail(*(np.interp(place, np.arange(len(x)), x) for x in self))


def trails(tables: Tables, world: str, recipe: str) -> dict[int, Trail]:
    """Accuracies of a recipe's runs by seed, where all splits were measured together FEWEST times or more.

    Raises:
        ValueError: if a seed has two such runs.
    """
    cells = having(tables.runs, {**CELLS[world], "recipe": recipe})
    runs = cells[cells["arm"] == recipe]
    metrics = [INSIDE, TRAIN, *(f"generalization/accuracy_{split}" for split in SPLITS[world])]
    wide = [series(tables, runs["spec"], metric) for metric in metrics]
    steps = sorted(set.intersection(*(set(x.columns) for x in wide)))
    read = np.stack([x[steps].to_numpy(float) for x in wide])  # [metrics, N, steps]
    found: dict[int, Trail] = {}
    for number, seed in enumerate(runs["seed"]):
        known = ~np.isnan(read[:, number]).any(axis=0)
        if known.sum() < FEWEST:
            continue
        if seed in found:
            raise ValueError(f"seed {seed} of {recipe} has two runs with accuracies along the way")
        inside, train, *outside = read[:, number, known]
        found[int(seed)] = Trail(inside, np.mean(outside, axis=0), train)
    return found


def h5b(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """Accuracy out of distribution at one held-out accuracy, vapo minus grpo; minus dapo; overfitting; the walk."""
    rows = []
    for world in CELLS:
        mine, theirs = (trails(tables, world, recipe) for recipe in ("vapo", "grpo"))
        seeds = sorted(set(mine) & set(theirs))
        if not seeds:
            continue
        theta = gaps(mine, theirs, HEIGHT[world])
        tested = len(theta) / len(seeds) >= question.floor.least
        rows.append(verdict(question, LEVEL_OF[world], theta["outside"], preset, tested))
        rows += _overfitting(question, world, preset, mine, theirs)
        against = gaps(mine, trails(tables, world, "dapo"), HEIGHT[world])["outside"]
        rows += secondary_row(
            question, LEVEL_OF[world], against, preset, Estimand("the same against dapo", equivalence=True)
        )
    return rows


def gaps(mine: Mapping[int, Trail], theirs: Mapping[int, Trail], height: float) -> pd.DataFrame:
    """Differences by seed where held-out accuracy first reaches a height: `outside`, and `overfit`, training minus held-out.

    Seeds of which both runs reach it from below; the others are left out, and their share is the floor's.
    """
    found = {}
    for seed in sorted(set(mine) & set(theirs)):
        both = mine[seed].at(height), theirs[seed].at(height)
        if both[0] and both[1]:
            one, other = both[0], both[1]
            found[seed] = (one.outside - other.outside, one.train - one.inside - other.train + other.inside)
    return pd.DataFrame.from_dict(found, orient="index", columns=["outside", "overfit"], dtype=float)


def highest(mine: Mapping[int, Trail], theirs: Mapping[int, Trail], height: float) -> pd.DataFrame:
    """The same at the highest accuracy that both runs of a seed reach, at most `height`: no run is censored."""
    parts = [gaps({}, {}, height)]
    for seed in sorted(set(mine) & set(theirs)):
        one, other = mine[seed], theirs[seed]
        common = min(height, one.inside.max(), other.inside.max())
        if common - max(one.inside[0], other.inside[0]) >= RISE:
            parts.append(gaps({seed: one}, {seed: other}, common))
    return pd.concat(parts)


def _overfitting(
    question: Question, world: str, preset: str, mine: Mapping[int, Trail], theirs: Mapping[int, Trail]
) -> list[Verdict]:
    """Training minus held-out accuracy at equal skill and at the end; the question's own without censoring."""
    seeds = sorted(set(mine) & set(theirs))
    ends = [{s: arm[s].train[-1] - arm[s].inside[-1] for s in seeds} for arm in (mine, theirs)]
    last = pd.Series(ends[0], dtype=float) - pd.Series(ends[1], dtype=float)
    rows = []
    for theta, what in (
        (gaps(mine, theirs, HEIGHT[world])["overfit"], "training minus held-out accuracy at the same place, vapo minus grpo"),
        (last, "training minus held-out accuracy after the last step, vapo minus grpo"),
        (highest(mine, theirs, HEIGHT[world])["outside"],
         "the question's difference at the highest held-out accuracy both runs reach, so that none is censored"),
    ):  # fmt: skip
        rows += secondary_row(question, LEVEL_OF[world], theta, preset, Estimand(what, equivalence=True))
    return rows


# --- pictures ---


def figures(tables: Tables, questions: dict[str, Question]) -> dict[str, Drawing]:
    """What there are rows for."""
    drawings = {}
    transfer = transfer_points(tables)
    if len(transfer):
        drawings["critic_out_of_distribution"] = generalization_figures.transfer(transfer, questions["h5a"].threshold)
    skill = skill_points(tables)
    if len(skill):
        drawings["accuracy_at_equal_skill"] = generalization_figures.skill(skill, HEIGHT)
    return drawings


def transfer_points(tables: Tables) -> pd.DataFrame:
    """Differences by world, split, what and seed, where the probe measured them."""
    parts = []
    cells = {"chain": CHAIN, "chain, filler": FILLED, "chain, short": SHORT, "walk": HAZARDS}
    for label, cell in cells.items():
        runs = having(tables.runs, {**cell, **full_vapo()})
        for split in (*SPLITS["lm"], "ood_length", *SPLITS["walk"]):
            for name, what in generalization_figures.WHAT.items():
                found = transferred(tables, runs, name, [split])
                kind = split.removeprefix("ood_")
                parts.append(pd.DataFrame({
                    "where": f"{label}: {kind}", "what": what, "seed": found.index, "value": found.to_numpy(),
                }))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def skill_points(tables: Tables) -> pd.DataFrame:
    """Accuracy out of distribution by world, recipe, seed and held-out accuracy, where it was first reached."""
    rows = []
    for world in CELLS:
        for recipe in ("vapo", "grpo", "dapo"):
            for seed, trail in trails(tables, world, recipe).items():
                for height in np.arange(0.0, 1.0, 0.02):
                    found = trail.at(height)
                    if found:
                        rows.append((world, recipe, seed, height, float(found.outside)))
    return pd.DataFrame(rows, columns=["world", "recipe", "seed", "inside", "outside"])
