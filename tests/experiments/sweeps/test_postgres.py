"""MLflow and Optuna in a real PostgreSQL server: shared by processes, stopped and started beneath them, and no password seen."""

import importlib.util
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pandas as pd
import pytest

from experiments.cli import main
from experiments.launchers.launch import local_map
from experiments.runs.collect import from_mlflow, from_records
from experiments.services.database import Database
from experiments.services.store import Shared
from experiments.sweeps.space import Dimension, SearchPlan
from experiments.sweeps.tune import claim, failures, open_study, records, work
from experiments.sync.invocation import close_tracking, open_tracking
from experiments.tracking.mlflow_run import is_synced, tracking_uri
from tests.experiments.test_cli import TINY
from tests.support.servers.postgres import PASSWORD, Server, binaries
from tests.support.sizes import WORKERS
from tests.support.worlds import small_spec

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(binaries() is None, reason="needs a PostgreSQL server (Debian: apt-get install postgresql)"),
    pytest.mark.skipif(
        importlib.util.find_spec("psycopg") is None, reason="needs psycopg (pip install -e '.[cluster]')"
    ),
]
ROOT = Path(__file__).parents[3]
ALPHA = Dimension("alpha", "log", 0.02, 20.0, False)


@pytest.fixture(scope="module")
def server():
    found = Server()
    try:
        found.start()
        yield found
    finally:
        found.remove()


@pytest.fixture(scope="module")
def mlflow_address(server):
    """MLflow's tables take seconds to make: one database for all tests."""
    return server.database("mlflow")


def no_password(folder: Path, *said: str) -> None:
    """Neither in a file of the folder, nor in what was said."""
    for text in said:
        assert PASSWORD not in text
    for path in folder.rglob("*"):
        if path.is_file():
            assert PASSWORD.encode() not in path.read_bytes(), path


def test_workers_outlive_a_stop_and_start_of_the_store(server, mlflow_address, tmp_path, monkeypatch, capfd):
    """MLflow in PostgreSQL, stopped in the middle: one line, every point of every run in it once."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_address)
    specs = [small_spec(seed=seed, steps=4) for seed in range(WORKERS + 4)]
    tracking = open_tracking(tmp_path, "outage")
    assert tracking is not None

    def outage():
        while len(list(tmp_path.glob("*/row.json"))) < 3:
            time.sleep(0.05)
        server.stop()
        time.sleep(3)
        server.start()

    thread = threading.Thread(target=outage)
    thread.start()
    assert local_map(specs, tmp_path, "outage", WORKERS, tracking, lambda spec, row: None) == []
    thread.join()
    close_tracking(tracking)
    uri = tracking_uri(tmp_path)
    assert all(is_synced(tmp_path / spec.hash, uri) for spec in specs)
    recorded = from_records(specs, tmp_path)
    stored = from_mlflow(uri, "outage", [spec.hash for spec in specs])
    assert [run.row for run in stored] == [run.row for run in recorded]
    for mine, theirs in zip(recorded, stored, strict=True):
        assert [step for step, _ in mine.points] == [step for step, _ in theirs.points]
        for (_, here), (_, there) in zip(mine.points, theirs.points, strict=True):
            assert there == pytest.approx(here)
    assert every_run_once(uri, tracking.experiment_id) == len(specs)
    said = capfd.readouterr()
    assert said.err.count("MLflow's database is unavailable") == 1
    assert len(said.err.splitlines()) == 1, said.err
    no_password(tmp_path, said.out, said.err, repr(tracking))


def every_run_once(uri: str, experiment: str) -> int:
    """Child runs in the store that are not deleted, finished or not."""
    from mlflow.tracking import MlflowClient

    found = MlflowClient(uri).search_runs([experiment], "tags.state != ''", max_results=1000)
    names = [run.data.tags["spec"] for run in found]
    assert len(names) == len(set(names))
    return len(names)


class Slow:
    """An objective that notes each evaluation, takes its time and does not mind when it is asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, values, index, number):
        with (self.folder / f"{os.getpid()}").open("a") as handle:
            handle.write(f"{values['alpha']} {index}\n")
        time.sleep(0.3)
        return values["alpha"] - index


def shared_at(address: str, folder: Path) -> Shared:
    found = Shared(Database(address.replace("postgresql:", "postgresql+psycopg:")), folder / "away")
    found.database.prepare()
    return found


def test_workers_of_one_study_outlive_a_stop_and_start_of_the_store(server, tmp_path, capfd):
    """Optuna in PostgreSQL: every trial once, each process says nothing or all of them say one line together."""
    wanted = SearchPlan("outage", (ALPHA,), 3 * WORKERS, 2, "qmc", 7, "none")
    place = shared_at(server.database("optuna_outage"), tmp_path)
    (tmp_path / "lines").mkdir()
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=work, args=({wanted: Slow(tmp_path / "lines")}, place)) for _ in range(WORKERS)]
    for process in processes:
        process.start()
    while not list((tmp_path / "lines").iterdir()):
        time.sleep(0.05)
    time.sleep(1)
    server.stop()
    time.sleep(2)
    server.start()
    for process in processes:
        process.join(240)
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
    assert set(codes) == {0}
    study = open_study(place, wanted)
    assert [record.slot for record in records(study, wanted)] == list(range(3 * WORKERS))
    assert {record.state for record in records(study, wanted)} == {"complete"}
    assert failures(study) == []
    lines = [line for path in (tmp_path / "lines").iterdir() for line in path.read_text().splitlines()]
    assert len(lines) == len(set(lines)) == 6 * WORKERS
    said = capfd.readouterr().err
    assert said.count("is unavailable") == 1
    assert len(said.splitlines()) == 1, said
    no_password(tmp_path, said, repr(place))


