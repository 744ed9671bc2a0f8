"""Data and checkpoints are tried before a grid starts; for runs elsewhere, only what this machine has."""

import pytest

from experiments.runs import readable
from experiments.runs.readable import check_readable
from experiments.specs.spec import TaskSpec
from tests.support.worlds import small_spec
from vapo_core.settings import Base


def spec_on(data, model="checkpoint"):
    task = TaskSpec(name="jsonl", dials={"path": str(data), "max_tokens": 8})
    return small_spec("lm", base=Base(model=str(model))).model_copy(update={"task": task})


@pytest.fixture
def tried(monkeypatch):
    """Checkpoints whose tokenizer was read."""
    found = []
    monkeypatch.setattr(readable, "_check_template", lambda spec: found.append(spec.base.model))
    return found


def test_files_that_only_other_machines_have_are_left_to_them(tmp_path, tried):
    spec = spec_on(tmp_path / "elsewhere.jsonl")
    check_readable([spec], tmp_path, remote=True)
    assert tried == []
    with pytest.raises(ValueError, match=r"elsewhere\.jsonl"):
        check_readable([spec], tmp_path)
    assert tried == ["checkpoint"]


def test_files_that_this_machine_has_are_read_for_other_machines_too(tmp_path, tried):
    data = tmp_path / "data.jsonl"
    data.write_text("no json\n")
    with pytest.raises(ValueError, match=r"data\.jsonl, line 1"):
        check_readable([spec_on(data, tmp_path)], tmp_path, remote=True)
    assert tried == [str(tmp_path)]


def test_a_finished_run_needs_its_files_no_more(tmp_path, tried):
    spec = spec_on(tmp_path / "gone.jsonl")
    (tmp_path / spec.hash).mkdir()
    (tmp_path / spec.hash / "row.json").write_text("{}")
    check_readable([spec], tmp_path)
    assert tried == []
