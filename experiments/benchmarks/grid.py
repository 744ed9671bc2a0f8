"""Throughput of a grid against workers, the share that tracking takes, and how long the command takes to start."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from experiments.benchmarks.timing import TimingRow, number, rows
from experiments.launchers.launch import local_map
from experiments.launchers.workers import one_thread
from experiments.runs.run import run_one
from experiments.specs.spec import DEFAULT_TASK, RunSpec, log_every, spec_for
from experiments.sync.invocation import open_tracking
from experiments.tracking.mlflow_run import Tracking


def measure(quick: bool) -> list[TimingRow]:
    """Walk runs with 1 and 2 workers, from the first row to the last; tracked and untracked runs in turn; `vapo --help`."""
    one_thread()
    runs = 8 if quick else 40
    rates = {workers: _rate(workers, runs) for workers in (1, 2)}
    found = [
        number("grid", f"{runs} walk runs", f"{workers} workers", np.array([rate]), "runs/s")
        for workers, rate in rates.items()
    ]
    found.append(number("grid", f"{runs} walk runs", "2 workers over 1", np.array([rates[2] / rates[1]]), "ratio"))
    found += _tracking("walk", 4 if quick else 16)
    if not quick:
        found += _tracking("lm", 4)
    return [*found, number("start", "vapo --help", "", _starts(3 if quick else 10), "s")]


def _specs(world: str, first: int, runs: int) -> list[RunSpec]:
    return [spec_for("vapo", world, first + seed, log_every=log_every(world, 30)) for seed in range(runs)]


def _rate(workers: int, runs: int) -> float:
    """Runs per second between the first finished run and the last, so that starting the processes does not count."""
    ends: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        tracking = open_tracking(Path(folder), "bench")
        local_map(
            _specs("walk", 0, runs), Path(folder), "bench", workers, tracking,
            lambda spec, row: ends.append(time.perf_counter()),
        )  # fmt: skip
    return (len(ends) - 1) / (ends[-1] - ends[0])


def _tracking(world: str, repetitions: int) -> list[TimingRow]:
    """Seconds of a run with MLflow and without, on the same seeds."""
    with tempfile.TemporaryDirectory() as folder:
        records = Path(folder)
        tracking = open_tracking(records / "tracked", "bench")
        places = {"records only": (records / "plain", None), "records and MLflow": (records / "tracked", tracking)}
        for place, store in places.values():
            _seconds(_specs(world, 999, 1)[0], place, store)
        seconds: dict[str, list[float]] = {name: [] for name in places}
        for turn, spec in enumerate(_specs(world, 0, repetitions)):
            for name in list(places) if turn % 2 else reversed(list(places)):
                seconds[name].append(_seconds(spec, *places[name]))
    found = {name: np.array(x) for name, x in seconds.items()}
    return rows("tracking", f"{world}, {DEFAULT_TASK[world]}, 30 steps", found, "records only")


def _seconds(spec: RunSpec, runs: Path, tracking: Tracking | None) -> float:
    started = time.perf_counter()
    run_one(spec, runs, "bench", tracking)
    return time.perf_counter() - started


def _starts(repetitions: int) -> np.ndarray:
    seconds = []
    for _ in range(repetitions):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "experiments", "--help"], capture_output=True, check=True)
        seconds.append(time.perf_counter() - started)
    return np.array(seconds)
