"""Damaged records: one clear line, nothing lost, the run made again to the same numbers."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from experiments.cli import main
from experiments.launchers.launch import local_map
from experiments.records.points import JsonLines, read_points
from experiments.runs.repair import points_damage
from experiments.runs.run import finished_row, run_one
from tests.experiments.test_cli import TINY
from tests.support.worlds import small_spec
from vapo_core.files import write_whole

IGNORED = ("seconds", "attempts", "git_commit")


def same(one, two) -> bool:
    """Equal rows but for what differs from time to time; nan equals nan."""
    left, right = ({k: v for k, v in row.items() if k not in IGNORED} for row in (one, two))
    return json.dumps(left) == json.dumps(right)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run, to be copied and damaged."""
    runs, spec = tmp_path_factory.mktemp("whole"), small_spec()
    return spec, runs, run_one(spec, runs, "test")


@pytest.fixture
def copy(finished, tmp_path):
    spec, runs, row = finished
    shutil.copytree(runs, tmp_path / "runs")
    return spec, tmp_path / "runs", row


def cut(path) -> None:
    """Leave the first half of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("content", [b"", b'{"spec": "a', b"null", b"{}", b"\xff\xfe\x00"])
def test_a_row_that_cannot_be_read_is_set_aside_and_made_again(copy, capsys, content):
    spec, runs, row = copy
    path = runs / spec.hash / "row.json"
    path.write_bytes(content)
    assert finished_row(spec, runs) is None
    again = run_one(spec, runs, "test")
    assert same(again, row)
    assert again["attempts"] == 2
    assert (runs / spec.hash / "row.json.damaged1").read_bytes() == content
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "row.json" in said


@pytest.mark.parametrize(
    "damage", [cut, lambda path: path.unlink(), lambda path: path.write_bytes(b"\xff\x00 no json\n")]
)
def test_a_finished_run_whose_curve_is_damaged_is_made_again(copy, capsys, damage):
    spec, runs, row = copy
    damage(runs / spec.hash / "metrics.jsonl")
    heard = []
    assert local_map([spec], runs, "test", 1, None, lambda spec, row: heard.append(row)) == []
    assert same(heard[0], row)
    assert read_points(runs / spec.hash / "metrics.jsonl")[-1][0] == spec.steps
    assert (runs / spec.hash / "row.json.damaged1").exists()


def test_a_spec_that_cannot_be_read_is_written_again(copy, capsys):
    spec, runs, row = copy
    path = runs / spec.hash / "spec.json"
    before = path.read_text()
    cut(path)
    heard = []
    local_map([spec], runs, "test", 1, None, lambda spec, row: heard.append(row))
    assert heard[0]["attempts"] == row["attempts"] == 1
    assert path.read_text() == before
    assert capsys.readouterr().err.count("\n") == 1


def test_a_warm_critic_that_cannot_be_read_is_made_again(copy, capsys):
    spec, runs, row = copy
    (path,) = runs.glob("critics/*/critic.safetensors")
    cut(path)
    (runs / spec.hash / "row.json").unlink()
    assert same(run_one(spec, runs, "test"), row)
    assert capsys.readouterr().err.count("\n") == 1
    assert len(list(runs.glob("critics/*.damaged1"))) == 1


def test_a_count_of_attempts_that_cannot_be_read_starts_anew(copy):
    spec, runs, _ = copy
    (runs / spec.hash / "row.json").unlink()
    (runs / spec.hash / "attempts").write_bytes(b"\xff")
    assert run_one(spec, runs, "test")["attempts"] == 1


def test_what_killed_writers_left_is_cleared(copy):
    spec, runs, _ = copy
    home = runs / spec.hash
    (home / "row.json").unlink()
    (home / ".row.json.abc").write_text("half")
    (home / ".checkpoint.xyz").mkdir()
    (home / ".checkpoint.xyz" / "a").touch()
    run_one(spec, runs, "test")
    assert not [path for path in home.iterdir() if path.name.startswith(".")]


class Stop(Exception):
    """Ends a run in the middle."""


@pytest.fixture
def interrupted(tmp_path, monkeypatch):
    """A walk run stopped at step 5 of 8 with a checkpoint at step 4, and the row of one that was not."""
    from experiments.runs import run as module
    from vapo_core.trainer import Trainer

    spec = small_spec(steps=8)
    monkeypatch.setitem(module.CHECKPOINT_EVERY, "walk", 4)
    whole = run_one(spec, tmp_path / "whole", "test")
    step = Trainer._step

    def stop_at_five(self, progress, write):
        if progress.step == 5:
            raise Stop
        return step(self, progress, write)

    with monkeypatch.context() as stopping:
        stopping.setattr(Trainer, "_step", stop_at_five)
        with pytest.raises(Stop):
            run_one(spec, tmp_path / "cut", "test")
    return spec, tmp_path / "cut", whole


@pytest.mark.parametrize(
    "name",
    ["", "progress.json", "policy/optimizer.pt", "critic/model.safetensors", "policy/model.safetensors", "metrics"],
)
def test_a_damaged_checkpoint_is_set_aside_and_the_run_starts_again(interrupted, capsys, name):
    """To the numbers of the uninterrupted run; an undamaged one ("") is continued without a word."""
    spec, runs, whole = interrupted
    home = runs / spec.hash
    if name:
        cut(home / "metrics.jsonl" if name == "metrics" else home / "checkpoint" / name)
    assert same(run_one(spec, runs, "test"), whole)
    said = capsys.readouterr().err
    assert said.count("\n") == bool(name)
    assert (home / "checkpoint.damaged1").exists() == bool(name)


def test_a_kill_while_a_record_is_trimmed_loses_no_point(tmp_path, monkeypatch):
    path = tmp_path / "metrics.jsonl"
    log = JsonLines(path)
    for step in range(4):
        log.write(step, {"a": 1.0})
    log.close()

    def killed(*words):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        JsonLines(path, keep_through=2)
    assert [step for step, _ in read_points(path)] == [0, 1, 2, 3]


def test_points_damage_by_hand():
    spec = small_spec(steps=9, log_every=4)  # logged: 0, 1, 4, 8, 9 and evaluations at 2, 4, 6, 8, 9
    points = [(step, {}) for step in (0, 1, 2, 4, 6, 8, 9)]
    assert points_damage(spec, points, 9) == ""
    assert points_damage(spec, points[:-1], 9) == "can be read up to step 8 of 9 only"
    assert points_damage(spec, points[:5], 7) == ""
    assert points_damage(spec, points[1:], 9) == "lacks its beginning"
    assert points_damage(spec, [points[0], points[2], points[1]], 2) == "has steps out of order"


# --- disks ---


@pytest.fixture
def mount(tmp_path):
    """Mount small file systems for a while; skipped where that is not permitted."""
    mounted = []

    def at(name, *options):
        place = tmp_path / name
        place.mkdir(exist_ok=True)
        done = subprocess.run(["mount", *options, str(place)], capture_output=True, check=False)
        if done.returncode:
            pytest.skip("mounting is not permitted here")
        mounted.append(place)
        return place

    if sys.platform != "linux" or shutil.which("mount") is None:
        pytest.skip("needs Linux's mount")
    yield at
    for place in reversed(mounted):
        subprocess.run(["umount", "-l", str(place)], check=True)


WORDS = ["ablate", "--preset", "smoke", "--baselines", "--seeds", "1", "--workers", "1", *TINY]


def test_a_full_disk_is_one_line_and_finished_runs_stay(mount, capfd, monkeypatch):
    """On a disk too small for the grid: exit code 2 and one line; with more room the same command goes on."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    place = mount("full", "-t", "tmpfs", "-o", "size=128k", "tmpfs")
    assert main([*WORDS, "--runs", str(place)]) == 2
    errors = [line for line in capfd.readouterr().err.splitlines() if "MLflow is unavailable" not in line]
    assert len([line for line in errors if line.startswith("vapo:")]) == 1
    assert "No space left on device" in errors[-1]
    assert "fix it and re-run" in errors[-1]
    rows = {path: path.read_bytes() for path in place.glob("*/row.json")}
    assert 0 < len(rows) < 8
    for content in rows.values():
        json.loads(content)
    subprocess.run(["mount", "-o", "remount,size=64m", str(place)], check=True)
    assert main([*WORDS, "--runs", str(place)]) == 0
    assert rows.items() <= {path: path.read_bytes() for path in place.glob("*/row.json")}.items()
    assert len(list(place.glob("*/row.json"))) == 8


