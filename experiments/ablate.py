"""The main job: train every arm of a design on paired seeds, then tables, figures and a page."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import Field

from experiments.designs import DESIGNS, with_baselines
from experiments.launch import Failure, local_map
from experiments.progress import Progression, clock
from experiments.spec import DEFAULT_STEPS, SCORES, RunSpec, TaskSpec
from experiments.track import close_tracking, open_tracking
from vapo_core.files import ensure_writable, write_whole
from vapo_core.settings import RECIPES, Base, Evaluation, Frozen, Settings

BASES = 3
"""Base initialisations, nested in the seeds of the language world."""

SECONDS_PER_RUN = {"walk": 2.0, "lm": 15.0}
"""Measured on one core with the default settings; used for the estimate of a plan only."""


class Preset(NamedTuple):
    """How much of it."""

    seeds: int
    first_seed: int
    steps: int
    baselines: tuple[str, ...]


PRESETS: dict[str, dict[str, Preset]] = {
    "walk": {
        "smoke": Preset(2, 0, 4, ()),
        "quick": Preset(20, 0, DEFAULT_STEPS["walk"], ("ppo", "grpo", "dapo")),
        "full": Preset(32, 1000, DEFAULT_STEPS["walk"], ("ppo", "grpo", "dapo")),
    },
    "lm": {
        "smoke": Preset(2, 0, 2, ()),
        "quick": Preset(3, 0, DEFAULT_STEPS["lm"], ("ppo",)),
        "full": Preset(32, 1000, DEFAULT_STEPS["lm"], ("ppo", "grpo", "dapo")),
    },
}


class AblateConfig(Frozen):
    """Train every arm of a design on paired seeds and compare them with the reference arm."""

    world: Literal["walk", "lm"] = Field(
        "walk", description="walk: small networks, exact answers; lm: tiny transformers"
    )
    design: Literal["leave-one-out", "add-one-in"] = Field("leave-one-out", description="which arms")
    preset: Literal["smoke", "quick", "full"] = Field("quick", description="seconds, minutes, or for a verdict")
    seeds: int = Field(20, ge=1, description="paired seeds per arm")
    first_seed: int = Field(0, ge=0, description="the seeds are first_seed, first_seed + 1, ...")
    steps: int = Field(30, ge=1, description="RL steps per run")
    baselines: tuple[str, ...] = Field((), description="recipes to run beside the design's arms")
    workers: int = Field(2, ge=1, description="processes, one thread each")
    runs: Path = Field(Path("runs"), description="folder of records, caches and outcomes")
    dry_run: bool = Field(False, description="show the plan and its cost, run nothing")
    task: str = Field("walk", description="task name")
    settings: Settings
    evaluation: Evaluation


def plan(config: AblateConfig, dials: dict[str, Any]) -> list[RunSpec]:
    """Every cell, seeds outermost, so that an early stop leaves a balanced table.

    Raises:
        ValueError: for an unknown recipe among the baselines, or an impossible combination.
    """
    unknown = [name for name in config.baselines if name not in RECIPES]
    if unknown:
        raise ValueError(f"baselines: no recipe {unknown[0]!r} (allowed: {', '.join(RECIPES)})")
    arms = with_baselines(DESIGNS[config.design].arms(), config.baselines)
    return [
        RunSpec(
            world=config.world,
            task=TaskSpec(name=config.task, dials=dials),
            recipe=arm.recipe,
            toggles=arm.toggles,
            settings=config.settings,
            variants=dict(RECIPES[arm.recipe].variants),
            base=Base(init=seed if config.world == "walk" else seed % BASES),
            evaluation=config.evaluation,
            seed=seed,
            steps=config.steps,
            log_every=max(1, -(-config.steps // 60)),
        )
        for seed in range(config.first_seed, config.first_seed + config.seeds)
        for arm in arms
    ]


def describe_plan(config: AblateConfig, specs: Sequence[RunSpec]) -> str:
    """What would run and what it costs, for a person."""
    seconds = len(specs) * SECONDS_PER_RUN[config.world] * config.steps / DEFAULT_STEPS[config.world]
    arms = list(dict.fromkeys(spec.arm for spec in specs))
    return "\n".join(
        [
            f"{config.design} on {config.task} ({config.world}): {len(arms)} arms x {config.seeds} seeds"
            f" = {len(specs)} runs of {config.steps} steps",
            f"about {seconds / 3600:.2f} core-hours, {clock(seconds / config.workers)} on {config.workers} workers",
            *(f"  {arm}" for arm in arms),
        ]
    )


def outcome_folder(config: AblateConfig) -> Path:
    """Where the tables and the page of this ablation go."""
    return config.runs / f"ablate-{config.world}-{config.task}-{config.design}-{config.preset}"


def ablate(config: AblateConfig, dials: dict[str, Any]) -> int:
    """Run the design, then write runs.csv, curves.parquet, figures and report.html; prints the table.

    Returns:
        Exit code: 0, or 1 if some run could not be finished.
    """
    specs, out = plan(config, dials), outcome_folder(config)
    print(describe_plan(config, specs))
    if config.dry_run:
        return 0
    ensure_writable(out)
    write_whole(out / "config.json", config.model_dump_json(indent=2, exclude={"workers", "runs", "dry_run"}))
    study = out.name
    tracking = open_tracking(config.runs, study)
    bar = Progression(config.world, len(specs))
    earlier = {spec for spec in specs if (config.runs / spec.hash / "row.json").exists()}
    try:
        failures = local_map(
            specs, config.runs, study, config.workers, tracking,
            lambda spec, row: bar.advance(spec, row, spec not in earlier),
        )  # fmt: skip
    finally:
        bar.close()
    publish(specs, config, out)
    close_tracking(tracking, out)
    return _say_failures(failures)


def publish(specs: Sequence[RunSpec], config: AblateConfig, out: Path) -> None:
    """Tables, figures, the page, and the table on the terminal."""
    from rich.console import Console

    from analysis.curves import bands
    from analysis.drawing import save
    from analysis.effects import ablation_table
    from analysis.figures import component_curves, effects_forest, learning_curves
    from analysis.report import write_report
    from analysis.schema import load
    from analysis.terminal import effects_table
    from experiments.collect import collect

    collect(specs, config.runs, out)
    tables, reference, metric = load(out), DESIGNS[config.design].reference, SCORES[config.world]
    table = ablation_table(tables.runs, reference)
    curves = bands(tables, metric, list(table["arm"]))
    save(effects_forest(table, reference), out / "figures", "effects")
    save(learning_curves(curves, reference, metric), out / "figures", "learning_curves")
    save(component_curves(curves, reference, metric), out / "figures", "component_curves")
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(effects_table(table, metric, width=console.width))
    print(f"report: {write_report([(config.design, out)], out / 'report.html')}")


def _say_failures(failures: Sequence[Failure]) -> int:
    for spec, reason in failures:
        print(f"not finished: {spec.arm}, seed {spec.seed}, run {spec.hash}: {reason}", file=sys.stderr)
    return 1 if failures else 0
