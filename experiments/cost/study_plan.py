"""The remaining runs of a study, and their cost."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from experiments.cost.footprint import memory_lines
from experiments.cost.probe_cost import probe_lines
from experiments.cost.run_time import cost_line, estimate
from experiments.runs.source import is_finished
from experiments.specs.exact import AnySpec


def study_cost(
    stem: str, preset: str, specs: Sequence[AnySpec], missing: Sequence[AnySpec], runs: Path, workers: int | None
) -> list[str]:
    """Runs by world, how many are finished, core-hours and time left, and probes that cost more than training.

    Args:
        specs: every run of the study.
        missing: those that no results folder holds.
        runs: folder of records; finished runs there tell how long one takes.
        workers: runs at a time, None if the cluster decides.
    """
    todo = [spec for spec in missing if not is_finished(spec, runs)]
    by_world = ", ".join(f"{number} {world}" for world, number in Counter(spec.world for spec in specs).items())
    return [
        f"{stem}, preset {preset}: {len(specs)} runs ({by_world}), {len(specs) - len(todo)} finished",
        f"  remaining: {cost_line(estimate(todo, runs), workers, 'GPU' if preset == 'real' else 'core')}",
        *probe_lines(specs),
        *memory_lines(specs),
    ]
