"""Predictions stand before the runs they judge: the commit of every row already declared the questions as they stand."""

import ast
import subprocess
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[2]


def declaration(source: str) -> str:
    """QUESTIONS of a study's file in a form that layout and comments do not change; "" if it declares none."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "QUESTIONS" and node.value is not None:
            return ast.dump(node.value)
    return ""


def late(stem: str, commits: Iterable[str], root: Path = ROOT) -> list[str]:
    """What is wrong with rows made at these commits: one line for each commit that declared something else, or nothing.

    Args:
        stem: full name of the study that judges the rows.
        commits: as rows record them.
        root: the checkout.
    """
    name = f"experiments/studies/{stem}.py"
    now = declaration((root / name).read_text(encoding="utf-8"))
    found = {commit: _at(commit, name, root) for commit in sorted(set(commits))}
    return [
        f"{stem}: rows made at commit {commit or 'unknown'}, {why}"
        for commit, then in found.items()
        for why in _objection(then, now)
    ]


def _objection(then: str | None, now: str) -> list[str]:
    if then is None:
        return ["which has no such study: its predictions came later"]
    return [] if then == now else ["where QUESTIONS differed from what judges them now"]


def _at(commit: str, name: str, root: Path) -> str | None:
    """The declaration at a commit, None if there was none."""
    if not commit:
        return None
    shown = subprocess.run(
        ["git", "-C", str(root), "show", f"{commit}:{name}"], capture_output=True, text=True, check=False
    )
    return declaration(shown.stdout) if shown.returncode == 0 else None
