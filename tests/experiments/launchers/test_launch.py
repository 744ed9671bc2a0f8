"""Runs on several processes: who is blamed for a death, two commands at once, what failed and why."""

import json
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from experiments.launchers import launch
from experiments.launchers.launch import MOST_ATTEMPTS, local_map
from experiments.launchers.workers import AttemptResult, Job, Worker, storage_trouble
from experiments.runs.run import finished_row, run_one
from experiments.services.claims import Busy, claimed
from tests.support.faults import processes
from tests.support.worlds import small_spec


def nothing(spec, row) -> None:
    """For commands whose rows nobody listens to."""


class Scripted:
    """A worker whose answers are written beforehand: spec hash -> what its attempts come to, in turn."""

    script: dict[str, list[AttemptResult]]
    given: list[str]

    def __init__(self, job):
        self.line, self.there = multiprocessing.Pipe()
        self.process, self.spec = self, None

    def is_alive(self):
        return True

    def submit(self, spec):
        self.spec = spec
        Scripted.given.append(spec.hash)
        self.there.send("done")

    def poll(self):
        self.line.recv()
        spec, self.spec = self.spec, None
        return spec, Scripted.script[spec.hash].pop(0)

    def stop(self):
        self.line.close()


@pytest.fixture
def scripted(monkeypatch):
    monkeypatch.setattr(launch, "Worker", Scripted)
    monkeypatch.setattr(launch, "POLL_S", 0.01)
    Scripted.script, Scripted.given = {}, []
    return Scripted


def test_a_failing_run_is_tried_three_times_and_its_reason_kept(scripted, tmp_path):
    bad, good = small_spec(seed=0), small_spec(seed=1)
    (tmp_path / bad.hash).mkdir()
    scripted.script = {bad.hash: [AttemptResult(reason="it broke")] * 5, good.hash: [AttemptResult(row={"auc": 1})]}
    failures = local_map([bad, good], tmp_path, "test", 1, None, nothing)
    assert [(failure.spec, failure.reason) for failure in failures] == [(bad, "it broke")]
    assert scripted.given.count(bad.hash) == MOST_ATTEMPTS == 3
    assert scripted.given[:2] == [bad.hash, good.hash]  # the next try waits for its turn
    assert json.loads((tmp_path / bad.hash / "failure.json").read_text())["reason"] == "it broke"


def test_a_failure_that_passes_is_no_failure(scripted, tmp_path):
    spec = small_spec()
    scripted.script = {
        spec.hash: [AttemptResult(reason="once"), AttemptResult(reason="twice"), AttemptResult(row={"auc": 1})]
    }
    done = []
    assert local_map([spec], tmp_path, "test", 1, None, lambda spec, row: done.append(row)) == []
    assert done == [{"auc": 1}]


def test_runs_start_in_the_order_given(scripted, tmp_path):
    specs = [small_spec(seed=seed) for seed in (3, 1, 2)]
    scripted.script = {spec.hash: [AttemptResult(row={})] for spec in specs}
    local_map(specs, tmp_path, "test", 1, None, nothing)
    assert scripted.given == [spec.hash for spec in specs]


def test_a_run_of_another_command_is_left_for_last_and_said_once(scripted, tmp_path, capsys):
    other, own = small_spec(seed=0), small_spec(seed=1)
    for spec in (other, own):
        (tmp_path / spec.hash).mkdir()
    scripted.script = {
        other.hash: [AttemptResult(busy=True)] * 4 + [AttemptResult(row={})],
        own.hash: [AttemptResult(row={})],
    }
    assert local_map([other, own], tmp_path, "test", 1, None, nothing) == []
    assert scripted.given[:2] == [other.hash, own.hash]
    assert capsys.readouterr().err.count("another command") == 1


def test_a_run_that_another_command_holds_without_progress_is_given_up(scripted, tmp_path):
    spec = small_spec()
    home = tmp_path / spec.hash
    home.mkdir()
    (home / "metrics.jsonl").touch()
    long_ago = time.time() - 2 * launch.LONGEST_WAIT_S
    os.utime(home / "metrics.jsonl", (long_ago, long_ago))
    os.utime(home, (long_ago, long_ago))
    scripted.script = {spec.hash: [AttemptResult(busy=True)]}
    (failure,) = local_map([spec], tmp_path, "test", 1, None, nothing)
    assert "another command holds it" in failure.reason


