"""Where the CPU seconds of a run go, phase by phase, each beside its floor; and what every probe takes.

A floor is taken right after what it is the floor of, with the same tokens and weights, so that both meet the same machine.
"""

import resource
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np

from experiments.benchmarks import floor
from experiments.benchmarks.stopwatch import Stopwatch
from experiments.benchmarks.timing import TimingRow, quartiles
from experiments.runs.run import build_trainer
from experiments.specs.spec import RunSpec
from vapo_core import trainer as loop
from vapo_core.probes import PROBES
from vapo_core.training import collect, value_pretraining

PRETRAINING, ROLLOUT, CREDIT, UPDATE, EVALUATION = (
    "value pretraining", "rollout", "values and advantages", "update of policy and critic", "evaluation",
)  # fmt: skip
FLOORED = (PRETRAINING, ROLLOUT, CREDIT, UPDATE, EVALUATION)
"""Phases in which networks have work to do; the others have no floor."""

START, VERIFICATION, METRICS, REST = "start", "verification", "metrics", "rest"
TRAINING = (ROLLOUT, VERIFICATION, CREDIT, UPDATE, EVALUATION, METRICS)
"""What RL steps are made of."""

ALL = (START, PRETRAINING, *TRAINING, REST)

BETWEEN = 15
"""RL steps between measurements of the run with probes: the interval of preset full."""


class Case(NamedTuple):
    """A run to take apart."""

    part: str
    name: str
    spec: RunSpec
    seeds: Sequence[int]
    """A repetition each; none may be a confirmatory one."""


class Times(NamedTuple):
    """CPU seconds of one run."""

    phases: Mapping[str, float]
    floors: Mapping[str, float]
    probes: Mapping[str, float]
    """A measurement, by probe."""
    tokens: float
    """Generated, value pretraining included."""
    answer: float
    """Mean tokens of an answer."""

    @property
    def total(self) -> float:
        """The run's, floors and probes not included."""
        return sum(self.phases.values())


def rows_of(case: Case) -> list[TimingRow]:
    """Rows of a case: the whole run, its phases, the run with every probe, and the probes. For a process of its own.

    A run nobody watches warms up, and has the peak memory: what floors and probes need is not the run's.
    """
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        build_trainer(case.spec.model_copy(update={"seed": case.seeds[0]}), cache).run(lambda step, metrics: None)
        peak = megabytes()
        times = [
            watched(case.spec.model_copy(update={"seed": seed, "probes": probes}), cache)
            for seed in case.seeds
            for probes in ({}, dict.fromkeys(PROBES, BETWEEN))
        ]
    return _table(case, times[::2], times[1::2], peak)


