"""Memory of a tiny run: its peak, and what it grows by once it has settled."""

import resource
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from experiments.benchmarks.timing import TimingRow, number
from experiments.runs.run import build_trainer
from experiments.specs.spec import spec_for
from vapo_core.settings import DEFAULT_SETTINGS, Evaluation, Settings

PAGE = resource.getpagesize() / 2**20
SETTLED = 100
"""RL steps after which growth counts."""


def measure(quick: bool) -> list[TimingRow]:
    """1,000 steps of a tiny language model with few responses a step, in a process of its own; megabytes in memory."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(_run, 150 if quick else 1000).result()


def _run(steps: int) -> list[TimingRow]:
    small = {"responses_per_step": 32, "group_size": 4, "pool_size": 16, "warmup_steps": 2}
    settings = Settings(**{**DEFAULT_SETTINGS["lm"].model_dump(), **small})
    evaluation = Evaluation(every=100, problems=32, k=2, k_problems=8)
    resident: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        trainer = build_trainer(
            spec_for("vapo", "lm", 0, settings=settings, steps=steps, evaluation=evaluation), Path(folder)
        )
        trainer.run(lambda step, metrics: resident.append(_resident()))
    growth = np.median(resident[-20:]) - np.median(resident[SETTLED - 10 : SETTLED + 10])
    case = f"tiny, {steps} steps of 32 answers"
    return [
        number("memory", case, "peak", np.array([resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]), "MB"),
        number("memory", case, f"growth after step {SETTLED}", np.array([growth]), "MB"),
    ]


def _resident() -> float:
    """Megabytes in memory now; Linux only."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE
