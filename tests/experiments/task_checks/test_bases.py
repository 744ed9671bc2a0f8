"""Base models measured: which are still missing, and what a row says."""

import csv

import pytest

from experiments.cli import main
from experiments.task_checks.bases import BaseCell, every, measure, missing
from vapo_core.models import base_model


@pytest.fixture(autouse=True)
def _brief(monkeypatch):
    monkeypatch.setitem(base_model.PRETRAINING, "tiny", {"steps": 3, "batch": 8, "lr": 3e-3})


def test_cheap_sizes_come_first_and_every_base_once():
    cells = every(("chain", "trap"), ("tiny", "small"), ("llama", "qwen3"), 3)
    assert len(set(cells)) == len(cells) == 24
    assert [cell.size for cell in cells] == ["tiny"] * 12 + ["small"] * 12
    assert cells[0] == BaseCell("chain", "tiny", "llama", 0)


def test_a_measured_base_is_kept_until_its_pretraining_changes(tmp_path, monkeypatch, capsys):
    cell = BaseCell("routes", "tiny", "qwen3", 1)
    row = measure(cell, tmp_path)
    assert 50_000 < int(row["parameters"]) < 200_000
    assert 0 <= float(row["accuracy"]) <= float(row["parsed"]) <= 1
    assert row["seconds"] != ""  # three steps may round to 0
    assert measure(cell, tmp_path) == {**row, "seconds": ""}  # from the cache, the same answers
    assert missing([cell, cell._replace(init=0)], [row]) == [cell._replace(init=0)]
    _resumes(row, tmp_path, capsys)
    monkeypatch.setitem(base_model.PRETRAINING, "tiny", {"steps": 4, "batch": 8, "lr": 3e-3})
    assert missing([cell], [row]) == [cell]


def _resumes(row, folder, capsys):
    """The command has nothing to do where the table is complete, and leaves it as it is."""
    table = folder / "bases.csv"
    row = {**row, "init": "0", "base": _key("routes", "qwen3")}
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, row)
        writer.writeheader()
        writer.writerow(row)
    before = table.read_text()
    words = ["--task", "routes", "--sizes", "tiny", "--architectures", "qwen3", "--inits", "1"]
    assert main(["tasks", "--bases", *words, "--workers", "1", "--runs", str(folder), "--out", str(table)]) == 0
    assert "0 base models to measure" in capsys.readouterr().out
    assert table.read_text() == before


def test_another_table_is_not_taken_for_one_of_bases(tmp_path, capsys):
    other = tmp_path / "tasks.csv"
    other.write_text("task,init,seed\nchain,0,0\n")
    assert main(["tasks", "--bases", "--runs", str(tmp_path), "--out", str(other)]) == 2
    assert "another kind of file" in capsys.readouterr().err
    assert other.read_text().startswith("task,init,seed")


def _key(task, architecture):
    from vapo_core.settings import Base
    from vapo_core.tasks import make_task

    identity = base_model.base_identity(task, make_task(task, {}), Base(architecture=architecture))
    return base_model.content_key(identity)
