"""What a study still has to run, and what that costs."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from experiments.cost.footprint import memory_lines, run_seconds
from experiments.launchers.progress import on_workers
from experiments.runs.repair import timed_rows
from experiments.runs.run import as_text
from experiments.specs.exact import AnySpec, ExactSpec
from experiments.specs.spec import DEFAULT_STEPS
from vapo_core.settings import BASE_SIZES

SECONDS = {"exact": 2.0, "walk": 3.0, "lm": 25.0}
"""Of one run with its probes on one core, while no such run is recorded: a guess."""

Kind = tuple[str, str, int, str, str]
"""World, task (or what an exact run measures), RL steps, a checkpoint's name and probes: runs of one kind cost about the
same. Probes can take longer than training."""


def study_cost(
    stem: str, preset: str, specs: Sequence[AnySpec], missing: Sequence[AnySpec], runs: Path, workers: int | None
) -> list[str]:
    """Runs by world, how many are finished, core-hours and time left.

    Args:
        specs: every run of the study.
        missing: those that no results folder holds.
        runs: folder of records; finished ones there tell the pace.
    """
    todo = [spec for spec in missing if not (runs / spec.hash / "row.json").exists()]
    pace = measured_pace(runs)
    seconds = sum(pace.get(kind_of(spec), _guess(spec)) for spec in todo)
    known = sum(kind_of(spec) in pace for spec in todo)
    unit = "GPU" if preset == "real" else "core"
    by_world = ", ".join(f"{number} {world}" for world, number in Counter(spec.world for spec in specs).items())
    return [
        f"{stem}, preset {preset}: {len(specs)} runs ({by_world}), {len(specs) - len(todo)} of them finished",
        f"  the rest: about {seconds / 3600:.2f} {unit}-hours{on_workers(seconds, workers)}"
        f" (pace of {known} of {len(todo)} known from finished ones, the others a guess)",
        *memory_lines(specs),
    ]


def kind_of(spec: AnySpec) -> Kind:
    """What its cost goes by."""
    if isinstance(spec, ExactSpec):
        return spec.world, spec.plan.measure, spec.steps, "", ""
    return spec.world, spec.task.name, spec.steps, _checkpoint(spec.base.model), as_text(spec.probes)


def _checkpoint(model: str) -> str:
    """A checkpoint's name; nothing for base models made here, whose sizes a study does not mix."""
    return "" if model in BASE_SIZES else model


def measured_pace(runs: Path) -> dict[Kind, float]:
    """Median seconds of finished runs of every kind in a folder."""
    found: dict[Kind, list[float]] = defaultdict(list)
    for row in timed_rows(runs):
        model = _checkpoint(str(row.get("base", "")).rsplit(":", 1)[0])
        world, task, steps, probes = (row.get(name, "") for name in ("world", "task", "steps", "probes"))
        if isinstance(steps, int):
            found[str(world), str(task), steps, model, str(probes)].append(float(row["seconds"]))
    return {kind: median(seconds) for kind, seconds in found.items()}


def _guess(spec: AnySpec) -> float:
    if isinstance(spec, ExactSpec):
        return SECONDS[spec.world]
    if spec.base.model not in BASE_SIZES:
        return run_seconds(spec)
    return SECONDS[spec.world] * spec.steps / DEFAULT_STEPS[spec.world]