def megabytes() -> float:
    """Most that this process has had in memory."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (2**20 if sys.platform == "darwin" else 2**10)


def watched(spec: RunSpec, cache: Path) -> Times:
    """One run with everything timed; value pretraining is done afresh, in a cache of its own."""
    watch = Stopwatch()
    with watch.phase(START):
        trainer = build_trainer(spec, cache)
    lengths: list[float] = []
    with tempfile.TemporaryDirectory() as own, _watching(watch, trainer, spec), watch.phase(REST):
        trainer.cache = Path(own)
        trainer.run(lambda step, metrics: lengths.append(metrics.get("response_length/mean", float("nan"))))
    probes = {name: watch.seconds[name] / watch.entries[name] for name in PROBES if watch.ended[name]}
    floors = {name: watch.seconds[_floor(name)] for name in FLOORED}
    phases = {name: watch.seconds[name] for name in ALL}
    return Times(phases, floors, probes, float(trainer.progress.tokens), float(np.nanmean(lengths)))


def _floor(phase: str) -> str:
    return f"floor of {phase}"


@contextmanager
def _watching(watch: Stopwatch, trainer: Any, spec: RunSpec) -> Iterator[None]:
    """Within it, the trainer's phases are told apart, and floors are taken after them."""
    world, settings = trainer.world, spec.settings
    both, mini_batches = [world.policy, world.critic], settings.mini_batches

    def sampled(rollout: Any, problems: Any, answers: int, seed: int) -> None:
        if watch.inner in FLOORED:  # a probe's samples are its own business
            with watch.phase(_floor(watch.inner)):
                floor.sample(world, rollout, answers)

    def valued(found: Any, *arguments: Any) -> None:
        with watch.phase(_floor(CREDIT)):
            floor.forward(world.critic, found.batch)

    def updated(trace: Any, batch: Any, *arguments: Any) -> None:
        with watch.phase(_floor(UPDATE)):
            floor.forward_backward(both, batch, mini_batches, settings.epochs)

    def fitted(nothing: None, learner: Any, batch: Any, *arguments: Any) -> None:
        with watch.phase(_floor(PRETRAINING)):
            floor.forward_backward([world.critic], batch, mini_batches, 1)

    with ExitStack() as stack:
        for owner, name, phase, after in (
            (loop, "warm_start", PRETRAINING, None),
            (value_pretraining, "_regress", PRETRAINING, fitted),
            (loop, "gather", ROLLOUT, None),
            (world.engine, "generate", "", sampled),
            (collect, "grade_all", VERIFICATION, None),
            (loop, "prepare", CREDIT, valued),
            (loop, "update", UPDATE, updated),
            (loop, "evaluate", EVALUATION, None),
            (trainer, "_before_update", METRICS, None),
            (trainer, "_after_update", METRICS, None),
        ):
            stack.enter_context(watch.watching(owner, name, phase, after))
        stack.enter_context(patch.object(loop, "PROBES", _timed_probes(watch)))
        yield


def _timed_probes(watch: Stopwatch) -> dict[str, Any]:
    """Every probe as a phase of its own."""

    def timed(name: str, view: Any) -> Any:
        with watch.phase(name):
            return PROBES[name](view)

    return {name: partial(timed, name) for name in PROBES}


def _table(case: Case, plain: Sequence[Times], probed: Sequence[Times], peak: float) -> list[TimingRow]:
    steps = case.spec.steps
    total, bare = np.array([t.total for t in plain]), np.array([sum(t.floors.values()) for t in plain])
    tokens, answer = np.mean([t.tokens for t in plain]), np.mean([t.answer for t in plain])
    name = f"{case.name}, {answer:.0f} tokens an answer"
    found = [row(case.part, name, "whole run", total, bare, "floor", float(tokens), peak)]
    for phase in ALL:
        own = np.array([t.phases[phase] for t in plain])
        below = np.array([t.floors.get(phase, np.nan) for t in plain])
        found.append(row(case.part, name, phase, own, below, "floor"))
    measured = np.array([t.total + sum(t.probes.values()) * len(moments(steps)) for t in probed])
    found.append(row(case.part, name, f"whole run, every probe each {BETWEEN} steps", measured, total, "whole run"))
    step = np.array([sum(t.phases[phase] for phase in TRAINING) / steps for t in plain])
    for probe in PROBES:
        if all(probe in t.probes for t in probed):
            own = np.array([t.probes[probe] for t in probed])
            found.append(row("probes", f"{case.part}, {name}", probe, own, step, "RL step"))
    return found


def moments(steps: int) -> list[int]:
    """RL steps after which the run with probes measures."""
    return sorted({0, steps, *range(0, steps, BETWEEN)})


def row(
    part: str, case: str, variant: str, seconds: np.ndarray, below: np.ndarray, reference: str,
    tokens: float = float("nan"), peak: float = float("nan"),
) -> TimingRow:  # fmt: skip
    """Seconds, those of the reference, and their ratio in the same run."""
    unit = "tokens" if tokens == tokens else ""
    return TimingRow(
        part, case, variant, *quartiles(seconds), "s", len(seconds), reference, *quartiles(seconds / below), tokens, unit,
        quartiles(below)[0], peak,
    )  # fmt: skip
