"""Limitation 5, generalisation: the critic out of distribution at matched length and V, and accuracies at equal skill."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.hypotheses.h1_value_fidelity.tables import mean_of_ends, weighed
from analysis.hypotheses.h5_generalization import figures as generalization_figures
from analysis.plots.drawing import Drawing
from analysis.tables.rows import crossing, full_vapo, having, series
from analysis.tables.schema import Tables
from analysis.verdict.activity import with_activity
from analysis.verdict.decisions import NOTE, Verdict, verdict
from analysis.verdict.estimates import Estimand, secondary_row
from analysis.verdict.questions import LEVEL_OF, Question

SPLITS: dict[str, tuple[str, ...]] = {"lm": ("ood_operator", "ood_composition"), "walk": ("ood_hazard",)}
"""Splits out of distribution in which h5b's accuracies are averaged, by world."""

UNSEEN: dict[str, Any] = {"world": "lm", "task": "chain", "dials.glimpse": 0.0, "dials.filler": 0}
FILLED: dict[str, Any] = {**UNSEEN, "dials.filler": 2}
CHAIN: dict[str, Any] = {"world": "lm", "task": "chain", "dials.glimpse": 0.15, "dials.longest": 7}
SHORT: dict[str, Any] = {**CHAIN, "dials.longest": 3}
HAZARDS: dict[str, Any] = {"world": "walk", "task": "walk", "dials.novel_hazards": 3}
CRITICS: dict[str, tuple[dict[str, Any], str]] = {"lm": (UNSEEN, "ood_composition"), "walk": (HAZARDS, "ood_hazard")}
"""Where h5a asks: columns of the runs, and the split out of distribution. Nothing has seen it in pretraining."""
KNOWS = 1.0
"""FVU on matched places in distribution, the best constant's, from which on a critic has nothing to carry over."""
ARMS: dict[str, dict[str, Any]] = {"lm": CHAIN, "walk": HAZARDS}
"""Where h5b asks."""

HEIGHTS: dict[str, tuple[float, ...]] = {"lm": (0.60, 0.65, 0.70, 0.75, 0.80), "walk": (0.80, 0.85, 0.90, 0.95)}
"""Held-out accuracies that arms may be compared at: the highest that REACHED of the pairs of runs both come to."""
REACHED = 0.8
APART = 1
"""RL steps between measurements, at most: what happened between them is not known."""
INSIDE, TRAIN = "generalization/accuracy_held_out", "generalization/accuracy_train"
FEWEST = 3
"""Measurements of a run below which a straight line between them says nothing of where it crossed."""


def score(tables: Tables, questions: dict[str, Question], preset: str) -> list[Verdict]:
    """Both questions."""
    return [*h5a(tables, questions["h5a"], preset), *h5b(tables, questions["h5b"], preset)]


# --- h5a: the critic on unlike problems ---


def transferred(tables: Tables, runs: pd.DataFrame, name: str, splits: Sequence[str]) -> pd.Series:
    """[S] a number of probe value_transfer, mean over splits and both ends of a run."""
    return mean_of_ends(tables, runs, {f"value_transfer/{name}_{split}": 1 / len(splits) for split in splits})


