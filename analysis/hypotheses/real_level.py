"""Preset real: paired differences between arms of a pretrained checkpoint. Secondary rows of every study, at level real_lm.

Few seeds on one model and one task: these rows show whether a checkpoint tells the same story, and decide nothing.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.plots.drawing import INK, Drawing, canvas
from analysis.tables.rows import Wanted, at_step, ends, full_vapo, having, series
from analysis.tables.schema import COMPONENTS, Tables
from analysis.verdict.decisions import Verdict
from analysis.verdict.estimates import Estimand, secondary_row
from analysis.verdict.questions import Question, level_of

Value = Callable[[Tables, pd.DataFrame], np.ndarray]
"""[N] a number per run."""

ALPHA = {"settings.alpha": 0.05}
FIXED = full_vapo("length_adaptive_gae") | {"settings.fixed_lambda": 0.95}
FULL = full_vapo() | ALPHA
DISTURBED = FIXED | {"variants": "values=state_error"}
BY_STEP = full_vapo("length_adaptive_gae") | {"variants": "credit=step_level"}
TRIO = ("clip_higher", "positive_lm_loss", "group_sampling")
PAIR = ("value_pretraining", "length_adaptive_gae")


class Contrast(NamedTuple):
    """One row: the weighted sum of a value over arms, on seeds that all of them have."""

    question: str
    what: str
    unit: str
    threshold: float
    value: Value
    arms: tuple[tuple[float, Wanted], ...]


def area(tables: Tables, runs: pd.DataFrame) -> np.ndarray:
    """Area under the curve of held-out accuracy."""
    return runs["auc"].to_numpy(float)


def last(metric: str) -> Value:
    """A metric where it was last logged."""
    return lambda tables, runs: at_step(tables, runs["spec"], metric)


def both_ends(metric: str) -> Value:
    """A metric's mean over the start and the end of a run."""
    return lambda tables, runs: ends(tables, runs, metric).mean(1)


def log_mean(metric: str) -> Value:
    """Log of a metric's mean over the steps at which it was logged."""
    return lambda tables, runs: np.log(series(tables, runs["spec"], metric).mean(axis=1).to_numpy(float))


def curve_area(metric: str) -> Value:
    """A metric's mean over the steps at which it was logged."""
    return lambda tables, runs: series(tables, runs["spec"], metric).mean(axis=1).to_numpy(float)


def learned_by_heart(tables: Tables, runs: pd.DataFrame) -> np.ndarray:
    """Accuracy on training problems less that on held-out ones, at the end."""
    return last("reward/accuracy")(tables, runs) - last("val/pass_at_1")(tables, runs)


def unlike(tables: Tables, runs: pd.DataFrame) -> np.ndarray:
    """The critic's unexplained share on held-out problems less that on training problems, at the end."""
    return last("value_error/fvu_held_out")(tables, runs) - last("value_error/fvu_train")(tables, runs)


def recipe(name: str) -> Wanted:
    """Rows of a recipe as it is."""
    return {"recipe": name}


def corners(tables: Tables, runs: pd.DataFrame) -> np.ndarray:
    """Half of the area: of four corners these make the interaction."""
    return area(tables, runs) / 2


