"""Estimates of run time for every command: from finished runs of the same kind, else a guess."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import median
from typing import NamedTuple

from experiments.cost.footprint import run_seconds
from experiments.launchers.progress import on_workers
from experiments.runs.repair import timed_rows
from experiments.runs.run import as_text
from experiments.specs.exact import AnySpec, ExactSpec
from experiments.specs.spec import DEFAULT_STEPS
from vapo_core.settings import BASE_SIZES

SECONDS: Mapping[str, float] = {"exact": 2.0, "walk": 2.0, "lm": 15.0}
"""Of one run on one core with the default settings and steps, while no such run is recorded."""

SECONDS_WITH_PROBES: Mapping[str, float] = {"walk": 3.0, "lm": 25.0}
"""The same where probes are measured."""

Kind = tuple[str, str, int, str, str]
"""World, task (or what an exact run measures), RL steps, a checkpoint's name and probes: runs of one kind cost about the
same. Probes can take longer than training."""


class RunTime(NamedTuple):
    """What some runs take together."""

    seconds: float
    runs: int
    measured: int
    """Of these runs, those of a kind that has finished before; the others are guessed."""

    @property
    def per_run(self) -> float:
        """Mean seconds of a run."""
        return self.seconds / self.runs if self.runs else 0.0

    @property
    def origin(self) -> str:
        """Where the numbers come from, for a person."""
        if not self.measured:
            return "a guess: no such run has finished here"
        if self.measured < self.runs:
            return f"{self.measured} of {self.runs} from finished runs of the same kind, the rest a guess"
        return "the median of finished runs of the same kind"


def estimate(specs: Iterable[AnySpec], runs: Path) -> RunTime:
    """How long these runs take, given what is recorded in `runs`."""
    known = median_seconds(runs)
    listed = [(kind_of(spec), spec) for spec in specs]
    seconds = sum(known[kind] if kind in known else _guess(spec) for kind, spec in listed)
    return RunTime(seconds, len(listed), sum(kind in known for kind, _ in listed))


def cost_line(time: RunTime, workers: int | None, unit: str = "core") -> str:
    """Core-hours, time left on so many workers, seconds per run, and where these come from."""
    if not time.runs:
        return "nothing"
    return (
        f"about {time.seconds / 3600:.2f} {unit}-hours{on_workers(time.seconds, workers)}"
        f" ({time.per_run:.1f} s per run; {time.origin})"
    )


def kind_of(spec: AnySpec) -> Kind:
    """The key by which runs of equal cost are grouped."""
    if isinstance(spec, ExactSpec):
        return spec.world, spec.plan.measure, spec.steps, "", ""
    return spec.world, spec.task.name, spec.steps, _checkpoint(spec.base.model), as_text(spec.probes)


def _checkpoint(model: str) -> str:
    """A checkpoint's name; nothing for base models made here, whose sizes a plan does not mix."""
    return "" if model in BASE_SIZES else model


def median_seconds(runs: Path) -> dict[Kind, float]:
    """Median seconds of finished runs of every kind in a folder; a diverged run stops early and tells nothing."""
    found: dict[Kind, list[float]] = defaultdict(list)
    for row in timed_rows(runs):
        model = _checkpoint(str(row.get("base", "")).rsplit(":", 1)[0])
        world, task, steps, probes = (row.get(name, "") for name in ("world", "task", "steps", "probes"))
        if isinstance(steps, int) and row.get("state") == "finished":
            found[str(world), str(task), steps, model, str(probes)].append(float(row["seconds"]))
    return {kind: median(seconds) for kind, seconds in found.items()}


def _guess(spec: AnySpec) -> float:
    if isinstance(spec, ExactSpec):
        return SECONDS[spec.world]
    if spec.base.model not in BASE_SIZES:
        return run_seconds(spec)
    usual = SECONDS_WITH_PROBES if spec.probes else SECONDS
    return usual[spec.world] * spec.steps / DEFAULT_STEPS[spec.world]
