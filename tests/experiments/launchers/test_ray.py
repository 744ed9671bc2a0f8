"""A grid over a real Ray head on the loopback address: the same tables as local processes, whatever is killed."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from experiments.cli import main
from experiments.launchers.launch import launch, local_map
from experiments.launchers.launching import Launching
from experiments.launchers.ray import executor as ray_executor
from experiments.launchers.ray.executor import nobody_at
from experiments.launchers.ray.node import Refusal, node_cache, run_here
from experiments.launchers.workers import AttemptResult, Job
from experiments.runs.collect import collect, from_mlflow, from_records
from experiments.runs.run import finished_row
from experiments.specs.same_code import difference, fingerprint
from experiments.sync.invocation import close_tracking, open_tracking
from tests.support.faults.verdict import tables_equal
from tests.support.servers.ray_cluster import Head, free_port, listening
from tests.support.worlds import small_spec

no_ray = importlib.util.find_spec("ray") is None
needs_ray = pytest.mark.skipif(
    no_ray or sys.platform != "linux", reason="needs Ray (pip install -e '.[cluster]') on Linux"
)


@pytest.fixture(scope="module")
def head():
    found = Head()
    try:
        found.start()
        yield found
    finally:
        found.remove()


@pytest.fixture
def cluster(head, monkeypatch):
    for name, value in head.environment.items():
        monkeypatch.setenv(name, value)
    return head


def grid() -> list:
    """A run that diverges and four others."""
    return [small_spec(seed=0, numbers={"policy_lr": 1e38}), *(small_spec(seed=seed) for seed in range(1, 5))]


def over_ray(head: Head, specs, runs: Path, heard: list) -> list:
    how = Launching(launcher="ray", address=head.address)
    return launch(how, specs, runs, "test", None, lambda spec, row: heard.append(spec.hash))


@needs_ray
@pytest.mark.slow
def test_ray_and_local_processes_give_equal_tables(cluster, tmp_path):
    """A diverged run among them, which is a result and begun once; the head listens on the loopback address alone."""
    heard: list[str] = []
    assert over_ray(cluster, grid(), tmp_path / "ray", heard) == []
    assert local_map(grid(), tmp_path / "local", "test", 1, None, lambda spec, row: None) == []
    for name in ("ray", "local"):
        collect(grid(), tmp_path / name, tmp_path / name)
    assert tables_equal(tmp_path / "ray", tmp_path / "local")
    rows = [finished_row(spec, tmp_path / "ray") for spec in grid()]
    assert [row["state"] for row in rows] == ["diverged", *["finished"] * 4]
    assert [row["attempts"] for row in rows] == [1] * 5
    assert sorted(heard) == sorted(spec.hash for spec in grid())
    loopback = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}
    assert listening(cluster.processes()) <= loopback
    assert not list((cluster.home / "node").glob("*/row.json"))  # handed over, so gone from the node
    assert not list((tmp_path / "ray").glob("*/.arriving"))


@needs_ray
@pytest.mark.slow
def test_a_killed_worker_and_a_restarted_head_lose_nothing(cluster, tmp_path, capfd):
    """Kill -9 in the middle of a run, then of everything: each is one line, and every run is finished once."""
    specs = [small_spec(seed=seed, steps=60, numbers={"responses_per_step": 64}) for seed in range(5)]
    killed: list[int] = []

    said: list[str] = []

    def strike():
        at_work = await_work(cluster)
        killed.append(at_work[0])
        os.kill(at_work[0], signal.SIGKILL)
        await_word(said, capfd, "retrying")  # until then it may be the first sign that the whole cluster goes
        await_rows(tmp_path, 1)
        await_work(cluster)
        cluster.stop()
        killed.append(0)
        cluster.start()

    thread, heard = threading.Thread(target=strike), list[str]()
    thread.start()
    failures = over_ray(cluster, specs, tmp_path, heard)
    thread.join()
    assert failures == []
    assert len(killed) == 2
    assert sorted(heard) == sorted(spec.hash for spec in specs)
    assert [finished_row(spec, tmp_path)["state"] for spec in specs] == ["finished"] * 5
    lines = "".join([*said, capfd.readouterr().err]).splitlines()
    assert len([line for line in lines if "retrying" in line]) == 1
    assert len([line for line in lines if "is unavailable; waiting up to" in line]) == 1
    assert len(lines) == 2, lines


@needs_ray
@pytest.mark.slow
@pytest.mark.parametrize("store", ["file", "server"])
def test_runs_that_share_a_gpu_reach_mlflow(store, cluster, tmp_path, monkeypatch):
    """To a file the command writes when a run arrives, to a server the nodes write as they go: the same points."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with served(tmp_path) if store == "server" else nullcontext() as address:
        if address:
            monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        tracking = open_tracking(tmp_path, "shared GPU")
        assert tracking is not None
        how = Launching(launcher="ray", address=cluster.address, gpus_per_run=0.5)
        specs = [small_spec(seed=seed) for seed in range(4)]
        assert launch(how, specs, tmp_path, "shared GPU", tracking, lambda spec, row: None) == []
        close_tracking(tracking)
        recorded = from_records(specs, tmp_path)
        stored = from_mlflow(tracking.uri, "shared GPU", [spec.hash for spec in specs])
        assert [run.row for run in stored] == [run.row for run in recorded]
        for mine, theirs in zip(recorded, stored, strict=True):
            assert [step for step, _ in mine.points] == [step for step, _ in theirs.points]