CONTRASTS: tuple[Contrast, ...] = (
    *(
        Contrast(name, f"area under the curve, full VAPO minus VAPO without {name}", "AUC", 0.02, area,
                 ((1, FULL), (-1, full_vapo(name) | ALPHA)))
        for name in COMPONENTS
    ),
    Contrast("h1a", "FVU of full VAPO's critic on held-out problems, mean of start and end; no floor taken off",
             "share of Var(V)", 0.1, both_ends("value_error/fvu_held_out"), ((1, FULL),)),
    Contrast("h1b", "area under the curve at lambda 0.95, without an error in the values minus with one of sd 0.2", "AUC",
             0.02, area, ((1, FIXED), (-1, DISTURBED))),
    Contrast("h2b", "area under the curve, constant lambda 0.95 minus alpha 0.05", "AUC", 0.02, area,
             ((1, FIXED), (-1, FULL))),
    Contrast("h2b", "area under the curve, alpha 0.05 minus alpha 0.0125", "AUC", 0.02, area,
             ((1, FULL), (-1, full_vapo() | {"settings.alpha": 0.0125}))),
    Contrast("h2b", "area under the curve, alpha 0.05 minus alpha 0.2", "AUC", 0.02, area,
             ((1, FULL), (-1, full_vapo() | {"settings.alpha": 0.2}))),
    Contrast("h3b", "area under the curve, token mean minus sequence mean", "AUC", 0.02, area,
             ((1, FULL), (-1, full_vapo("token_level_loss") | ALPHA))),
    Contrast("h3c", "log of KL(old || new) per token and update, sequence mean over token mean", "nats", 0.18,
             log_mean("actor/ppo_kl"), ((1, full_vapo("token_level_loss") | ALPHA), (-1, FULL))),
    Contrast("h4a", "mean pass@8 along the run, all three components minus none", "share", 0.02,
             curve_area("val/pass_at_8"), ((1, FULL), (-1, full_vapo(*TRIO) | ALPHA))),
    Contrast("h4b", "entropy at the end, with the positive-example loss minus without", "nats/token", 0.05,
             last("actor/entropy"), ((1, FULL), (-1, full_vapo("positive_lm_loss") | ALPHA))),
    Contrast("h5a", "FVU of full VAPO's critic at the end, held-out minus training problems", "share of Var(V)", 0.1, unlike,
             ((1, FULL),)),
    *(
        Contrast("h5b", f"accuracy on training minus held-out problems at the end, {name} minus vapo", "accuracy", 0.03,
                 learned_by_heart, ((1, recipe(name)), (-1, FULL)))
        for name in ("grpo", "dapo")
    ),
    Contrast("h6b", "minus the interaction value_pretraining x length_adaptive_gae, the other five on", "AUC", 0.02, corners,
             ((-1, FULL), (1, full_vapo(PAIR[0]) | ALPHA), (1, full_vapo(PAIR[1]) | ALPHA), (-1, full_vapo(*PAIR) | ALPHA))),
    Contrast("h7b", "area under the curve, credit to lines minus credit to tokens at one horizon", "AUC", 0.02, area,
             ((1, BY_STEP), (-1, FIXED))),
)  # fmt: skip
"""In the order of their questions."""


def score(tables: Tables, questions: dict[str, Question], preset: str) -> list[Verdict]:
    """A row per contrast that has seeds; none is primary."""
    rows = []
    for contrast in CONTRASTS:
        theta = by_seed(tables, contrast) if contrast.question in questions else pd.Series(dtype=float)
        if len(theta):
            estimand = Estimand(contrast.what, contrast.unit, contrast.threshold)
            rows += secondary_row(questions[contrast.question], "real_lm", theta, preset, estimand)
    return rows


def by_seed(tables: Tables, contrast: Contrast) -> pd.Series:
    """The contrast on every seed that all its arms have, of rows of a checkpoint."""
    real = [level_of(*row) == "real_lm" for row in zip(tables.runs["world"], tables.runs["base"], strict=True)]
    runs, parts = tables.runs[np.array(real, bool)], []
    for weight, wanted in contrast.arms:
        arm = having(runs, wanted).drop_duplicates("seed")
        parts.append(pd.Series(weight * contrast.value(tables, arm), index=arm["seed"].to_numpy()))
    return pd.concat(parts, axis=1).dropna().sum(axis=1)


def figures(tables: Tables, questions: dict[str, Question]) -> dict[str, Drawing]:
    """All of the study's contrasts with their 95 % intervals, in units of their thresholds."""
    found = score(tables, questions, "real")
    if not found:
        return {}
    with canvas(6.4, 0.4 * len(found) + 1.0) as figure:
        axes = figure.subplots()
        _forest(axes, found)
    numbers = pd.DataFrame([{"question": v.question, "what": v.estimand, "estimate": v.effect, "low": v.low, "high": v.high,
                             "unit": v.unit, "threshold": v.threshold, "seeds": v.seeds} for v in found])  # fmt: skip
    return {
        "real": Drawing(figure, numbers, f"{len(found)} differences between arms of a checkpoint, with 95 % intervals")
    }


def _forest(axes: Axes, found: list[Verdict]) -> None:
    for at, row in enumerate(found):
        axes.plot([row.low / row.threshold, row.high / row.threshold], [at, at], color=INK, linewidth=1.4)
        axes.plot([row.effect / row.threshold], [at], "o", color=INK, markersize=4)
    for x in (-1, 0, 1):
        axes.axvline(x, color=INK, linewidth=0.7, linestyle="-" if x == 0 else (0, (4, 2)))
    axes.set_yticks(range(len(found)), [f"{row.question}: {row.estimand}" for row in found], fontsize=6, wrap=True)
    axes.invert_yaxis()
    axes.set_xlabel("estimate over its threshold")
