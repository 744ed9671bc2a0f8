"""What a calibration rests on, as one short name that changes when its code does and not when its comments do."""

import ast
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLLOWED = ("analysis", "experiments.studies", "tests.calibration")
"""Packages whose files count: those that plant, judge and decide."""


def fingerprint(modules: Iterable[str]) -> str:
    """First 12 hex digits of the SHA-256 of the code, without comments and docstrings, that these modules import."""
    digest = hashlib.sha256()
    for path in sorted(files(modules)):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            body = getattr(node, "body", None)
            if isinstance(body, list):
                body[:] = [line for line in body if not _is_text(line)]
        digest.update(f"{path.relative_to(ROOT)}\n{ast.dump(tree)}\n".encode())
    return digest.hexdigest()[:12]


def files(modules: Iterable[str]) -> set[Path]:
    """Files of modules and of all that they import of the followed packages."""
    found, open_ = set[Path](), list(modules)
    while open_:
        name = open_.pop()
        path = _path(name)
        if path is None or path in found or not name.startswith(FOLLOWED):
            continue
        found.add(path)
        open_ += _imports(path)
    return found


def _imports(path: Path) -> Iterator[str]:
    """Names a file imports, members of packages among them."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _path(module: str) -> Path | None:
    stem = ROOT.joinpath(*module.split("."))
    return next((path for path in (stem.with_suffix(".py"), stem / "__init__.py") if path.is_file()), None)


def _is_text(line: object) -> bool:
    return isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) and isinstance(line.value.value, str)