@contextmanager
def served(folder: Path):
    """An MLflow server on the loopback address."""
    port = free_port()
    words = ["server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
             "--backend-store-uri", f"sqlite:///{folder}/server.db", "--artifacts-destination", f"{folder}/served"]  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", *words], start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        end = time.monotonic() + 120
        while time.monotonic() < end and nobody_at(f"127.0.0.1:{port}"):
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@needs_ray
@pytest.mark.slow
def test_a_cluster_without_room_is_waited_for_and_said_once(cluster, tmp_path, capfd):
    job = Job(tmp_path, "test", None)
    executor = ray_executor.RayExecutor(job, Launching(launcher="ray", address=cluster.address, gpus_per_run=4))
    try:
        for _ in range(10):
            assert executor.poll() == []
        assert not executor.has_capacity()
    finally:
        executor.stop()
    said = capfd.readouterr().err
    assert said.splitlines() == [
        "the Ray cluster has no room for a run (cpus_per_run 1, gpus_per_run 4); waiting for machines to join"
    ]


def await_work(head: Head) -> list[int]:
    """Processes at a run, once there are any."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        homes = list((head.home / "node").glob("*/metrics.jsonl"))
        found = head.processes("ray::run_here")
        if homes and found:
            return found
        time.sleep(0.02)
    raise AssertionError("no run was begun")


def await_rows(runs: Path, number: int) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end and len(list(runs.glob("*/row.json"))) < number:
        time.sleep(0.02)


def await_word(said: list[str], capfd, word: str) -> None:
    """Until standard error says it; what is said meanwhile is added to `said`."""
    end = time.monotonic() + 120
    while time.monotonic() < end and word not in "".join(said):
        said.append(capfd.readouterr().err)
        time.sleep(0.05)


# --- without a cluster ---


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--address", "ray://10.0.0.1:10001"], "HOST:PORT"),
        (["--address", f"127.0.0.1:{free_port()}"], "cannot connect to a Ray cluster"),
        (["--address", "somewhere"], "no HOST:PORT"),
        (["--cpus-per-run", "0"], "cpus_per_run"),
        (["--launcher", "rai"], "launcher"),
    ],
)
def test_what_cannot_be_is_one_line_and_exit_code_2(words, said, tmp_path, capfd, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    if "no Ray" in said and no_ray:
        pytest.skip("needs Ray (pip install -e '.[cluster]')")
    assert main(["ablate", "--launcher", "ray", "--preset", "smoke", "--runs", str(tmp_path), *words]) == 2
    error = capfd.readouterr().err
    assert error.count("\n") == 1
    assert said in error


def test_a_missing_package_is_named_with_its_extra(monkeypatch, tmp_path):
    monkeypatch.setattr(ray_executor.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"\.\[cluster\]"):
        launch(Launching(launcher="ray"), [small_spec()], tmp_path, "test", None, lambda spec, row: None)


def test_a_node_with_other_code_refuses(tmp_path):
    """In one line that says what differs, before anything is computed."""
    code = {**fingerprint(), "torch": "1.0"}
    (said,) = run_here("not even a spec", "test", None, code)
    assert isinstance(said, Refusal)
    assert "torch" in said.reason
    assert "1.0 here" in said.reason
    assert difference(fingerprint(), fingerprint()) == ""


def test_a_node_hands_a_run_over_and_keeps_what_others_need(tmp_path, monkeypatch):
    monkeypatch.setenv("VAPO_NODE_CACHE", str(tmp_path))
    spec = small_spec()
    answer, *files = run_here(spec.model_dump_json(), "test", None, fingerprint())
    assert isinstance(answer, AttemptResult)
    assert answer.row["spec"] == spec.hash
    names = {piece.name for piece in files}
    assert {"row.json", "spec.json", "metrics.jsonl"} <= names
    assert "lock" not in names
    assert (
        next(piece.content for piece in files if piece.name == "row.json") == json.dumps(answer.row, indent=2).encode()
    )
    assert not (tmp_path / spec.hash).exists()
    assert list((tmp_path / "critics").glob("*/critic.safetensors"))


def test_the_nodes_folder_is_its_owners(tmp_path, monkeypatch):
    monkeypatch.delenv("VAPO_NODE_CACHE", raising=False)
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    assert node_cache() == tmp_path / f"vapo-{os.getuid()}" / "runs"
    assert (tmp_path / f"vapo-{os.getuid()}").stat().st_mode & 0o077 == 0
    (tmp_path / f"vapo-{os.getuid()}").rmdir()
    (tmp_path / "other").mkdir()
    (tmp_path / f"vapo-{os.getuid()}").symlink_to(tmp_path / "other")
    with pytest.raises(PermissionError, match="VAPO_NODE_CACHE"):
        node_cache()
