"""The component study: estimates with intervals and activity, beside the VAPO paper's Table 1; no verdicts."""

from collections.abc import Sequence

from analysis.ablations.factorial import effects
from analysis.ablations.factorial_view import effects_figure
from analysis.hypotheses.components import figures as component_figures
from analysis.hypotheses.components import pathways, picture
from analysis.hypotheses.components.cells import Cells, factorial
from analysis.hypotheses.components.tables import (
    PLACES,
    Pairs,
    activity,
    added,
    best_constant,
    pairs,
    ranks,
    same_prompts,
    table,
)
from analysis.plots.drawing import Drawing
from analysis.tables.regimes import FAILING, LONGEST, SHORTEST, Regime
from analysis.tables.schema import COMPONENTS, Tables
from analysis.verdict.decisions import Decision, Verdict, verdict
from analysis.verdict.estimates import Estimand, secondary_row
from analysis.verdict.lengths import with_lengths
from analysis.verdict.questions import LEVEL_OF, Question

CONSTANTS: tuple[float, ...] = (0.8, 0.95, 0.99, 1.0)
"""Constant lambdas of which the best is the rival of the adaptive rule."""


def score(tables: Tables, questions: dict[str, Question], preset: str) -> list[Verdict]:
    """Rows per component and level: secondary, 95 % intervals; `not_tested` where the component had nothing to do."""
    cells = Cells(tables.runs)
    return [row for name in COMPONENTS for row in effect(cells, questions[name], preset)]


def effect(cells: Cells, question: Question, preset: str) -> list[Verdict]:
    """Worth over the declared grid, at every level that has rows; then collapse, single lengths, added alone, failing regimes."""
    found = []
    for world, regimes in PLACES.items():
        here = pairs(cells, regimes, question.id)
        if not len(here.gain):
            continue
        row = verdict(question, LEVEL_OF[world], here.gain, preset, estimand=question.estimand)
        amount, floor = activity(here, question.id), question.floor
        measured = {"effect": amount, "least": floor.least, "measure": floor.measure}
        decision: Decision | None = None if amount >= floor.least else "not_tested"
        found += with_lengths(
            [row._replace(decision=decision, strata={"activity": measured}, activity=amount)], here.runs
        )
        found += _beside(cells, question, world, regimes, here, preset)
    return found


def _beside(
    cells: Cells, question: Question, world: str, regimes: Sequence[Regime], removals: Pairs, preset: str
) -> list[Verdict]:
    """Secondary rows at one level."""
    level, name = LEVEL_OF[world], question.id
    what = Estimand(f"runs that end below J = 0.1: without {name} minus full VAPO", "share of runs", 0.1)
    found = with_lengths(secondary_row(question, level, removals.collapse, preset, what), removals.runs)
    for tokens in dict.fromkeys(regime.length.tokens for regime in regimes):
        here = pairs(cells, [regime for regime in regimes if regime.length.tokens == tokens], name)
        unit = "decisions" if world == "walk" else "tokens"
        text = f"the same at about {tokens} {unit} alone"
        found += with_lengths(secondary_row(question, level, here.gain, preset, text), here.runs)
    alone = added(cells, regimes, name)
    text = f"added to PPO alone: PPO with {name} minus PPO, where it was run"
    found += with_lengths(secondary_row(question, level, alone.gain, preset, text), alone.runs)
    if world == "walk":
        found += _failing(cells, question, preset)
        found += _controls(cells, question, regimes, removals, preset)
    return found


def _failing(cells: Cells, question: Question, preset: str) -> list[Verdict]:
    """A row per regime in which PPO alone fails; these are in no mean."""
    found = []
    for regime in FAILING:
        here = pairs(cells, [regime], question.id)
        text = f"the same where PPO fails: {regime.name}"
        found += with_lengths(secondary_row(question, "walk", here.gain, preset, text), here.runs)
    return found


def _controls(
    cells: Cells, question: Question, regimes: Sequence[Regime], removals: Pairs, preset: str
) -> list[Verdict]:
    """What else might make the effect: a constant lambda, the number of distinct prompts."""
    controls = {
        "length_adaptive_gae": [
            ("full VAPO minus constant lambda 1", best_constant(cells, regimes, (1.0,))),
            ("full VAPO minus the best of four constant lambdas, chosen on the other half of the seeds",
             best_constant(cells, regimes, CONSTANTS)),
        ],
        "group_sampling": [
            ("the same where both arms train on 16 problems, so that distinct prompts are equal",
             same_prompts(cells, regimes)),
        ],
    }.get(question.id, [])  # fmt: skip
    made = [row for text, theta in controls for row in secondary_row(question, "walk", theta, preset, text)]
    return with_lengths(made, removals.runs)


def figures(tables: Tables, questions: dict[str, Question]) -> dict[str, Drawing]:
    """Worth against length with the complementarity ratio; effects beside the paper's; rank agreement; factorials."""
    cells = Cells(tables.runs)
    drawings, worth = {}, picture.worth(cells)
    if len(worth):
        drawings["length"] = picture.chart(worth)
    found = table(cells, questions)
    if len(found):
        drawings["effects"] = component_figures.effects(found)
    beside = pathways.gains(tables.runs)
    if len(beside):
        drawings["pathways"] = pathways.figure(beside)
    agreed = ranks(found)
    if len(agreed):
        drawings["ranks"] = component_figures.ranks(agreed)
    for called, tokens in (("shortest", SHORTEST), ("longest", LONGEST)):
        design = factorial(tables.runs, tokens)
        if design is not None and len(design.seeds):
            drawings[f"factorial_{called}"] = effects_figure(effects(design))
    return drawings
