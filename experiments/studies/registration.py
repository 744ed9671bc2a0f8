"""Check of pre-registration: at the commit of every row, its question was declared as it stands now."""

import ast
import subprocess
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path

import pandas as pd

from analysis.verdict.questions import level_of
from experiments.runs.source import DIRTY

ROOT = Path(__file__).parents[2]

PLACES = ("experiments/studies/{stem}/questions.py", "experiments/studies/{stem}.py")
"""Where a study's questions are declared, and where they were before."""


def declarations(source: str) -> dict[str, ast.expr]:
    """Question id -> its declaration, from QUESTIONS of a study's file; {} if it declares none."""
    for node in ast.parse(source).body:
        if not isinstance(node, ast.AnnAssign) or ast.unparse(node.target) != "QUESTIONS":
            continue
        if isinstance(node.value, ast.Dict):
            return {
                ast.literal_eval(key): value
                for key, value in zip(node.value.keys, node.value.values, strict=True)
                if key
            }
    return {}


def commits_by_level(runs: pd.DataFrame) -> dict[str, set[str]]:
    """Level of evidence -> commits that made rows of it, from columns world, base and git_commit of runs.csv."""
    found: dict[str, set[str]] = {}
    for world, base, commit in (
        runs[["world", "base", "git_commit"]].fillna("").drop_duplicates().itertuples(index=False)
    ):
        found.setdefault(level_of(world, base), set()).add(commit)
    return found


def registration_violations(stem: str, commits: Mapping[str, Collection[str]], root: Path = ROOT) -> list[str]:
    """One line for every question and commit whose rows were made under another declaration of that question.

    A question is judged by rows of its primary level, so only their commits count; layout and comments may change. So may the
    wording, where the present definition repeats the former estimand and prediction word for word and all else is the same.

    Args:
        stem: full name of the study that judges the rows.
        commits: level of evidence -> commits of its rows.
        root: the checkout.
    """
    now = declarations((root / PLACES[0].format(stem=stem)).read_text(encoding="utf-8"))
    return [
        f"{name}: rows made at commit {commit or 'unknown'}, {why}"
        for name, question in now.items()
        for commit in sorted(commits.get(_primary(question), ()))
        if (why := _objection(_declared_at(commit, stem, root), name, question))
    ]


def _primary(question: ast.expr) -> str:
    """The level of evidence that decides a question, as it is declared."""
    keywords = question.keywords if isinstance(question, ast.Call) else []
    return next(str(ast.literal_eval(word.value)) for word in keywords if word.arg == "primary")


def _objection(then: Mapping[str, ast.expr], name: str, now: ast.expr) -> str:
    if name not in then:
        return "which did not declare this question: its prediction came later"
    same = ast.dump(then[name]) == ast.dump(now) or _reworded(then[name], now)
    return "" if same else "where this question was declared differently"


WORDS = ("question", "estimand", "prediction", "definition")
"""Parts of a declaration that are told in words alone."""


def _reworded(then: ast.expr, now: ast.expr) -> bool:
    """Whether only words changed, and the definition still repeats the estimand and the prediction that were declared."""
    if not (isinstance(then, ast.Call) and isinstance(now, ast.Call)):
        return False
    before, after = ({word.arg: ast.dump(word.value) for word in call.keywords} for call in (then, now))
    decides = [{name: part for name, part in parts.items() if name not in WORDS} for parts in (before, after)]
    repeated = _text(now, "definition")
    former = [_text(then, name) for name in ("estimand", "prediction")]
    return decides[0] == decides[1] and all(part and part in repeated for part in former)


def _text(question: ast.Call, name: str) -> str:
    """A part of a declaration that is a text; "" if it has none."""
    found = [
        word.value.value for word in question.keywords if word.arg == name and isinstance(word.value, ast.Constant)
    ]
    return str(found[0]) if found else ""


@cache
def _declared_at(commit: str, stem: str, root: Path) -> Mapping[str, ast.expr]:
    """The study's declarations at a commit, {} if there were none."""
    for place in PLACES if commit else ():
        at = commit.removesuffix(DIRTY)  # how a row was made may be unclear, not what was committed
        command = ["git", "-C", str(root), "show", f"{at}:{place.format(stem=stem)}"]
        shown = subprocess.run(command, capture_output=True, text=True, check=False)
        if shown.returncode == 0:
            return declarations(shown.stdout)
    return {}
