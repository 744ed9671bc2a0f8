"""Notebooks: no code of their own, equal to their scripts, and they say what the judges say of the data they find."""

import ast
import importlib
import json
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import jupytext
import nbformat
import numpy as np
import pytest

from analysis.notebooks.execute import execute
from analysis.notebooks.reading import ROOT as ROOT_VARIABLE
from analysis.tables.schema import Tables
from analysis.verdict.decisions import Verdict
from analysis.verdict.headline import component_lines, estimate, headline
from experiments.cli import main
from experiments.runs import committed
from experiments.studies import STEMS, find
from experiments.studies.components import runs as components
from tests.calibration.planting import frame_of, tables
from tests.support.outcome_folders import plant

FOLDER = Path(__file__).parents[1] / "notebooks"
NAMES = {stem: "00_components" if stem == "components" else stem for stem in STEMS}
SCRIPTS = [FOLDER / f"{name}.py" for name in NAMES.values()]
LONGEST, MEDIAN = 14, 2

CONTRADICTED = {
    "h1_value_fidelity": "h1c",
    "h2_length_adaptive_gae": "h2b",
    "h3_token_level_loss": "h3b",
    "h4_exploration": "h4b",
    "h5_generalization": "h5b",
    "h6_interactions": "h6b",
    "h7_credit_assignment": "h7b",
}
"""Study -> a question whose prediction planted data contradict."""


def cells_of(path):
    """(kind, source) of every cell."""
    return [(cell.cell_type, cell.source) for cell in jupytext.read(path).cells]


def test_every_study_has_one():
    assert sorted(path.stem for path in FOLDER.glob("*.py")) == sorted(NAMES.values())
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == sorted(NAMES.values())


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_it_holds_no_code_but_short_cells(script):
    sources = [source for kind, source in cells_of(script) if kind == "code"]
    lengths = [len([line for line in source.splitlines() if line.strip()]) for source in sources]
    assert median(lengths) <= MEDIAN
    assert max(lengths) <= LONGEST
    for node in ast.walk(ast.parse("\n".join(sources))):
        assert not isinstance(
            node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.For, ast.While, ast.If)
        )


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_script_and_notebook_are_equal(script):
    assert cells_of(script) == cells_of(script.with_suffix(".ipynb")), "run `make notebooks`"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_its_parts_are_those_of_every_study(script):
    text = "\n".join(source for kind, source in cells_of(script) if kind == "markdown")
    heads = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    verdict = "Estimates" if script.stem == "00_components" else "Verdict"
    assert heads[1:] == ["Question", "Theory", "Exact check", "Experiment", "Figures", verdict,
                         "What would change our mind", "On your own model"]  # fmt: skip
    change = text[text.index("What would change") : text.index("On your own model")]
    asked = find(next(stem for stem, name in NAMES.items() if name == script.stem)).QUESTIONS
    named = set(re.findall(r"\bh\d[a-z]\b", change))
    assert named <= set(asked), "of a question that is no longer asked"
    shown = [source.strip() for kind, source in cells_of(script) if kind == "code"]
    assert script.stem == "00_components" or (named and "found.questions" in shown)  # which lists every question


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_committed_outputs_tell_nothing_of_the_machine(script):
    notebook = nbformat.read(script.with_suffix(".ipynb"), as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code), "run `make notebooks`"
    said = json.dumps([cell.outputs for cell in code] + [notebook.metadata])
    assert not re.search(r"(?<![\w.<])/(home|root|tmp|work|Users|usr|opt|var)/|[A-Z]:\\\\", said)
    assert "execution" not in json.dumps([cell.metadata for cell in notebook.cells])
    assert not [
        out for cell in code for out in cell.outputs if out.output_type == "error" or out.get("name") == "stderr"
    ]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_the_commands_it_names_exist(script, capsys):
    text = "\n".join(source for kind, source in cells_of(script) if kind == "markdown")
    commands = [line for line in text.splitlines() if line.startswith("vapo ")]
    assert commands
    for line in commands:
        words = shlex.split(line)[1:]
        if words[0] in ("train", "ablate", "sweep"):
            assert main([*words, "--dry-run"]) == 0, capsys.readouterr().err


LISTENING = """
import psutil
kinds = [c for c in psutil.Process().net_connections("inet") if c.status == psutil.CONN_LISTEN]
sorted({c.laddr.ip for c in kinds}), len(kinds) >= 5
"""