def h5a(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """Matched excess of FVU on what nothing has seen; ranking; the walk; kinds that pretraining glimpsed; length."""
    rows = []
    for world, (cell, split) in CRITICS.items():
        runs, level = having(tables.runs, {**cell, **full_vapo()}), LEVEL_OF[world]
        theta = transferred(tables, runs, "excess", [split])
        if not len(theta):
            continue
        share = float(transferred(tables, runs, "effective", [split]).reindex(theta.index).mean())
        known = float(transferred(tables, runs, "fvu_inside", [split]).reindex(theta.index).mean()) < KNOWS
        rows += with_activity([verdict(question, level, theta, preset, known and share >= question.floor.least)], share)
        both = weighed(tables, runs, {f"value_transfer/excess_{split}": 1})
        for column, side in (("before", "before the first"), ("after", "after the last")):
            rows += secondary_row(question, level, both[column], preset, f"the same {side} RL step alone")
        rows += _ranking(tables, runs, question, world, preset)
    return rows + _glimpsed(tables, question, preset) + _lengths(tables, question, preset)


def _ranking(tables: Tables, runs: pd.DataFrame, question: Question, world: str, preset: str) -> list[Verdict]:
    """Unmatched errors, the gap captured, and whether ranking loses less than FVU does."""
    splits, rows = [CRITICS[world][1]], []
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


def _glimpsed(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """Kinds that 15 % of the base model's demonstrations showed: what pretraining alone is worth to the critic."""
    runs, rows = having(tables.runs, {**CHAIN, **full_vapo()}), []
    for split in SPLITS["lm"]:
        what = f"excess on {split} of chain, which the base model's pretraining had glimpsed"
        rows += secondary_row(question, "tiny_lm", transferred(tables, runs, "excess", [split]), preset, what)
    return rows


def _lengths(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """The 2 x 2 of length, by filler, and composition; and steps beyond the training ones."""
    plain, filled, short = (having(tables.runs, {**cell, **full_vapo()}) for cell in (UNSEEN, FILLED, SHORT))
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
    """Accuracies of a recipe's runs by seed, where all splits were measured FEWEST times or more, never further APART.

    Raises:
        ValueError: if a seed has two such runs.
    """
    cells = having(tables.runs, {**ARMS[world], "recipe": recipe})
    runs = cells[cells["arm"] == recipe]
    metrics = [INSIDE, TRAIN, *(f"generalization/accuracy_{split}" for split in SPLITS[world])]
    wide = [series(tables, runs["spec"], metric) for metric in metrics]
    steps = sorted(set.intersection(*(set(x.columns) for x in wide)))
    read = np.stack([x[steps].to_numpy(float) for x in wide])  # [metrics, N, steps]
    found: dict[int, Trail] = {}
    for number, seed in enumerate(runs["seed"]):
        known = ~np.isnan(read[:, number]).any(axis=0)
        if known.sum() < FEWEST or np.diff(np.array(steps)[known]).max() > APART:
            continue
        if seed in found:
            raise ValueError(f"seed {seed} of {recipe} has two runs with accuracies along the way")
        inside, train, *outside = read[:, number, known]
        found[int(seed)] = Trail(inside, np.mean(outside, axis=0), train)
    return found


def h5b(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """Accuracy out of distribution at one held-out accuracy, vapo minus grpo; minus dapo; overfitting; the walk."""
    rows = []
    for world in ARMS:
        mine, theirs = (trails(tables, world, recipe) for recipe in ("vapo", "grpo"))
        if not set(mine) & set(theirs):
            continue
        level, height = LEVEL_OF[world], common_height(mine, theirs, HEIGHTS[world])
        found = gaps(mine, theirs, height or HEIGHTS[world][0])
        overfit = float(found["overfit"].mean())
        row = verdict(question, level, found["outside"], preset, height is not None and overfit >= question.floor.least)
        rows += with_activity([row._replace(strata=_where(height, found) | row.strata)], overfit)
        rows += _overfitting(question, world, preset, found, mine, theirs)
        for lower in HEIGHTS[world]:
            what = Estimand(f"the same at held-out accuracy {lower:.2f}", equivalence=True)
            rows += secondary_row(question, level, gaps(mine, theirs, lower)["outside"], preset, what)
        dapo = trails(tables, world, "dapo")
        against = gaps(mine, dapo, common_height(mine, dapo, HEIGHTS[world]) or HEIGHTS[world][0])["outside"]
        rows += secondary_row(question, level, against, preset, Estimand("the same against dapo", equivalence=True))
    return rows


def _where(height: float | None, found: pd.DataFrame) -> dict[str, Any]:
    """The remark beside the verdict."""
    if height is None:
        return {NOTE: f"fewer than {REACHED:.0%} of the pairs of runs both reach the lowest held-out accuracy"}
    gap = found["overfit"].mean()
    return {NOTE: f"compared at held-out accuracy {height:.2f}, where training accuracy is {gap:.2f} above it"}


def common_height(mine: Mapping[int, Trail], theirs: Mapping[int, Trail], heights: Sequence[float]) -> float | None:
    """The highest of some held-out accuracies that both runs of at least REACHED of the seeds come to from below.

    It is chosen by held-out accuracy alone, which the comparison does not look at. None if there is none.
    """
    seeds = set(mine) & set(theirs)
    reached = [h for h in heights if seeds and len(gaps(mine, theirs, h)) >= REACHED * len(seeds)]
    return max(reached, default=None)


def gaps(mine: Mapping[int, Trail], theirs: Mapping[int, Trail], height: float) -> pd.DataFrame:
    """By seed where held-out accuracy first reaches a height: `outside` and `more`, differences of accuracy out of
    distribution and of training minus held-out accuracy; `overfit`, the latter's mean over both.

    Seeds of which both runs reach it from below; the others are left out.
    """
    found = {}
    for seed in sorted(set(mine) & set(theirs)):
        one, other = mine[seed].at(height), theirs[seed].at(height)
        if one and other:
            gap = [float(run.train - run.inside) for run in (one, other)]
            found[seed] = (one.outside - other.outside, gap[0] - gap[1], sum(gap) / 2)
    return pd.DataFrame.from_dict(found, orient="index", columns=["outside", "more", "overfit"], dtype=float)


def _overfitting(
    question: Question, world: str, preset: str, found: pd.DataFrame,
    mine: Mapping[int, Trail], theirs: Mapping[int, Trail],
) -> list[Verdict]:  # fmt: skip
    """Training minus held-out accuracy where arms are compared, and at the end."""
    seeds = sorted(set(mine) & set(theirs))
    ends = [{s: arm[s].train[-1] - arm[s].inside[-1] for s in seeds} for arm in (mine, theirs)]
    last = pd.Series(ends[0], dtype=float) - pd.Series(ends[1], dtype=float)
    rows = []
    for theta, what in (
        (found["more"], "training minus held-out accuracy at the same place, vapo minus grpo"),
        (last, "training minus held-out accuracy after the last step, vapo minus grpo"),
    ):
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
        drawings["accuracy_at_equal_skill"] = generalization_figures.skill(skill, heights_of(tables))
    return drawings


def heights_of(tables: Tables) -> dict[str, float]:
    """Held-out accuracy at which the question compares, by world; the lowest where none is common."""
    found = {}
    for world in ARMS:
        mine, theirs = (trails(tables, world, recipe) for recipe in ("vapo", "grpo"))
        found[world] = common_height(mine, theirs, HEIGHTS[world]) or HEIGHTS[world][0]
    return found


def transfer_points(tables: Tables) -> pd.DataFrame:
    """Differences by world, split, what and seed, where the probe measured them."""
    parts = []
    cells = {"chain": UNSEEN, "chain, filler": FILLED, "chain, glimpsed": CHAIN, "chain, short": SHORT, "walk": HAZARDS}
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
    for world in ARMS:
        for recipe in ("vapo", "grpo", "dapo"):
            for seed, trail in trails(tables, world, recipe).items():
                for height in np.arange(0.0, 1.0, 0.05).round(2):
                    found = trail.at(height)
                    if found:
                        rows.append((world, recipe, seed, height, float(found.outside)))
    return pd.DataFrame(rows, columns=["world", "recipe", "seed", "inside", "outside"])
