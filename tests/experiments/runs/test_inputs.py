"""A finished run says so when a file that its spec names holds something else now."""

import json
import os
from pathlib import Path

import pytest

from experiments.cli import main
from experiments.commands.train import configure
from experiments.launchers.launch import local_map
from experiments.records.points import read_points
from experiments.runs.inputs import changes, record_inputs
from experiments.runs.run import run_one
from experiments.runs.source import ROWS
from experiments.specs.config_file import read_yaml
from experiments.specs.spec import RunSpec, TaskSpec
from tests.support.checkpoints import causal
from tests.support.worlds import small_spec, untimed
from vapo_core.files import write_whole
from vapo_core.settings import Base


def data(path: Path, more: int) -> Path:
    lines = [json.dumps({"problem": f"What is {a} plus 1?", "answer": str(a + more)}) for a in range(20)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def spec(tmp_path) -> RunSpec:
    """A run on a checkpoint and a file of data."""
    path = data(tmp_path / "data.jsonl", 1)
    fields = {"base": Base(model=causal(tmp_path / "base", max_position_embeddings=256)), "steps": 1}
    made = small_spec("lm", numbers={"responses_per_step": 8, "pool_size": 8, "warmup_steps": 1}, **fields)
    task = TaskSpec(name="jsonl", dials={"path": str(path), "max_tokens": 8})
    return RunSpec(**{**made.model_dump(), "task": task})


def finished(spec: RunSpec, runs: Path) -> None:
    """The records of a finished run, without its weights."""
    home = runs / spec.hash
    home.mkdir(parents=True)
    record_inputs(spec, runs)
    ROWS.record(home, runs)
    row = {"spec": spec.hash, "world": "lm", "state": "finished", "seed": 0, "seconds": 1.0, "auc": 0.5, "last": 0.5}
    row |= {"arm": "vapo", "metric": "val/pass_at_1", "first": 0.1, "tokens": 9.0, "git_commit": "", "reason": ""}
    points = "".join(json.dumps({"step": step, "metrics": {"val/pass_at_1": 0.5}}) + "\n" for step in (0, 1))
    for name, text in (("spec.json", spec.model_dump_json()), ("metrics.jsonl", points), ("row.json", json.dumps(row))):
        write_whole(home / name, text)


def replaced(file: Path) -> None:
    """One bit of difference under the same name, size and date."""
    was, content = file.stat(), bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(bytes(content))
    os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))


@pytest.mark.parametrize("name", ["data.jsonl", "base/model.safetensors", "base/tokenizer.json", "base/config.json"])
def test_a_file_that_changed_is_named_when_the_run_is_met_again(name, spec, tmp_path, capsys):
    runs = tmp_path / "runs"
    finished(spec, runs)
    assert run_one(spec, runs, "test")["auc"] == 0.5
    assert capsys.readouterr().err == ""
    replaced(tmp_path / name)
    for again in (
        lambda: run_one(spec, runs, "test"),
        lambda: local_map([spec], runs, "test", 1, None, lambda *_: None),
    ):
        again()
        (line,) = capsys.readouterr().err.splitlines()
        field = "dials.path" if name == "data.jsonl" else "base.model"
        assert line.startswith(f"warning: {field}: {tmp_path / name} has changed since run {spec.hash} read it")
        assert line.endswith(f"remove {runs / spec.hash} to run again")


def test_train_says_it(spec, tmp_path, capsys):
    runs, file = tmp_path / "runs", tmp_path / "asked.yaml"
    options = {"task": "jsonl", "steps": 1, "dials": spec.task.dials, "base": {"model": spec.base.model}}
    write_whole(file, json.dumps(options))
    finished(configure([], read_yaml(file))[1], runs)
    data(tmp_path / "data.jsonl", 2)
    assert main(["train", "--config", str(file), "--runs", str(runs)]) == 0
    said = capsys.readouterr()
    assert "already finished" in said.out
    assert f"{tmp_path / 'data.jsonl'} has changed" in said.err


def test_many_runs_of_one_changed_file_are_one_line(spec, tmp_path, capsys):
    runs, specs = tmp_path / "runs", [spec.model_copy(update={"seed": seed}) for seed in range(3)]
    for one in specs:
        finished(one, runs)
    data(tmp_path / "data.jsonl", 2)
    assert local_map(specs, runs, "test", 1, None, lambda *_: None) == []
    (line,) = capsys.readouterr().err.splitlines()
    assert f"since run {specs[0].hash} and 2 more runs read it" in line


def test_a_folder_of_data_counts_all_its_files(spec, tmp_path):
    folder = data(tmp_path / "set" / "deep" / "train.jsonl", 1).parent.parent
    task = TaskSpec(name="jsonl", dials={**spec.task.dials, "path": str(folder)})
    inside = spec.model_copy(update={"task": task})
    (tmp_path / "runs" / inside.hash).mkdir(parents=True)
    record_inputs(inside, tmp_path / "runs")
    assert changes(inside, tmp_path / "runs") == []
    data(folder / "test.jsonl", 1)
    data(folder / "deep" / "train.jsonl", 2)
    (change,) = changes(inside, tmp_path / "runs")
    assert change.files == ("deep/train.jsonl", "test.jsonl")


def test_a_checkpoint_of_other_data_is_not_gone_on_from(spec, tmp_path, capsys):
    runs = tmp_path / "runs"
    (runs / spec.hash / "checkpoint").mkdir(parents=True)
    record_inputs(spec, runs)
    record_inputs(spec, runs)
    assert capsys.readouterr().err == ""
    data(tmp_path / "data.jsonl", 2)
    record_inputs(spec, runs)
    assert "checkpoint.damaged1, the run restarts" in capsys.readouterr().err
    assert changes(spec, runs) == []


def test_a_critic_of_an_earlier_run_counts(spec, tmp_path):
    runs = tmp_path / "runs"
    critic = runs / "0123456789abcdef" / "checkpoint" / "critic"
    causal(critic)
    judged = spec.model_copy(update={"base": Base(model=spec.base.model, critic="0123456789abcdef")})
    (runs / judged.hash).mkdir(parents=True)
    record_inputs(judged, runs)
    replaced(critic / "model.safetensors")
    assert [change.field for change in changes(judged, runs)] == ["base.critic"]


def test_a_run_that_names_nothing_outside_writes_nothing(tmp_path):
    spec = small_spec()
    (tmp_path / spec.hash).mkdir()
    record_inputs(spec, tmp_path)
    assert list((tmp_path / spec.hash).iterdir()) == []


def test_numbers_do_not_depend_on_what_ran_earlier(spec, tmp_path, capsys):
    """Two files of data in one folder of runs: the second run is what it would be by itself."""
    other = spec.model_copy(
        update={"task": TaskSpec(name="jsonl", dials={**spec.task.dials, "path": str(data(tmp_path / "b.jsonl", 7))})}
    )
    first = run_one(spec, tmp_path / "runs", "test")
    second = run_one(other, tmp_path / "runs", "test")
    alone = run_one(other, tmp_path / "alone", "test")
    assert first["warm_key"] != second["warm_key"] == alone["warm_key"]
    told = [read_points(runs / other.hash / "metrics.jsonl") for runs in (tmp_path / "runs", tmp_path / "alone")]
    assert untimed(told[0]) == untimed(told[1])
