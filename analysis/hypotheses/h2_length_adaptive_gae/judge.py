"""Limitation 2, lambda = 1 - 1/(alpha l): the cost of its form against a tuned constant, and sensitivity to alpha."""

from functools import partial

import numpy as np
import pandas as pd

from analysis.hypotheses.components import boundaries
from analysis.hypotheses.h2_length_adaptive_gae import (
    exact as exact_h2,
)
from analysis.hypotheses.h2_length_adaptive_gae import (
    exact_figures as exact_h2_figures,
)
from analysis.hypotheses.h2_length_adaptive_gae import (
    exact_rules,
)
from analysis.hypotheses.h2_length_adaptive_gae import figures as lambda_figures
from analysis.hypotheses.h2_length_adaptive_gae.tables import ALPHAS, Grids, grids, peak, transfer, width
from analysis.plots.drawing import Drawing
from analysis.statistics.intervals import student
from analysis.statistics.jackknife import jackknife
from analysis.statistics.selection import cross_fitted
from analysis.tables.rows import by_seed, full_vapo, having, series
from analysis.tables.schema import Tables
from analysis.verdict import gates
from analysis.verdict.activity import with_activity
from analysis.verdict.decisions import Verdict, verdict
from analysis.verdict.estimates import Estimand, by_interval, secondary_row
from analysis.verdict.lengths import with_lengths
from analysis.verdict.questions import Question

RING = {
    "world": "walk", "dials.size": 64, "dials.horizon": 160, "dials.skill": 1.2, "dials.trap_prior": -1.0,
    "dials.trap_reward": 0.0,
}  # fmt: skip
MAP_RING = {"world": "walk", "dials.size": 32, "dials.horizon": 64, "dials.trap_reward": 0.0, "dials.trap_prior": 0.0}
REGIMES = {"mixed": (8, 64), "short": (8, 16), "long": (32, 64)}
COARSE = (0.125, 0.5, 2.0)
"""Alphas at which other rules that take one are tried."""
OTHERS = {
    "others_length": ("l the mean length of the other answers to the prompt", "horizon=others_length"),
    "equal_first_weight": ("q^(1/(l-1)), q = exp(-1/alpha)", "length_adaptive_gae=equal_first_weight"),
    "error_aware": ("a horizon from the critic's error as the batch shows it, nothing tuned", "horizon=error_aware"),
}
FILLER_RING = {**MAP_RING, "dials.nearest": 2, "dials.farthest": 32}
FILLERS = (1, 3, 7)
TEXT_ALPHAS, TEXT_LAMBDAS = (0.125, 0.5, 2.0), (0.5, 0.875, 0.95)
SAMPLES = float(np.log(1.1))
"""A tenth of the samples."""
LEARNING = 10
"""RL step at which the best lambda is read: the policy moves and its gradient is distinguishable from 0."""


def score(tables: Tables, questions: dict[str, Question], preset: str) -> list[Verdict]:
    """Both questions."""
    return [*h2a(tables, questions["h2a"], preset), *h2b(tables, questions["h2b"], preset)]


def rng() -> np.random.Generator:
    """Halves of seeds are the same ones in every comparison and at every call."""
    return np.random.default_rng(0)


# --- h2a: the form ---


