"""Limitation 6: which updates lower J, which components interact, and which combinations fail."""

import numpy as np
import pandas as pd

from analysis.ablations.aliasing import aliases
from analysis.ablations.factorial import Factorial, detect, logit, per_seed
from analysis.ablations.factorial import effects as effects_of
from analysis.ablations.factorial_view import effects_figure
from analysis.hypotheses.h6_interactions import exact as exact_h6
from analysis.hypotheses.h6_interactions import figures as interaction_figures
from analysis.hypotheses.h6_interactions.tables import (
    FALLS,
    Updates,
    by_seed,
    large_updates,
    phi,
    share_interval,
    shortfall,
)
from analysis.plots.drawing import Drawing
from analysis.statistics.intervals import student
from analysis.statistics.jackknife import jackknife
from analysis.tables.rows import full_vapo, having, series
from analysis.tables.schema import COMPONENTS, Tables
from analysis.verdict.decisions import CORRECTED, Verdict, verdict
from analysis.verdict.estimates import Estimand, by_interval, secondary_row
from analysis.verdict.questions import Question

SLOPE = 0.2
"""Distance of a slope from 1 that matters: METHODS.md asks for one below 0.8."""
LATE = 0.95
"""J from which on a run is near convergence."""

PAIR, OTHER_PAIR = "AB", "BC"
"""value_pretraining x decoupled_gae, and decoupled_gae x length_adaptive_gae, which differs from 0 by construction."""
BIASED, FRESH = {"settings.critic_bias": 1.0}, {"settings.critic_bias": 0.0}
HALF = 0.5
"""Share of full VAPO's score below which a combination has failed."""


def score(tables: Tables, questions: dict[str, Question], preset: str) -> list[Verdict]:
    """Both questions."""
    return [*h6a(tables, questions["h6a"], preset), *h6b(tables, questions["h6b"], preset)]


# --- h6a: updates ---


