"""What the README shows works as shown."""

import json
import re
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text()


@pytest.mark.slow
def test_the_python_example_runs(tmp_path, monkeypatch, capsys):
    """The example of training on one's own task, executed as it stands."""
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(example.strip().splitlines()) <= 20
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "README.md", "exec"), {})
    first, last = map(float, re.findall(r"0\.\d+", capsys.readouterr().out)[:2])
    assert last > first


def test_every_command_shown_is_one_that_exists():
    from experiments.cli import COMMANDS

    shown = re.findall(r"^vapo (\w+)", README, re.MULTILINE)
    assert shown
    assert set(shown) <= set(COMMANDS)


def test_probes_and_variants_named_are_ones_that_exist():
    """A new probe need not stand in the README; one that stands there is a file."""
    from vapo_core.probes import PROBES
    from vapo_core.recipe import VARIANTS

    (paragraph,) = re.findall(r"^Ablations measure .*?\n\n", README, re.DOTALL | re.MULTILINE)
    probes = set(re.findall(r"`(\w+)`", paragraph))
    assert {"value_error", "gradient_variance", "exploration"} <= probes <= set(PROBES)
    words = set(re.findall(r"`(\w+)`", README))
    assert words >= {"others_length", "error_aware", "bounded", "monte_carlo", "step_level"}
    assert {"horizon", "values", "credit"} <= words & set(VARIANTS)


def test_decisions_shown_are_those_in_results():
    """Numbers to two digits, in the direction in which the line says them."""
    shown = dict(re.findall(r"^\| (h\d\w) \| (.*?) \|", README, re.MULTILINE))
    folders = (Path(__file__).parents[1] / "results").glob("h*/verdicts.json")
    rows = {row["question"]: row for path in folders for row in json.loads(path.read_text()) if row["primary"]}
    assert shown
    for name, line in shown.items():
        turn = {"h2a": lambda x: 1 - x, "h7a": lambda x: -x}.get(name, lambda x: x)
        numbers = sorted(round(turn(rows[name][part]), 2) for part in ("effect", "low", "high"))
        assert rows[name]["decision"] == "supported"
        assert numbers == sorted(float(x) for x in re.findall(r"-?0\.\d\d", line)[:3]), line


def test_every_picture_shown_is_there():
    for name in re.findall(r"!\[[^]]*\]\(([^)]+)\)", README):
        assert (Path(__file__).parents[1] / name).exists()


def test_make_targets_shown_exist():
    makefile = (Path(__file__).parents[1] / "Makefile").read_text()
    for target in set(re.findall(r"^make ([\w-]+)", README, re.MULTILINE)):
        assert f"\n{target}:" in makefile
