"""A run is evaluated, traced and resumed from any working directory, on its own data and as it was trained."""

import json

import pytest

from experiments.cli import main
from experiments.commands.evaluate import configure
from experiments.runs.origin import keep_origin, located, places
from experiments.runs.run import run_one
from experiments.specs.spec import TaskSpec, spec_for
from tests.support.checkpoints import causal
from tests.support.worlds import small_settings
from vapo_core.settings import Base, Evaluation

pytest.importorskip("datasets", reason="extra real")

FEW = ["--problems", "4", "--answers", "2", "--k", "1"]


def write_data(path, shift=0):
    rows = [{"problem": f"What is {a} plus {b}?", "answer": str(a + b + shift)} for a in range(6) for b in range(6)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(map(json.dumps, rows)))


def spec_of(**base):
    numbers = {"responses_per_step": 8, "group_size": 4, "pool_size": 4, "mini_batches": 1, "temperature": 0.7}
    task = TaskSpec(name="jsonl", dials={"path": "data/sums.jsonl", "max_tokens": 8})
    evaluation = Evaluation(every=1, problems=2, k=1, k_problems=2)
    return spec_for(
        "grpo",
        "lm",
        0,
        task,
        small_settings("lm", **numbers),
        steps=1,
        evaluation=evaluation,
        base=Base(model="base", **base),
    )


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """The folder that a run was started in, with data, base and records beside one another; and its spec."""
    folder = tmp_path_factory.mktemp("started")
    causal(folder / "base", template=True)
    write_data(folder / "data" / "sums.jsonl")
    spec = spec_of(chat="off", dtype="bfloat16")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run_one(spec, folder / "runs", "test")
    return folder, spec


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A working directory without any of it."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def checkpoint_of(started):
    folder, spec = started
    return str(folder / "runs" / spec.hash / "checkpoint" / "policy")


def test_evaluate_finds_the_data_from_elsewhere_and_asks_as_in_training(started, elsewhere, capsys):
    checkpoint = checkpoint_of(started)
    assert main(["evaluate", checkpoint, *FEW, "--out", "evaluation.json"]) == 0, capsys.readouterr().err
    report = json.loads((elsewhere / "evaluation.json").read_text())
    assert (report["chat"], report["temperature"], report["dtype"]) == ("off", 0.7, "bfloat16")
    assert report["engine"] == "transformers"
    assert report["dials"]["path"] == str(started[0] / "data" / "sums.jsonl")


def test_flags_are_stronger_than_the_run(started, elsewhere):
    words = ["--chat", "auto", "--temperature", "1.5", "--dtype", "float32"]
    config = configure([checkpoint_of(started), *words])
    assert (config.chat, config.temperature, config.dtype) == ("auto", 1.5, "float32")
    write_data(elsewhere / "mine.jsonl")
    assert configure([checkpoint_of(started), "--dials.path", "mine.jsonl"]).dials.path == "mine.jsonl"


def test_the_runs_own_data_come_before_a_file_of_the_same_name_here(started, elsewhere):
    write_data(elsewhere / "data" / "sums.jsonl", shift=1)
    assert configure([checkpoint_of(started)]).dials.path == str(started[0] / "data" / "sums.jsonl")


def test_a_checkpoint_is_known_by_its_place_however_it_is_named(started, monkeypatch):
    monkeypatch.chdir(started[0] / "runs" / started[1].hash / "checkpoint")
    config = configure(["policy"])
    assert (config.task, config.temperature) == ("jsonl", 0.7)


def test_trace_and_training_again_work_from_elsewhere(started, elsewhere, capsys):
    folder, spec = started
    home = folder / "runs" / spec.hash
    few = ["--problems", "2", "--answers", "2", "--truth", "0"]
    assert main(["trace", str(home), *few, "--out", "out"]) == 0, capsys.readouterr().err
    assert main(["trace", str(home), *few, "--out", "again", "--step", "1"]) == 0, capsys.readouterr().err
    said = capsys.readouterr()
    assert "warning" not in said.err  # it ends where the record says


def test_a_run_is_resumed_from_elsewhere(started, elsewhere):
    folder, spec = started
    home = folder / "runs" / spec.hash
    row = json.loads((home / "row.json").read_text())
    (home / "row.json").unlink()
    assert run_one(spec, folder / "runs", "test")["last"] == row["last"]
    assert json.loads((home / "origin.json").read_text()) == {"folder": str(folder)}


def test_data_that_are_nowhere_are_one_line_with_the_dial_and_both_places(started, elsewhere, capsys, monkeypatch):
    folder, spec = started
    data = folder / "data"
    data.rename(folder / "moved")
    try:
        for words in (["evaluate", checkpoint_of(started)], ["trace", str(folder / "runs" / spec.hash)]):
            assert main(words) == 2
            said = capsys.readouterr().err
            assert said.count("\n") == 1
            assert said.startswith("vapo: dials.path = 'data/sums.jsonl': no such file or folder in ")
            assert str(folder) in said
            assert str(elsewhere) in said
        (folder / "moved").rename(elsewhere / "data")  # moved to where we are
        assert configure([checkpoint_of(started)]).dials.path == "data/sums.jsonl"
        (elsewhere / "data").rename(folder / "moved")
    finally:
        (folder / "moved").rename(data)


def test_a_record_of_before_is_looked_for_here_and_beside_its_folder_of_records(tmp_path, monkeypatch):
    home = tmp_path / "project" / "runs" / "0123456789abcdef"
    home.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert places(home) == [tmp_path, tmp_path / "project"]
    write_data(tmp_path / "project" / "data" / "sums.jsonl")
    found = located(spec_of(), home)
    assert found.task.dials["path"] == str(tmp_path / "project" / "data" / "sums.jsonl")
    assert found.base.model == "base"  # may be on the hub


def test_paths_stay_as_given_where_the_run_was_started(tmp_path, monkeypatch):
    """So that no key of a cache moves; names of sizes are no paths."""
    home = tmp_path / "runs" / "0123456789abcdef"
    home.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path / "data" / "sums.jsonl")
    for name in ("base", "policy", "tiny"):
        (tmp_path / name).mkdir()
    keep_origin(home)
    assert located(spec_of(), home) == spec_of()
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    keep_origin(home)
    found = located(spec_of(), home)
    assert (found.base.model, found.base.critic) == (str(tmp_path / "base"), "policy")
    assert found.task.dials["path"] == str(tmp_path / "data" / "sums.jsonl")


def test_a_damaged_origin_is_named(tmp_path):
    (tmp_path / "origin.json").write_text("[1")
    with pytest.raises(ValueError, match=r"origin\.json: cannot be read"):
        places(tmp_path)
