"""What the README shows works as shown."""

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


def test_every_picture_shown_is_there():
    for name in re.findall(r"!\[[^]]*\]\(([^)]+)\)", README):
        assert (Path(__file__).parents[1] / name).exists()


def test_make_targets_shown_exist():
    makefile = (Path(__file__).parents[1] / "Makefile").read_text()
    for target in set(re.findall(r"^make (\w+)", README, re.MULTILINE)):
        assert f"\n{target}:" in makefile