def test_a_kernel_listens_on_loopback_alone(tmp_path):
    """Five channels, none of them reachable from another machine, and nothing said about it beside the output."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(LISTENING)])
    (out,) = execute(notebook, tmp_path).cells[0].outputs
    assert out["data"]["text/plain"] == "(['127.0.0.1'], True)"


def contradicting(stem, rng):
    """(tables, question): planted so that the prediction fails; of the components, clip_higher harms."""
    if stem == "components":
        runs = frame_of(components.specs("quick"))
        level = np.where(runs["clip_higher"] & (runs["recipe"] == "vapo"), -0.05, 0.0)
        noise = 0.01 * rng.normal(size=len(runs))
        return tables(runs, {"auc": 0.5 + level + noise}), "clip_higher"
    name = CONTRADICTED[stem]
    question = find(stem).QUESTIONS[name]
    theta = 2 * question.threshold if question.equivalence else -2 * question.threshold
    simulate = importlib.import_module(f"tests.calibration.{stem}").SIMULATIONS[name]
    return simulate(theta, rng), name


def shown(cells):
    """Everything the cells' outputs say, tags taken out."""
    outputs = [out.get("data", out) for cell in cells if cell.cell_type == "code" for out in cell.outputs]
    texts = [str(data.get(kind, "")) for data in outputs for kind in ("text", "text/plain", "text/html")]
    return " ".join(re.sub(r"<[^>]+>", " ", " ".join(texts)).split())


def first_output(cells):
    """What stands under the first code cell."""
    (out,) = next(cell for cell in cells if cell.cell_type == "code").outputs
    return out["data"]["text/plain"]


class Planted(NamedTuple):
    """A study's rows from tables that contradict one of its predictions."""

    stem: str
    name: str
    tables: Tables
    rows: list[Verdict]


def plant_in(home: Path, stem: str) -> Planted:
    """The outcome that a notebook finds in a results folder."""
    given, name = contradicting(stem, np.random.default_rng(3))
    questions = find(stem).QUESTIONS
    rows = importlib.import_module(f"analysis.hypotheses.{stem}").score(given, questions, "full")
    committed.write(given, plant(home / stem, "full", questions, rows))
    return Planted(stem, name, given, rows)


def executed(asked: Sequence[tuple[str, Path]], folder: Path) -> list[list[Any]]:
    """The cells of each study's notebook after its run on a folder of results, all in one kernel."""
    cells, ends = [], []
    for stem, home in asked:
        start = f"%reset -f\nimport os\nos.environ[{ROOT_VARIABLE!r}] = {json.dumps(str(home))}"
        own = jupytext.read(FOLDER / f"{NAMES[stem]}.py").cells
        cells += [nbformat.v4.new_code_cell(start), *own]
        ends.append((len(cells) - len(own), len(cells)))
    done = execute(nbformat.v4.new_notebook(cells=cells), folder).cells
    return [done[begin:end] for begin, end in ends]


@pytest.mark.parametrize("stems", [STEMS[::2], STEMS[1::2]], ids=["every other", "the others"])
def test_they_say_what_the_judges_say(stems, tmp_path):
    """Once without data, once with data that contradict a prediction, in one kernel, from another working directory."""
    (tmp_path / "elsewhere").mkdir()
    planted = [plant_in(tmp_path / stem / "results", stem) for stem in stems]  # apart: studies read each other's rows
    asked = [(stem, tmp_path / home) for stem in stems for home in ("none", stem)]
    done = executed(asked, tmp_path / "elsewhere")
    for made, without, with_data in zip(planted, done[::2], done[1::2], strict=True):
        assert first_output(without).startswith("NO DATA"), made.stem
        assert f"vapo study {made.stem} --preset quick" in first_output(without)
        says_its_rows(with_data, made)
        shows_its_figures(with_data, made)
        assert str(tmp_path) not in shown(with_data)


def says_its_rows(cells, made: Planted) -> None:
    """The headline above all, every row's estimate somewhere below."""
    questions, components = find(made.stem).QUESTIONS, made.stem == "components"
    lines = (component_lines if components else headline)(made.rows, questions)
    assert first_output(cells) == "\n".join(lines)
    sign = "SIGN OPPOSITE TO THE PAPER'S" if components else "PREDICTION CONTRADICTED"
    assert lines[0].startswith(f"{sign}, {made.name}")
    text = shown(cells)
    assert made.rows
    for row in made.rows:
        assert estimate(row) in text, row


def shows_its_figures(cells, made: Planted) -> None:
    """As many as the judge draws, each with its alternative text."""
    outputs = [out for cell in cells if cell.cell_type == "code" for out in cell.outputs]
    pictures = [out for out in outputs if "image/png" in out.get("data", {})]
    judge = importlib.import_module(f"analysis.hypotheses.{made.stem}")
    assert len(pictures) == len(judge.figures(made.tables, find(made.stem).QUESTIONS)), made.stem
    assert all(out.metadata["image/png"]["alt"] for out in pictures)