def h2a(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """The exact level; trained critics, by gradient quality between short and long problems, by advantage error in runs."""
    rows = exact_h2.h2a(tables, question, preset) + exact_rules.r11(tables, question, preset)
    own = {**RING, **full_vapo(), "settings.alpha": 0.5}
    parts = {name: having(tables.runs, {**own, **between(name)}) for name in REGIMES}
    by_quality = _between_regimes(tables, parts["short"], parts["long"])
    what = Estimand(f"1 - beta at the best Q between short and long problems, trained critics, RL step {LEARNING}")
    rows += secondary_row(question, "walk", by_quality, preset, what)
    what = Estimand("1 - beta within runs, lambda of least advantage error by thirds of response length")
    rows += secondary_row(question, "walk", _within_runs(tables, parts["mixed"]), preset, what)
    text = having(tables.runs, {"world": "lm", "task": ("text_walk", "chain"), **full_vapo(), "settings.alpha": 0.5})
    rows += secondary_row(question, "tiny_lm", _within_runs(tables, text), preset, what)
    return rows + secondary_row(
        question,
        "walk",
        _quality_regret(tables, parts["mixed"]),
        preset,
        Estimand(
            f"log Q of the best constant over the best alpha, mixed lengths, RL step {LEARNING}", "log quality", SAMPLES
        ),
    )


def between(regime: str) -> dict[str, float]:
    """Dials of a regime."""
    shortest, longest = REGIMES[regime]
    return {"dials.nearest": shortest, "dials.farthest": longest, "dials.filler": 0}


def _profile(tables: Tables, runs: pd.DataFrame, name: str, step: int) -> pd.Series:
    """A number of probe lambda_profile by seed, nan where it was not measured."""
    wide = series(tables, runs["spec"], f"lambda_profile/{name}")
    values = wide[step].to_numpy(float) if step in wide else np.full(len(runs), np.nan)
    return pd.Series(values, index=runs["seed"].to_numpy(), dtype=float)


def _length(tables: Tables, runs: pd.DataFrame, step: int) -> pd.Series:
    """Mean length of the response that a token is in, by seed."""
    thirds = [_profile(tables, runs, f"length_{name}", step) for name in ("short", "middle", "long")]
    return pd.concat(thirds, axis=1).mean(axis=1)


def _between_regimes(tables: Tables, short: pd.DataFrame, long: pd.DataFrame) -> np.ndarray:
    """[S] 1 - d log h* / d log l."""
    h = [np.log(_profile(tables, part, "horizon_quality", LEARNING)) for part in (short, long)]
    length = [np.log(_length(tables, part, LEARNING)) for part in (short, long)]
    return (1 - (h[1] - h[0]) / (length[1] - length[0])).dropna().to_numpy()


def _within_runs(tables: Tables, runs: pd.DataFrame) -> np.ndarray:
    """[S] 1 - slope over thirds of tokens by length, mean of the runs and the measurements of a seed."""
    horizon, length = (
        [series(tables, runs["spec"], f"lambda_profile/{kind}_{third}") for third in ("short", "middle", "long")]
        for kind in ("horizon", "length")
    )
    steps = horizon[0].columns
    if not len(steps):
        return np.empty(0)
    y, x = (np.log(np.stack([f.reindex(columns=steps).to_numpy(float) for f in kind])) for kind in (horizon, length))
    centred = x - x.mean(0)
    slopes = (centred * y).sum(0) / (centred**2).sum(0)
    table = pd.DataFrame(slopes, index=runs["seed"].to_numpy()).mean(axis=1).groupby(level=0).mean()
    return (1 - table).dropna().to_numpy()


def _quality_regret(tables: Tables, runs: pd.DataFrame) -> np.ndarray:
    """[S] where both are above 0."""
    found = [_profile(tables, runs, f"quality_{rule}", LEARNING) for rule in ("constant", "adaptive")]
    good = (found[0] > 0) & (found[1] > 0)
    return np.log(found[0][good].to_numpy(float) / found[1][good].to_numpy(float))


# --- h2b: alpha ---


def h2b(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """Regret of the best alpha at mixed lengths, behind its gate; short and long ones; width; transfer; other rules; text."""
    tables, gate = gates.split(tables)
    runs = having(tables.runs, RING)
    found = {name: grids(having(runs, between(name))) for name in REGIMES}
    mixed = having(runs, {**between("mixed"), **full_vapo()})
    spread = float(mixed["activity_token_level_loss"].mean()) if len(mixed) else 0.0
    rows = with_activity(_regret(question, found["mixed"], preset, spread >= question.floor.least, None), spread)
    for name, (description, _) in OTHERS.items():
        what = Estimand(f"AUC of {description}, minus VAPO's rule at its best alpha, mixed lengths")
        theta = other_rule(having(runs, between("mixed")), found["mixed"], name)
        rows += secondary_row(question, "walk", theta, preset, what)
    for name, table in found.items():
        apart = Estimand(f"the same, {name} problems alone")
        alone = [] if name == "mixed" else _regret(question, table, preset, True, apart)
        rows = with_lengths(rows + alone + _width(question, table, name, preset), having(runs, between(name)))
    if len(found["mixed"].seeds):
        rows = with_lengths(gates.behind(rows, question, "walk", _gate(gate), preset), having(gate.runs, RING))
    both = pd.concat([having(runs, between(name)) for name in ("short", "long")])
    rows += with_lengths(_along_length(question, runs, found, preset), both)
    rows += _derived(tables, question, preset)
    return [*rows, *_text(tables, question, preset), *exact_h2.h2b(tables, question, preset)]


def _gate(tables: Tables) -> gates.Reading:
    """AUC at the smallest alpha minus that at the largest, mixed lengths, paired by seed."""
    wanted = {**RING, **between("mixed"), **full_vapo(), "settings.alpha": (ALPHAS[0], ALPHAS[-1])}
    wide = by_seed(having(tables.runs, wanted), "settings.alpha").to_numpy(float)
    theta = wide[:, 0] - wide[:, -1] if wide.shape[1:] == (2,) else np.empty(0)
    return gates.read(partial(student, theta), len(theta))


def _derived(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """Length made of filler under a constant lambda, minus the same lambda per decision without filler."""
    runs, rows = having(tables.runs, {**FILLER_RING, **full_vapo("length_adaptive_gae")}), []
    for filler in FILLERS:
        filled = having(runs, {"dials.filler": filler, "settings.fixed_lambda": 0.95})
        plain = having(runs, {"dials.filler": 0, "settings.fixed_lambda": 0.95 ** (1 + filler)})
        scores = [part.groupby("seed")["auc"].first() for part in (filled, plain)]
        theta = (scores[0] - scores[1]).dropna().to_numpy(float)
        claim = f"derived, lambda per decision being 0.95^{1 + filler} in both: AUC with {filler} filler tokens minus without"
        what = Estimand(claim, equivalence=True)
        rows += with_lengths(secondary_row(question, "walk", theta, preset, what), filled)
    return rows


def _regret(question: Question, table: Grids, preset: str, tested: bool, what: Estimand | None) -> list[Verdict]:
    """Best constant minus best alpha, chosen on other seeds; without an estimate where there is one seed."""
    if not len(table.seeds):
        return []
    theta = regret(table)
    if what is None:
        return [verdict(question, "walk", theta, preset, tested)]
    return secondary_row(question, "walk", theta, preset, what)


def regret(table: Grids) -> np.ndarray:
    """[S], or [0] of a single seed, which has no other to choose on."""
    if len(table.seeds) < 2:
        return np.empty(0)
    return cross_fitted(table.constant, rng()).scores - cross_fitted(table.adaptive, rng()).scores


def _width(question: Question, table: Grids, regime: str, preset: str) -> list[Verdict]:
    """Decades of alpha that cost less than the threshold."""
    if len(table.seeds) < 2 or len(table.alphas) < 3:
        return []
    across = np.log10(table.alphas)

    def statistic(rows: np.ndarray) -> float:
        return width(across, table.adaptive[rows].mean(0), question.threshold)

    what = Estimand(f"decades of alpha within {question.threshold:g} AUC of the best, {regime} problems, of {np.ptp(across):.1f}"
                 " tried; below 1 is sensitive", "decades", 1.0)  # fmt: skip
    return [
        by_interval(question, "walk", partial(jackknife, statistic, table.seeds), len(table.seeds), preset, True, what)
    ]


def _along_length(question: Question, runs: pd.DataFrame, found: dict[str, Grids], preset: str) -> list[Verdict]:
    """How the best alpha moves with length, and what it costs to keep the one for short problems."""
    seeds = np.intersect1d(found["short"].seeds, found["long"].seeds)
    short, long = (found[name].among(seeds) for name in ("short", "long"))
    if len(seeds) < 2 or len(short.alphas) < 3 or short.alphas != long.alphas:
        return []
    what = Estimand(
        "AUC lost on long problems by an alpha chosen on short ones, chosen and scored on different seeds", "AUC"
    )
    rows = secondary_row(question, "walk", transfer(short.adaptive, long.adaptive, rng()), preset, what)
    length = [float(having(runs, {**between(name), **full_vapo()})["mean_length"].mean()) for name in ("short", "long")]
    across, span = np.log(short.alphas), np.log(length[1] / length[0])

    def statistic(rows: np.ndarray) -> float:
        best = [peak(across, grid.adaptive[rows].mean(0)) for grid in (short, long)]
        return float((best[0] - best[1]) / span)

    what = Estimand(
        "minus d log alpha* / d log l between short and long problems (R4: 2/3; VAPO's rule: 0)", "slope", 0.25
    )
    return [
        *rows, by_interval(question, "walk", partial(jackknife, statistic, seeds), len(seeds), preset, True, what),
    ]  # fmt: skip


def other_rule(runs: pd.DataFrame, table: Grids, name: str) -> np.ndarray:
    """[S] AUC of another rule, best of its alphas, minus VAPO's rule, best of the same; without alpha, of all; [0] if none."""
    rule = having(runs, {**full_vapo(), "variants": OTHERS[name][1]})
    if not len(rule):
        return np.empty(0)
    wide = by_seed(rule, "settings.alpha")
    seeds = np.intersect1d(wide.index, table.seeds)
    if len(seeds) < 2:
        return np.empty(0)
    same = [i for i, alpha in enumerate(table.alphas) if alpha in COARSE or name == "error_aware"]
    ours = table.among(seeds).adaptive[:, same]
    return cross_fitted(wide.loc[seeds], rng()).scores - cross_fitted(ours, rng()).scores


def _text(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """Three alphas against three constants on text_walk."""
    runs = having(tables.runs, {"world": "lm", "task": "text_walk"})
    theta = regret(grids(runs, TEXT_ALPHAS, TEXT_LAMBDAS))
    what = Estimand("AUC on text_walk, best of three constants minus best of three alphas, chosen on other seeds")
    return with_lengths(secondary_row(question, "tiny_lm", theta, preset, what), runs)


# --- pictures ---


def figures(tables: Tables, questions: dict[str, Question]) -> dict[str, Drawing]:
    """What there are rows for."""
    tables = gates.split(tables).judged
    runs = having(tables.runs, RING)
    found = {name: grids(having(runs, between(name))) for name in REGIMES}
    drawings = exact_h2_figures.figures(tables)
    if any(len(table.seeds) > 1 and table.alphas for table in found.values()):
        drawings["horizons"] = lambda_figures.horizons(found)
    against = {"a constant": regret(found["mixed"])}
    against |= {name: other_rule(having(runs, between("mixed")), found["mixed"], name) for name in OTHERS}
    if any(len(theta) > 1 for theta in against.values()):
        drawings["rules"] = lambda_figures.rules({name: theta for name, theta in against.items() if len(theta) > 1})
    mapped = having(tables.runs, {**MAP_RING, **full_vapo(), "settings.alpha": 0.5})
    mapped = mapped[mapped["dials.nearest"] == mapped["dials.farthest"]] if len(mapped) else mapped
    if len(mapped):
        drawings["map"] = boundaries.figure(
            boundaries.cells(mapped, "dials.nearest", "dials.filler"), "decisions of a shortest right answer",
            "filler tokens after a move",
        )  # fmt: skip
    return drawings
