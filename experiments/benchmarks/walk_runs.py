"""The walk: whole runs per core-minute, and exact moments per cell."""

import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from experiments.benchmarks.timing import TimingRow, number, take_turns
from experiments.runs.run import run_one
from experiments.specs.spec import log_every, spec_for
from vapo_core.oracles.instances import InstanceDials, critic_with_error, reasoning_mdp
from vapo_core.oracles.tabular import adaptive, by_length, constant_lambda


def measure(quick: bool) -> list[TimingRow]:
    """Runs of the default ablation's reference arm on one thread, without tracking; then moments over horizon."""
    torch.set_num_threads(1)
    found = [number("walk", "vapo, 30 steps", "runs per core-minute", _runs(2 if quick else 10), "runs/min")]
    for horizon in (64,) if quick else (64, 1024, 16_384):
        found.append(number("exact moments", f"horizon {horizon}", "constant lambda", _constant(horizon), "s"))
    found.append(number("exact moments", "horizon 64", "lambda by own length", _by_length(64), "s"))
    return found


def _runs(repetitions: int) -> np.ndarray:
    rates = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(repetitions + 1):
            started = time.perf_counter()
            run_one(spec_for("vapo", "walk", seed, log_every=log_every("walk", 30)), Path(folder), "bench")
            rates.append(60 / (time.perf_counter() - started))
    return np.array(rates[1:])


def _constant(horizon: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    instance = reasoning_mdp(InstanceDials(horizon=horizon, fatal=1 / horizon, slip=0.1), rng)
    critic = critic_with_error(instance, "state", 0.1, rng)
    return take_turns({"moments": lambda: constant_lambda(instance.mdp, critic, 0.9)}, 5)["moments"]


def _by_length(horizon: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    instance = reasoning_mdp(InstanceDials(horizon=horizon, fatal=1 / horizon, slip=0.1, stop=2 / horizon), rng)
    critic = critic_with_error(instance, "state", 0.1, rng)
    return take_turns({"moments": lambda: by_length(instance.mdp, critic, adaptive(0.5, horizon))}, 5)["moments"]
