"""The grid that is struck, as a process of its own, and its workers."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.support.faults.signals import hear_signals

ROOT = Path(__file__).parents[3]
SPAWNED = b"multiprocessing.spawn"


def grid(size: int) -> list[Any]:
    """So many runs, at most eight: four arms, two seeds."""
    from tests.support.worlds import small_spec
    from vapo_core.settings import Toggles

    arms: list[dict[str, Any]] = [
        {}, {"recipe": "ppo"}, {"recipe": "grpo"}, {"toggles": Toggles(group_sampling=False)},
    ]  # fmt: skip
    return [small_spec(seed=seed, steps=5, **arm) for seed in range(2) for arm in arms][:size]


def run_grid(runs: Path, size: int) -> int:
    """What a command does: run what is not finished on two workers, MLflow on, then write the tables."""
    from experiments.launchers.launch import local_map
    from experiments.runs.collect import collect
    from experiments.sync.invocation import tracked

    with tracked(runs, "faults") as tracking:
        failures = local_map(grid(size), runs, "faults", 2, tracking, lambda spec, row: None)
        collect(grid(size), runs, runs / "out")
    for failure in failures:
        print(f"not finished: {failure.spec.hash}: {failure.reason}", file=sys.stderr)
    return 1 if failures else 0


def command(runs: Path, size: int) -> int:
    """The same as `vapo` would do it: a signal ends it in order."""
    from experiments.services.stopping import say_stopped, stoppable

    try:
        with stoppable():
            return run_grid(runs, size)
    except KeyboardInterrupt as stop:
        return say_stopped(stop)


def start(runs: Path, size: int) -> subprocess.Popen[str]:
    """The grid as a process of its own, in a session of its own, its workers its children."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    environment.pop("MLFLOW_TRACKING_URI", None)
    words = [sys.executable, "-m", "tests.support.faults.strikes", "--grid", str(runs), "--size", str(size)]
    return subprocess.Popen(
        words, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=hear_signals,
    )  # fmt: skip


def hears(process: int) -> bool:
    """Whether a process has a handler for SIGTERM: before, it is Python that answers, not we."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return False
    caught = next((line.split()[1] for line in status.splitlines() if line.startswith("SigCgt")), "0")
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)


def workers_of(parent: int) -> list[int]:
    """Process ids of a parent's workers, read from /proc."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rsplit(")", 1)[1].split()[1]) == parent:
                line = (stat.parent / "cmdline").read_bytes()
                found += [int(stat.parent.name)] if SPAWNED in line and b"resource_tracker" not in line else []
        except (OSError, IndexError, ValueError):
            continue
    return found


def kill(process: int) -> bool:
    """Kill -9; False if it was gone already."""
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def strike(command: subprocess.Popen[str], kind: str, number: int, dice: random.Random) -> list[int]:
    """Send a signal to what the kind names; returns the workers there were."""
    workers = workers_of(command.pid)
    if kind == "group":
        os.killpg(command.pid, number)
    if kind in ("parent", "both"):
        command.send_signal(number)
    for worker in {"both": workers, "worker": dice.sample(workers, min(1, len(workers)))}.get(kind, []):
        kill(worker)
    return workers


def alive(process: int) -> bool:
    """Whether a process runs; one that is only waited for does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def orphans(workers: list[int], wait_s: float = 10.0) -> int:
    """Workers still alive so long after their parent's death; these are killed."""
    deadline = time.monotonic() + wait_s
    while any(map(alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    left = [worker for worker in workers if alive(worker)]
    return len([worker for worker in left if kill(worker)])