def test_a_dead_workers_trial_is_tried_again_by_another_machine(server, tmp_path, monkeypatch):
    """Its signs of life stop, and after the silence its parameters go to somebody else."""
    monkeypatch.setattr("experiments.services.database.SILENCE_S", 4.0)
    monkeypatch.setattr("experiments.services.database.BEAT_S", 0.2)
    time.sleep(4.5)  # a server just started counts everybody as alive
    wanted = SearchPlan("deaths", (ALPHA,), 2, 1, "qmc", 7, "none")
    place = shared_at(server.database("optuna_deaths"), tmp_path)
    with place.working() as alive, place.working() as another:
        assert place.is_alive(alive)
        time.sleep(5)
        assert place.is_alive(alive)  # it keeps beating
        study = open_study(place, wanted)
        mine = claim(study, wanted, place, alive)
        lost = claim(study, wanted, place, "a worker that never beats")
        again = claim(study, wanted, place, another)
        assert again.params == lost.params != mine.params
        assert [reason for _, reason in failures(study)] == ["its process died"]


def test_rows_are_taken_once_and_found_everywhere(server, tmp_path):
    place = shared_at(server.database("rows"), tmp_path)
    asked = []

    def compute():
        asked.append(1)
        return {"auc": 0.5}

    assert place.in_turn("a", compute) == place.in_turn("a", compute) == {"auc": 0.5}
    assert asked == [1]
    with place.working() as other:
        assert place.database.take("b", other)
        with pytest.raises(OSError, match="another machine"):
            place.in_turn("b", compute)
        place.database.leave("b", other)
    with pytest.raises(RuntimeError):
        place.in_turn("b", lambda: (_ for _ in ()).throw(RuntimeError("broken")))
    assert place.in_turn("b", compute) == {"auc": 0.5}


def test_two_machines_share_a_sweep_and_both_make_its_tables(server, mlflow_address, tmp_path):
    """Two commands with folders of their own: no cell is run twice, and their tables are equal."""
    address = server.database("sweep")
    words = ["sweep", "alpha", "--preset", "smoke", "--workers", "1", "--trials", "3", "--no-control", *TINY]
    environment = {
        **os.environ,
        "MLFLOW_TRACKING_URI": mlflow_address,
        "OPTUNA_STORAGE": address,
        "OMP_NUM_THREADS": "1",
    }
    commands = [
        subprocess.Popen(
            [sys.executable, "-m", "experiments", *words, "--runs", str(tmp_path / name)],
            cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for name in ("one", "two")
    ]  # fmt: skip
    try:
        said = [text for command in commands for text in command.communicate(timeout=900)]
    finally:
        for command in commands:
            command.kill()
    assert [command.returncode for command in commands] == [0, 0], said
    tables = [pd.read_csv(next((tmp_path / name).glob("sweep-*/sweep.csv"))) for name in ("one", "two")]
    pd.testing.assert_frame_equal(*tables)
    assert tables[0]["spec"].nunique() == 3 * 4
    rows = [{path.parent.name for path in (tmp_path / name).glob("*/row.json")} for name in ("one", "two")]
    assert not rows[0] & rows[1]
    no_password(tmp_path, *said)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda address: address.replace(PASSWORD, f"{PASSWORD}-wrong"), "authentication failed"),
        (lambda address: address.replace("/postgres", "/nowhere"), "does not exist"),
        (lambda address: address.replace(f"{PASSWORD}@", f"{PASSWORD}@@"), "%40"),
        (lambda address: address.replace("postgresql:", "mysql:"), "expected postgresql://"),
        (lambda address: address.replace("127.0.0.1:", "127.0.0.1:x"), "expected postgresql://"),
        (lambda address: address.split("127")[0] + "127.0.0.1:1/vapo", "refused"),
    ],
)
def test_no_error_shows_a_password(change, said, server, tmp_path, capfd, monkeypatch):
    """Neither the command's own nor a driver's, whatever is wrong with the address."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    address = change(server.address)
    assert main(["sweep", "alpha", "--preset", "smoke", "--runs", str(tmp_path), "--storage", address]) == 2
    heard = capfd.readouterr()
    assert heard.err.count("\n") == 1, heard.err
    assert said in heard.err
    no_password(tmp_path, heard.out, heard.err)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    assert main(["ablate", address, "--runs", str(tmp_path)]) == 2
    assert main(["sync", "--runs", str(tmp_path)]) in (0, 1, 2)
    heard = capfd.readouterr()
    no_password(tmp_path, heard.out, heard.err)


def test_a_dry_run_and_a_traceback_show_no_password(server, tmp_path, monkeypatch):
    words = ["sweep", "alpha", "--dry-run", "--runs", str(tmp_path), "--storage", server.address]
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from experiments.cli import main; sys.exit(main({words!r}))"
    broken = f"import experiments.cli as c; c.COMMANDS['x'] = ('os', ''); c.main(['x', {server.address!r}]); " \
             f"raise RuntimeError({server.address!r})"  # fmt: skip
    for program in (code, broken):
        done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
        assert PASSWORD not in done.stdout + done.stderr.replace(program, "")
        assert done.stdout or "RuntimeError" in done.stderr or "AttributeError" in done.stderr
    no_password(tmp_path)
