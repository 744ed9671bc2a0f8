"""The least a calibrated question needs: what is asked, a judge, and simulated tables. A study keeps them in three files."""

import numpy as np

from analysis.tables.schema import Tables
from analysis.verdict.decisions import Verdict, verdict
from analysis.verdict.questions import Floor, Question
from tests.calibration.planting import frame, tables

QUESTIONS: dict[str, Question] = {
    id: Question(
        id=id,
        question="Does clip_higher raise the score?",
        estimand="AUC of vapo minus vapo without clip_higher, paired by seed",
        unit="AUC",
        prediction="An example predicts what it plants.",
        threshold=0.02,
        primary="walk",
        also=(),
        floor=Floor("share of tokens between the bounds", 0.01),
        equivalence=id == "x9b",
    )
    for id in ("x9a", "x9b")
}

RUNS = frame({"seed": seed, "clip_higher": on} for seed in range(1000, 1032) for on in (True, False))


def x9a(given: Tables, question: Question, preset: str) -> list[Verdict]:
    """One theta per seed."""
    wide = given.runs.pivot(index="seed", columns="clip_higher", values="auc")
    return [verdict(question, "walk", wide[True] - wide[False], preset)]


x9b = x9a


def simulate(theta: float, rng: np.random.Generator) -> Tables:
    """Scores in [0, 1]: a level per seed, a little noise per run, theta between the arms."""
    level = 0.6 + 0.1 * rng.normal(size=32)
    auc = np.repeat(level, 2) + theta * RUNS["clip_higher"].to_numpy() + 0.015 * rng.normal(size=64)
    return tables(RUNS, {"auc": np.clip(auc, 0, 1)})


SIMULATIONS = {"x9a": simulate, "x9b": simulate}
