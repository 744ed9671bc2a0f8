"""The house rules that a reader relies on, checked from the code itself."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from vapo_core.recipe import COMPONENTS, Recipe, Toggles

ROOT = Path(__file__).parents[1]
PACKAGES = ("vapo_core", "experiments", "analysis")
FILES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]

BASE = frozenset({
    "bounds", "combinations", "contents", "devices", "files", "frozen", "full_disk", "reading", "seeds", "settings",
    "sources", "suggest", "time_limit", "types",
})  # fmt: skip
"""Files of vapo_core that every room may use."""

ORDER: dict[str, tuple[str, ...]] = {
    "vapo_core": (
        "base", "grading", "functional", "tasks", "components", "models", "oracles", "distributed", "slots", "recipe",
        "rollout", "worlds", "training", "probes", "trainer", "api", "advantages", "losses",
    ),
    "analysis": (
        "statistics", "tables", "plots", "regimes", "verdict", "ablations", "hypotheses", "sweeps", "report", "notebooks",
    ),
    "experiments": (
        "records", "services", "exact_level", "specs", "tracking", "ending", "runs", "sync", "task_checks", "launchers",
        "cost", "benchmarks", "ablations", "sweeps", "regimes", "studies", "commands", "cli", "__main__",
    ),
}  # fmt: skip
"""Rooms and single files of each package: one may import what stands before it, and nothing that stands after it."""

MOST_MODULES = 20
"""In one folder, its __init__ apart."""


def room_of(module: str) -> str:
    """The room, or the file at the top of its package, that a module belongs to."""
    package, _, rest = module.partition(".")
    first = rest.partition(".")[0]
    return "base" if package == "vapo_core" and first in BASE else first


def imported_modules(path: Path) -> set[str]:
    """Dotted names of our own modules that a file imports at run time, wherever in the file."""
    tree, found = ast.parse(path.read_text()), set()
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.split(".")[0] in PACKAGES and "." in name}


def imports_of(path: Path) -> set[str]:
    """Top-level names a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def test_one_vocabulary():
    """Toggle, recipe slot, file and registry key carry the same seven names."""
    names = list(Toggles.model_fields)
    files = {path.stem for path in (ROOT / "vapo_core" / "components").glob("*.py")} - {"__init__"}
    slots = list(Recipe.__dataclass_fields__)[: len(names)]
    assert names == slots == list(COMPONENTS)
    assert set(names) == files


def test_toggles_are_read_in_recipe_alone():
    """Elsewhere a toggle may be passed on, copied or dumped as data, never asked."""
    names = set(Toggles.model_fields)
    for path in FILES:
        if path.name in ("recipe.py", "combinations.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in names:
                owner = ast.unparse(node.value)
                assert not owner.endswith("toggles"), f"{path}:{node.lineno} reads toggle {node.attr}"
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "getattr":
                assert "toggles" not in ast.unparse(node.args[0]), f"{path}:{node.lineno}"


def test_step_branches_on_no_component():
    """The update has no conditional but the guard against numbers that are not finite."""
    tree = ast.parse((ROOT / "vapo_core" / "training" / "update.py").read_text())
    branches = [node for node in ast.walk(tree) if isinstance(node, (ast.If, ast.IfExp, ast.Match))]
    assert [ast.unparse(node.test) for node in branches if isinstance(node, ast.If)] == [
        "not torch.isfinite(torch.as_tensor(x)).all()"
    ]
    assert len(branches) == 1


def test_heavy_third_parties_are_imported_in_one_file_each():
    for library in ("mlflow", "vllm", "ray", "math_verify", "sympy", "accelerate"):
        importers = [path for path in FILES if library in imports_of(path)]
        assert len(importers) <= 1, f"{library}: {importers}"
    assert {path.name for path in FILES if "optuna" in imports_of(path)} == {"proposals.py", "tune.py"}
    assert [path.name for path in FILES if "mlflow" in imports_of(path)] == ["mlflow_run.py"]
    assert [path.name for path in FILES if "vllm" in imports_of(path)] == ["vllm.py"]
    assert [path.name for path in FILES if "ray" in imports_of(path)] == ["bridge.py"]
    assert [path for path in FILES if "psycopg" in imports_of(path)] == []  # SQLAlchemy's driver, by its address alone


def test_layers_point_one_way():
    """The trainer knows nothing of sweeps and statistics; analysis reads tables only."""
    for path in FILES:
        package, used = path.relative_to(ROOT).parts[0], imports_of(path)
        if package == "vapo_core":
            assert not used & {"experiments", "analysis", "mlflow", "pandas"}, path
        if package == "analysis":
            assert not used & {"experiments", "vapo_core", "torch", "mlflow"}, path


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_between_rooms_go_one_way(package):
    """So that a room can be read with only those before it in mind."""
    place = {name: at for at, name in enumerate(ORDER[package])}
    for path in sorted((ROOT / package).rglob("*.py")):
        here = room_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
        if here == "__init__":
            continue
        assert here in place, f"{path}: room {here!r} has no place in ORDER"
        for name in imported_modules(path):
            there = room_of(name)
            if name.startswith(f"{package}.") and there in place:
                assert place[there] <= place[here], f"{path} imports {name}: {there} comes after {here}"


def test_no_room_is_crowded():
    for folder in {path.parent for path in FILES}:
        inside = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
        assert len(inside) <= MOST_MODULES, f"{folder}: {len(inside)} modules"


@pytest.mark.parametrize("heavy", ["torch", "pandas", "pyarrow", "scipy", "mlflow", "matplotlib"])
def test_specs_and_command_line_import_nothing_heavy(heavy):
    """Planning and help must stay light."""
    code = f"import experiments.commands.ablate, experiments.commands.train, sys; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_nothing_is_evaluated_or_unpickled():
    """Model output and data never become code; checkpoints load with weights_only."""
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                assert name not in ("eval", "exec", "pickle.load", "pickle.loads"), f"{path}:{node.lineno}"
                if name == "torch.load":
                    assert "weights_only=True" in ast.unparse(node), f"{path}:{node.lineno}"
                assert "trust_remote_code=True" not in ast.unparse(node), f"{path}:{node.lineno}"


def test_files_stay_readable():
    """Few files above 300 lines, none far above."""
    assert [path for path in FILES if len(path.read_text().splitlines()) > 320] == []


def test_git_holds_the_given_folders_and_nothing_a_run_left_behind():
    """MLflow, left to itself, writes mlruns/ and mlartifacts/ wherever it was started."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("no git checkout")
    given = {"vapo_core", "experiments", "analysis", "docs", "notebooks", "results", "tests", ".ci"}
    assert {line.split("/")[0] for line in listed.stdout.splitlines() if "/" in line} == given
