"""The component table: estimates with intervals and activity, beside the VAPO paper's Table 1; no verdicts."""

from analysis.ablations.factorial import detect, effects
from analysis.ablations.factorial_view import effects_figure
from analysis.hypotheses.components import figures as component_figures
from analysis.hypotheses.components.tables import WORLDS, pairs, ranks, table
from analysis.plots.drawing import Drawing
from analysis.tables.rows import having
from analysis.tables.schema import COMPONENTS, Tables
from analysis.verdict.decisions import Verdict, verdict
from analysis.verdict.questions import LEVEL_OF, Question


def score(tables: Tables, questions: dict[str, Question], preset: str) -> list[Verdict]:
    """A row per component and level: secondary, 95 % intervals; `not_tested` where the component had nothing to do."""
    return [row for name in COMPONENTS for row in effect(tables, questions[name], preset)]


def effect(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """Full VAPO minus VAPO without the component, at every level that has rows."""
    rows = []
    for world in WORLDS:
        found = pairs(tables, world, question.id)
        if len(found.gain):
            row = verdict(question, LEVEL_OF[world], found.gain, preset, estimand=question.estimand)
            active = found.activity >= question.floor.least
            activity = {"effect": found.activity, "least": question.floor.least, "measure": question.floor.measure}
            rows.append(row._replace(decision=None if active else "not_tested", strata={"activity": activity}))
    return rows


def figures(tables: Tables, questions: dict[str, Question]) -> dict[str, Drawing]:
    """Effects beside the paper's, rank agreement; in full the factorial on the walk."""
    found, drawings = table(tables, questions), {}
    if len(found):
        drawings["effects"] = component_figures.effects(found)
    agreed = ranks(found)
    if len(agreed):
        drawings["ranks"] = component_figures.ranks(agreed)
    whole = detect(having(tables.runs, {"world": "walk", "recipe": "vapo", "variants": ""}))
    if whole is not None and len(whole.seeds):
        drawings["factorial"] = effects_figure(effects(whole))
    return drawings