def test_a_full_disk_leaves_no_half_file_and_names_the_one_it_has_no_room_for(mount):
    place = mount("tiny", "-t", "tmpfs", "-o", "size=8k", "tmpfs")
    write_whole(place / "a", "old")
    with pytest.raises(OSError, match="No space left") as caught:
        write_whole(place / "a", "new" * 10_000)
    assert caught.value.filename == str(place / "a")
    assert [path.name for path in place.iterdir()] == ["a"]
    assert (place / "a").read_text() == "old"


def test_a_read_only_folder_is_one_line_and_exit_code_2(mount, capfd):
    place = mount("locked", "-t", "tmpfs", "-o", "size=1m,ro", "tmpfs")
    for words in (WORDS, ["train", "--world", "walk", *TINY]):
        assert main([*words, "--runs", str(place)]) == 2
        error = capfd.readouterr().err
        assert error.count("\n") == 1
        assert "Read-only file system" in error


def test_records_that_turn_read_only_stop_the_command_with_one_line(mount, capfd, copy):
    """Finished runs are still there; what cannot be written is named once, not tried three times per run."""
    spec, runs, row = copy
    place = mount("turned", "-t", "tmpfs", "-o", "size=8m", "tmpfs")
    shutil.copytree(runs, place, dirs_exist_ok=True)
    subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
    with pytest.raises(OSError, match=r"Read-only file system; .* fix it and re-run"):
        local_map([spec, small_spec(seed=5)], place, "test", 1, None, lambda spec, row: None)
    assert same(finished_row(spec, place), row)