def test_a_full_disk_stops_everything_with_its_own_name(scripted, tmp_path):
    specs = [small_spec(seed=seed) for seed in range(3)]
    scripted.script = {spec.hash: [AttemptResult(reason="x", storage=(28, "/full/place"))] for spec in specs}
    with pytest.raises(OSError, match=r"No space left on device; .* '/full/place'"):
        local_map(specs, tmp_path, "test", 1, None, nothing)
    assert len(scripted.given) == 1


@pytest.mark.parametrize(
    ("error", "number"),
    [
        (OSError(28, "No space left on device", "/tmp/x"), 28),
        (OSError(30, "Read-only file system", "RUNS/a"), 30),
        (OSError(13, "Permission denied", "/elsewhere"), None),
        (RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"), 28),
        (ValueError("no such thing"), None),
    ],
)
def test_storage_trouble_is_told_from_a_runs_own(error, number, tmp_path):
    if isinstance(error, OSError):
        error.filename = error.filename.replace("RUNS", str(tmp_path))
    try:
        raise RuntimeError("outer") from error
    except RuntimeError as outer:
        found = storage_trouble(outer, tmp_path)
    assert (found and found[0]) == number


def test_a_killed_worker_costs_its_run_an_attempt_and_the_other_nothing(tmp_path):
    """The neighbour's run goes on in its own process; the killed one is begun again in a new process."""
    specs = [small_spec(seed=seed, steps=40, numbers={"responses_per_step": 64}) for seed in (0, 1)]
    killed = []

    def kill_first():
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not all((tmp_path / s.hash / "metrics.jsonl").exists() for s in specs):
            time.sleep(0.01)
        for process in multiprocessing.active_children():
            if not killed:
                killed.append(process.pid)
                process.kill()

    thread = threading.Thread(target=kill_first)
    thread.start()
    assert local_map(specs, tmp_path, "test", 2, None, nothing) == []
    thread.join()
    assert killed
    assert sorted(finished_row(spec, tmp_path)["attempts"] for spec in specs) == [1, 2]
    assert not list(tmp_path.glob("*/failure.json"))


def test_a_worker_says_how_it_ended(tmp_path):
    worker = Worker(Job(tmp_path, "test", None))
    worker.spec = small_spec()
    worker.process.kill()
    _, answer = worker.poll()
    assert "SIGKILL" in answer.reason
    worker.stop()


def long_command(runs) -> None:
    """A command whose only run takes minutes."""
    local_map([small_spec(steps=20_000)], Path(runs), "test", 1, None, nothing)


@pytest.mark.skipif(sys.platform != "linux", reason="finds workers in /proc")
def test_a_killed_command_leaves_no_worker_behind(tmp_path):
    """In the middle of a run, not only between two."""
    words = f"from tests.experiments.launchers.test_launch import long_command; long_command({str(tmp_path)!r})"
    command = subprocess.Popen([sys.executable, "-c", words], cwd=Path(__file__).parents[3])
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("*/metrics.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.05)
    workers = processes.workers_of(command.pid)
    assert len(workers) == 1
    command.kill()
    command.wait()
    assert processes.orphans(workers) == 0


def test_two_commands_on_one_folder_run_nothing_twice(tmp_path):
    """Both end well, each run has one attempt, and each command hears of every row."""
    specs = [small_spec(seed=seed) for seed in range(4)]
    heard = {"one": [], "two": []}
    failures = []

    def command(name, order):
        failures.extend(local_map(order, tmp_path, "test", 1, None, lambda spec, row: heard[name].append(spec.hash)))

    threads = [threading.Thread(target=command, args=x) for x in (("one", specs), ("two", specs[::-1]))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sorted(heard["one"]) == sorted(heard["two"]) == sorted(spec.hash for spec in specs)
    assert [finished_row(spec, tmp_path)["attempts"] for spec in specs] == [1] * 4


def test_a_held_run_is_busy_and_not_waited_for_for_ever(tmp_path):
    spec = small_spec()
    with claimed(tmp_path / spec.hash), pytest.raises(Busy, match="another process"):
        run_one(spec, tmp_path, "test", wait_s=0)
    assert run_one(spec, tmp_path, "test", wait_s=0)["state"] == "finished"
