"""Limitation 6: how much of their gain updates lose again, and which components interact."""

from functools import partial

import numpy as np
import pandas as pd

from analysis.ablations.factorial import EDGE, logit, per_seed
from analysis.ablations.factorial import effects as effects_of
from analysis.ablations.factorial_view import effects_figure
from analysis.hypotheses.components import complementarity
from analysis.hypotheses.components.cells import Cells, factorial
from analysis.hypotheses.h6_interactions import exact as exact_h6
from analysis.hypotheses.h6_interactions import figures as interaction_figures
from analysis.hypotheses.h6_interactions.tables import (
    BANDS,
    FALLS,
    Updates,
    by_seed,
    given_back_interval,
    large_updates,
    phi,
    shortfall,
)
from analysis.plots.drawing import Drawing
from analysis.statistics.intervals import student
from analysis.statistics.jackknife import jackknife
from analysis.tables.regimes import GRID, LONGEST, SHORTEST, TEXT, Regime, of_length, rows
from analysis.tables.rows import full_vapo, having, series
from analysis.tables.schema import Tables
from analysis.verdict.activity import with_activity
from analysis.verdict.decisions import CORRECTED, Verdict, verdict
from analysis.verdict.estimates import Estimand, by_interval, secondary_row
from analysis.verdict.lengths import with_lengths
from analysis.verdict.questions import Question

SLOPE = 0.2
"""Distance of a slope from 1 that matters: METHODS.md asks for one below 0.8."""

UPDATES: Regime = next(regime for regime in GRID if regime.name == "32 decisions, 128 responses, outcome critic")
"""The regime of h6a's updates."""

PAIR = ("value_pretraining", "length_adaptive_gae")
OTHERS: dict[str, tuple[str, str]] = {
    "value_pretraining x decoupled_gae": ("value_pretraining", "decoupled_gae"),
    "decoupled_gae x length_adaptive_gae (nonzero by construction)": ("decoupled_gae", "length_adaptive_gae"),
}
"""Shown beside the pair that is asked for."""
HALF = 0.5
"""Share of full VAPO's score below which a combination has failed."""


def score(tables: Tables, questions: dict[str, Question], preset: str) -> list[Verdict]:
    """Both questions."""
    return [*h6a(tables, questions["h6a"], preset), *h6b(tables, questions["h6b"], preset)]


# --- h6a: updates ---