def h6a(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """Share of large updates that lower J; where J is high; slopes, split and bound; sampled updates; text; exact level."""
    updates, rows = of_vapo(tables), []
    if len(updates.seed):
        falls, seeds = updates.delta_j < FALLS, len(set(updates.seed))
        tested = float(updates.tv.mean()) >= question.floor.least
        rows.append(
            by_interval(question, "walk", lambda wide: share_interval(updates.seed, falls, wide), seeds, preset, tested)
        )
        for what, (theta, unit, threshold) in beside(updates).items():
            rows += secondary_row(question, "walk", theta, preset, Estimand(what, unit, threshold))
    return [*rows, *_on_text(tables, question, preset), *exact_h6.h6a(tables, question, preset)]


def of_vapo(tables: Tables) -> Updates:
    """Updates of full VAPO on the walk."""
    runs = having(tables.runs, {"world": "walk", **full_vapo(), **FRESH})
    measured = series(tables, runs["spec"], "large_update/delta_j").notna().any(axis=1).to_numpy(bool)
    return large_updates(tables, runs[measured].drop_duplicates("seed"))


def beside(updates: Updates) -> dict[str, tuple[pd.Series, str, float]]:
    """What a row says -> theta by seed, unit, and the size that matters."""
    late = updates.j > LATE
    share = "share of updates"
    bound = np.maximum(updates.bound_clip, 1e-12)
    return {
        f"the same among updates from a J above {LATE:g}": (
            by_seed(updates.seed[late], updates.delta_j[late] < FALLS), share, 0.05,
        ),
        "share of sampled updates that lower J": (by_seed(updates.seed, updates.sampled_down), share, 0.05),
        "what Phi(-signal / noise) gives for sampled updates": (by_seed(updates.seed, phi(updates)), share, 0.05),
        "1 - slope of Delta J on what the recipe's objective promises": (
            shortfall(updates, updates.predicted, updates.predicted_se), "slope", SLOPE,
        ),
        "1 - slope of Delta J on the surrogate of true advantages": (shortfall(updates, updates.surrogate), "slope", SLOPE),
        "mean of surrogate - promise: critic bias, lambda, reduction, clip, extra losses": (
            by_seed(updates.seed, updates.objective_gap), "reward", 0.01,
        ),
        "mean of Delta J - surrogate: the shift that R8 bounds": (by_seed(updates.seed, updates.shift), "reward", 0.01),
        "|shift| as a share of R8's bound, mean": (
            by_seed(updates.seed, np.abs(updates.shift) / bound), "share of the bound", 0.5,
        ),
        "share of updates whose bound exceeds 1": (by_seed(updates.seed, updates.bound_clip > 1), share, 0.5),
    }  # fmt: skip


def _on_text(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """1 - gain over promise of sampled updates, over tasks and steps; signs are not read off noisy changes of J."""
    runs = having(tables.runs, {"world": "lm", **full_vapo(), **FRESH})
    gain, promise = (series(tables, runs["spec"], f"improvement/{name}") for name in ("delta_j", "predicted"))
    known = (gain.notna() & promise.notna()).to_numpy(bool)
    if not known.any():
        return []
    sums = pd.DataFrame(
        {name: np.where(known, wide, 0).sum(1) for name, wide in (("gain", gain), ("promise", promise))}
    )
    total = sums.groupby(runs["seed"].to_numpy()).sum()
    total = total[total["promise"] != 0]
    what = "1 - change of J over what the recipe's objective promises, sampled updates, both tasks"

    def lost(rows: np.ndarray) -> float:
        part = total.iloc[rows].sum()
        return float(1 - part["gain"] / part["promise"])

    return [
        by_interval(
            question, "tiny_lm", lambda wide: jackknife(lost, np.arange(len(total)), wide), len(total), preset,
            estimand=Estimand(what, "share of the promise", SLOPE),
        )
    ]  # fmt: skip


# --- h6b: interactions ---


def h6b(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """Minus the interaction from a biased critic; on log-odds; from a fresh critic; on text; failing combinations."""
    rows, found = [], factorial(tables, "walk", BIASED)
    if found is not None and len(found.seeds) and not aliases(PAIR, found.words):
        rows.append(_decided(tables, found, question, preset))
        theta = -per_seed(logit(found.scores), found.points, PAIR)
        rows += secondary_row(
            question, "walk", theta, preset, Estimand("the same on log-odds of the area", "log-odds", 0.1)
        )
        theta = per_seed(found.scores, found.points, OTHER_PAIR)
        rows += secondary_row(question, "walk", theta, preset, "the interaction decoupled_gae x length_adaptive_gae")
        what = "share of combinations below half of full VAPO's area, biased critic"
        rows += secondary_row(question, "walk", failing(found), preset, Estimand(what, "share of combinations", 0.05))
    fresh = factorial(tables, "walk", FRESH)
    if fresh is not None and len(fresh.seeds):
        theta = -per_seed(fresh.scores, fresh.points, PAIR)
        rows += secondary_row(question, "walk", theta, preset, "the same from a fresh critic (critic_bias = 0)")
        what = "share of combinations below half of full VAPO's area, fresh critic"
        rows += secondary_row(question, "walk", failing(fresh), preset, Estimand(what, "share of combinations", 0.05))
    return rows + _interaction_on_text(tables, question, preset)


def factorial(tables: Tables, world: str, start: dict[str, float]) -> Factorial | None:
    """The factorial of a world from one kind of critic, or None."""
    return detect(having(tables.runs, {"world": world, "recipe": "vapo", "variants": "", **start}))


def _decided(tables: Tables, found: Factorial, question: Question, preset: str) -> Verdict:
    """The primary row: nothing is decided unless the sign on log-odds agrees; opposite bounds there make it conditional."""
    runs = having(tables.runs, {"world": "walk", "recipe": "vapo", "variants": "", **BIASED})
    mse = runs.groupby("value_pretraining")["activity_value_pretraining"].mean()
    tested = float(mse.get(False, 0.0) - mse.get(True, 0.0)) >= question.floor.least
    row = verdict(question, "walk", -per_seed(found.scores, found.points, PAIR), preset, tested)
    odds = student(-per_seed(logit(found.scores), found.points, PAIR), CORRECTED)
    against = odds.estimate * row.effect < 0
    beyond = against and odds.low * odds.high > 0
    decided = row.decision in ("supported", "refuted_opposite")
    decision = row.decision if not decided or not against else "conditional" if beyond else "undecided"
    strata = {"log-odds": {"effect": odds.estimate, "low": odds.low, "high": odds.high, "decision": None}}
    return row._replace(decision=decision, strata={**strata, **row.strata})


def failing(found: Factorial) -> np.ndarray:
    """[S] share of combinations whose score is below half of full VAPO's."""
    full = found.scores[:, (found.points > 0).all(1)]
    return (found.scores < HALF * full).mean(1)


def _interaction_on_text(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """Minus the interaction on text: over a fraction of all combinations, or with the other five components on."""
    found = factorial(tables, "lm", BIASED)
    if found is not None and len(found.seeds) and not aliases(PAIR, found.words):
        theta = -per_seed(found.scores, found.points, PAIR)
        return secondary_row(
            question, "tiny_lm", theta, preset, "the same on text_walk, over all settings of the other five"
        )
    runs = having(tables.runs, {"world": "lm", "recipe": "vapo", "variants": "", **BIASED})
    runs = having(runs, dict.fromkeys(COMPONENTS[2:], True))
    if not len(runs):
        return []
    wide = runs.pivot_table(index="seed", columns=list(COMPONENTS[:2]), values="auc", aggfunc="first").dropna()
    if wide.shape[1] < 4:
        return []
    corners = -(wide[True, True] + wide[False, False] - wide[True, False] - wide[False, True]) / 2
    return secondary_row(question, "tiny_lm", corners, preset, "the same on text_walk, the other five components on")


# --- pictures ---


def figures(tables: Tables, questions: dict[str, Question]) -> dict[str, Drawing]:
    """What there are rows for."""
    drawings, updates = exact_h6.figures(tables), of_vapo(tables)
    if len(updates.seed):
        drawings["promise"] = interaction_figures.promise(updates)
        drawings["falls"] = interaction_figures.falls(updates, questions["h6a"].threshold)
    starts = {"biased": factorial(tables, "walk", BIASED), "fresh": factorial(tables, "walk", FRESH)}
    known = {name: found for name, found in starts.items() if found is not None and len(found.seeds)}
    for name, found in known.items():
        drawings[f"effects_{name}"] = effects_figure(effects_of(found))
        drawings[f"combinations_{name}"] = interaction_figures.combinations(found, HALF)
    if any(not found.words for found in known.values()):
        drawings["shapley"] = interaction_figures.shares(known)
    return drawings