def h6a(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """Loss over gain of large updates by band of J; how many fall; slopes, split and bound; sampled updates; text; exact."""
    runs = _measured(tables)
    updates, found = large_updates(tables, runs), []
    if len(updates.seed):
        seeds, moved = len(set(updates.seed)), float(updates.tv.mean())
        statistic = partial(given_back_interval, updates, BANDS)
        found += with_activity(
            [by_interval(question, "walk", statistic, seeds, preset, moved >= question.floor.least)], moved
        )
        for band in BANDS:
            what = Estimand(f"the same for updates from J between {band[0]:g} and {band[1]:g} alone")
            alone = partial(given_back_interval, updates, (band,))
            found.append(by_interval(question, "walk", alone, seeds, preset, estimand=what))
        for text, (theta, unit, threshold) in beside(updates).items():
            found += secondary_row(question, "walk", theta, preset, Estimand(text, unit, threshold))
    return [
        *with_lengths(found, runs),
        *_on_text(tables, question, preset),
        *exact_h6.h6a(tables, question, preset),
    ]


def _measured(tables: Tables) -> pd.DataFrame:
    """Runs of full VAPO on the walk with large updates."""
    runs = having(rows(tables.runs, UPDATES), {**full_vapo(), "settings.fixed_lambda": 0.95})
    measured = series(tables, runs["spec"], "large_update/delta_j").notna().any(axis=1).to_numpy(bool)
    return runs[measured].drop_duplicates("seed")


def beside(updates: Updates) -> dict[str, tuple[pd.Series, str, float]]:
    """What a row says -> theta by seed, unit, and the size that matters."""
    share, bound = "share of updates", np.maximum(updates.bound_clip, 1e-12)
    return {
        "share of updates that lower J by more than 1e-6, however little": (
            by_seed(updates.seed, updates.delta_j < FALLS), share, 0.05,
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
    runs = having(tables.runs, {"world": "lm", **full_vapo(), "settings.critic_bias": 0.0})
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

    def lost(chosen: np.ndarray) -> float:
        part = total.iloc[chosen].sum()
        return float(1 - part["gain"] / part["promise"])

    row = by_interval(
        question, "tiny_lm", lambda wide: jackknife(lost, np.arange(len(total)), wide), len(total), preset,
        estimand=Estimand(what, "share of the promise", SLOPE),
    )  # fmt: skip
    return with_lengths([row], runs.loc[np.asarray(known.any(1), bool)])


# --- h6b: interactions ---


def h6b(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """The interaction at the longest answers; on log-odds, at other lengths and on text; other pairs; the ratio; failures."""
    found, longest, cells = [], of_length(LONGEST), Cells(tables.runs)
    pair = corners(cells, longest, *PAIR)
    if len(pair):
        found.append(_decided(tables, pair, question, preset))
        odds = Estimand("the same on log-odds of the area", "log-odds", 0.25)
        found += secondary_row(question, "walk", -interaction(pair, odds=True), preset, odds)
    for tokens in sorted({regime.length.tokens for regime in GRID} - {LONGEST}):
        theta = -interaction(corners(cells, of_length(tokens), *PAIR))
        found += secondary_row(question, "walk", theta, preset, f"the same at about {tokens} decisions")
    for name, names in OTHERS.items():
        theta = -interaction(corners(cells, longest, *names))
        text = f"minus the interaction {name}, about {LONGEST} decisions"
        found += secondary_row(question, "walk", theta, preset, text)
    found = with_lengths(found, _runs_of(tables, longest))
    found += [*_ratio(tables, cells, question, preset), *_fractions(tables, question, preset)]
    theta = -interaction(corners(cells, TEXT, *PAIR))
    on_text = secondary_row(question, "tiny_lm", theta, preset, "the same on text, mean of its lengths")
    return found + with_lengths(on_text, _runs_of(tables, TEXT))


def corners(cells: Cells, regimes: tuple[Regime, ...], a: str, b: str) -> pd.DataFrame:
    """[S, 4 R] AUC of (a, b) = on on, off on, on off, off off in every regime that has all four, of seeds that have all."""
    labels = ["vapo", f"vapo without {a}", f"vapo without {b}", f"vapo without {a} without {b}"]
    wide = {
        (regime.name, number): cells.arm(regime, label)["auc"]
        for regime in regimes
        for number, label in enumerate(labels)
    }
    complete = [regime.name for regime in regimes if all(len(wide[regime.name, number]) for number in range(4))]
    kept = {key: column for key, column in wide.items() if key[0] in complete}
    return pd.concat(kept, axis=1).dropna() if kept else pd.DataFrame()


def interaction(cells: pd.DataFrame, odds: bool = False) -> pd.Series:
    """[S] the AB/2 contrast of `corners`, mean over regimes, on AUC or on log-odds of it."""
    if not len(cells):
        return pd.Series(dtype=float)
    scores = pd.DataFrame(logit(cells.to_numpy(float)), cells.index, cells.columns) if odds else cells
    both, only_b, only_a, none = (scores.xs(number, axis=1, level=1).to_numpy(float) for number in range(4))
    return pd.Series(((both - only_b - only_a + none) / 2).mean(axis=1), index=cells.index)


def _decided(tables: Tables, cells: pd.DataFrame, question: Question, preset: str) -> Verdict:
    """The primary row: nothing is decided unless the sign on log-odds agrees; opposite bounds there make it conditional."""
    full = having(_runs_of(tables, of_length(LONGEST)), {"arm": "vapo"})
    distance = float(full["activity_length_adaptive_gae"].mean())
    row = verdict(question, "walk", -interaction(cells), preset, distance >= question.floor.least)
    odds = student(-interaction(cells, odds=True), CORRECTED)
    against = odds.estimate * row.effect < 0
    beyond = against and odds.low * odds.high > 0
    decided = row.decision in ("supported", "refuted_opposite")
    decision = row.decision if not decided or not against else "conditional" if beyond else "undecided"
    strata = {"log-odds": {"effect": odds.estimate, "low": odds.low, "high": odds.high, "decision": None}}
    return row._replace(decision=decision, strata={**strata, **row.strata}, activity=distance)


def _runs_of(tables: Tables, regimes: tuple[Regime, ...]) -> pd.DataFrame:
    """Rows of the pair's four arms in some regimes."""
    a, b = PAIR
    labels = ("vapo", f"vapo without {a}", f"vapo without {b}", f"vapo without {a} without {b}")
    parts = [having(rows(tables.runs, regime), {"arm": labels}) for regime in regimes]
    return pd.concat(parts) if parts else tables.runs.iloc[:0]


def _ratio(tables: Tables, cells: Cells, question: Question, preset: str) -> list[Verdict]:
    """Sum of the seven losses over VAPO's gain over PPO, over the declared grid; nothing without the nine arms."""
    regimes = [regime for regime in GRID if len(complementarity.parts(cells, [regime]))]
    if not regimes:
        return []
    what = Estimand(
        "losses of the seven removals, added up, over VAPO's gain over PPO: 1 additive, below 1 they stand in for each"
        f" other, above 1 they need each other (VAPO paper: {complementarity.PAPER:.2f}); all regimes of the walk", "ratio", 0.5,
    )  # fmt: skip
    statistic, seeds = partial(complementarity.ratio, cells, regimes), len(complementarity.parts(cells, regimes))
    row = by_interval(question, "walk", statistic, seeds, preset, estimand=what)
    return with_lengths([row], pd.concat([rows(tables.runs, regime) for regime in regimes]))


def _fractions(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """At the shortest answers all 2^7 combinations, at the longest 64: the pair's interaction over all settings of the others,
    and the share of combinations below half of full VAPO."""
    found = []
    for tokens in (SHORTEST, LONGEST):
        design = factorial(tables.runs, tokens)
        if design is None or len(design.seeds) < 2:
            continue
        text = f"the same over all settings of the other five, about {tokens} decisions"
        made = secondary_row(question, "walk", -per_seed(design.scores, design.points, "AC"), preset, text)
        full = design.scores[:, (design.points > 0).all(1)]
        failed = (design.scores < HALF * np.maximum(full, EDGE)).mean(1)
        what = f"share of combinations below half of full VAPO's area, about {tokens} decisions"
        made += secondary_row(question, "walk", failed, preset, Estimand(what, "share of combinations", 0.05))
        found += with_lengths(made, rows(tables.runs, of_length(tokens)[1]))
    return found


# --- pictures ---


def figures(tables: Tables, questions: dict[str, Question]) -> dict[str, Drawing]:
    """What there are rows for."""
    drawings, updates = exact_h6.figures(tables), large_updates(tables, _measured(tables))
    if len(updates.seed):
        drawings["promise"] = interaction_figures.promise(updates)
        drawings["falls"] = interaction_figures.falls(updates, questions["h6a"].threshold)
        drawings["given_back"] = interaction_figures.given_back(updates, BANDS, questions["h6a"].threshold)
    for name, tokens in (("shortest", SHORTEST), ("longest", LONGEST)):
        found = factorial(tables.runs, tokens)
        if found is not None and len(found.seeds):
            drawings[f"effects_{name}"] = effects_figure(effects_of(found))
            drawings[f"combinations_{name}"] = interaction_figures.combinations(found, HALF)
            if not found.words:
                drawings["shapley"] = interaction_figures.shares({name: found})
    return drawings
