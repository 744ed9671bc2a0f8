"""The main job: train every arm of a design on paired seeds, then write tables, figures and a report."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import Field, field_validator
from tyro.conf import UseAppendAction

from experiments.ablations import planning
from experiments.ablations.planning import AblationPlan
from experiments.ablations.publish import publish
from experiments.launchers.grid import run_grid, say_failures
from experiments.launchers.launching import PLACES, Launching, part_of
from experiments.launchers.workers import Job
from experiments.runs.outcome_folder import marked_folder
from experiments.runs.readable import check_readable
from experiments.runs.source import is_finished
from experiments.specs.designs import DESIGNS, Cell, Request, with_baselines
from experiments.specs.engines import EngineName, require
from experiments.specs.factors import factors_of
from experiments.specs.plugin import identity
from experiments.specs.spec import DEFAULT_STEPS, RunSpec, TaskSpec, log_every, paired_base
from experiments.sync.invocation import tracked
from vapo_core import bounds
from vapo_core.files import ensure_writable, write_whole
from vapo_core.settings import DEFAULT_EVALUATION, DEFAULT_SETTINGS, RECIPES, Base, Evaluation, Settings
from vapo_core.tasks import TASKS
from vapo_core.tasks.sizes import check_fits

DesignName = Literal[
    "leave-one-out", "add-one-in", "full-factorial", "fractional-factorial", "one-at-a-time", "grid",
    "alpha-by-length", "lambda-by-lambda",
]  # fmt: skip


class Preset(NamedTuple):
    """Size of a preset."""

    seeds: int
    first_seed: int
    steps: int
    baselines: tuple[str, ...]
    probes: Mapping[str, int]


MEASURED = ("value_error", "gradient_variance", "exploration")
"""Probes of the presets quick (at the start and the end of a run) and full (in the middle, too)."""

PRESETS: dict[str, dict[str, Preset]] = {
    "walk": {
        "smoke": Preset(2, 0, 4, (), {}),
        "quick": Preset(20, 0, DEFAULT_STEPS["walk"], ("ppo", "grpo", "dapo"), dict.fromkeys(MEASURED, 30)),
        "full": Preset(32, 1000, DEFAULT_STEPS["walk"], ("ppo", "grpo", "dapo"), dict.fromkeys(MEASURED, 15)),
    },
    "lm": {
        "smoke": Preset(2, 0, 2, (), {}),
        "quick": Preset(3, 0, DEFAULT_STEPS["lm"], ("ppo",), dict.fromkeys(MEASURED, 30)),
        "full": Preset(32, 1000, DEFAULT_STEPS["lm"], ("ppo", "grpo", "dapo"), dict.fromkeys(MEASURED, 15)),
    },
}


class AblateConfig(Launching):
    """Train every arm of a design on paired seeds and compare them with the reference arm.

    Options may also come from a file: --config FILE.yaml.
    """

    world: Literal["walk", "lm"] = Field(
        "walk", description="walk: small networks, exact answers; lm: tiny transformers"
    )
    design: DesignName = Field(
        "leave-one-out",
        description="which arms; grid and one-at-a-time vary what --vary names; one-at-a-time if --vary stands alone",
    )
    fraction: Literal[64, 32, 16] = Field(64, description="runs per seed of the fractional factorial")
    vary: UseAppendAction[tuple[tuple[str, ...], ...]] = Field(
        (),
        description="NAME VALUE...: a setting, dials.NAME or a slot (on, off, default, its variants); may be given several times",
    )
    order_seed: int = Field(0, ge=0, le=bounds.SEED, description="seed of the order of runs within each seed")
    preset: Literal["smoke", "quick", "full"] = Field(
        "quick", description="smoke: seconds; quick: minutes; full: confirmatory"
    )
    seeds: int = Field(20, ge=1, le=bounds.RUNS, description="paired seeds per arm")
    first_seed: int = Field(0, ge=0, le=bounds.SEED, description="the seeds are first_seed, first_seed + 1, ...")
    steps: int = Field(30, ge=1, le=bounds.STEPS, description="RL steps per run")
    baselines: tuple[str, ...] = Field((), description="recipes to run beside the design's arms")
    runs: Path = Field(Path("runs"), description="folder for records, caches and outcomes")
    dry_run: bool = Field(False, description="show the plan and its cost without running it")
    plugin: str = Field("", description="FILE.py or FILE.py:NAME with your own variants, tasks and probes")
    task: str = Field("walk", description="task name")
    engine: EngineName = Field("transformers", description="engine that samples answers in world lm")
    base: Base = Field(Base(), description="`init` follows the seed unless a checkpoint is given")
    probes: dict[str, int] = Field({}, description="NAME EVERY pairs: probe, and RL steps between its measurements")
    settings: Settings
    evaluation: Evaluation

    @field_validator("vary", mode="before")
    @classmethod
    def _as_words(cls, value: Any) -> Any:
        """YAML gives numbers where the command line gives words."""
        if not isinstance(value, (list, tuple)) or not all(isinstance(item, (list, tuple)) for item in value):
            raise ValueError("expected a list of lists, such as [[alpha, 0.1, 0.25], [mu, 0]]")
        return tuple(tuple(map(str, item)) for item in value)


def plan(config: AblateConfig, dials: dict[str, Any]) -> AblationPlan:
    """Every cell with every seed: seeds one after the other, cells in random order within each.

    Raises:
        ValueError: for an unknown recipe among the baselines, something to vary that cannot be, or an impossible
            combination.
    """
    unknown = [name for name in config.baselines if name not in RECIPES]
    if unknown:
        raise ValueError(f"baselines: no recipe {unknown[0]!r} (allowed: {', '.join(RECIPES)})")
    design = DESIGNS[config.design]
    if config.vary and not design.varies:
        varying = ", ".join(name for name, other in DESIGNS.items() if other.varies)
        raise ValueError(f"vary: design {config.design} varies no setting (allowed with: {varying})")
    own = TASKS[config.task].dials(**dials)
    factors = factors_of(config.design, config.task, config.vary, config.settings, own)
    cells = with_baselines(design.cells(Request(config.fraction, factors)), config.baselines)
    planning.check_labels(cells)
    bounds.check_product("seeds", {"arms": len(cells), "seeds": config.seeds}, bounds.RUNS)
    seeds = range(config.first_seed, config.first_seed + config.seeds)
    ordered = planning.in_blocks(cells, seeds, config.order_seed)
    first = {cell: _spec(config, dials, cell, config.first_seed) for cell in cells}
    check_fits(first[cells[0]])
    specs = tuple(
        first[cell].model_copy(update={"seed": seed, "base": paired_base(config.base, config.world, seed)})
        for seed, cell in ordered
    )
    labels = {spec.hash: cell.label for spec, (_, cell) in zip(specs, ordered, strict=True)}
    return AblationPlan(specs, labels, design.reference, tuple(cell.label for cell in cells))


def _spec(config: AblateConfig, dials: dict[str, Any], cell: Cell, seed: int) -> RunSpec:
    return RunSpec(
        world=config.world,
        task=TaskSpec(name=config.task, dials={**dials, **dict(cell.dials)}),
        recipe=cell.recipe,
        toggles=cell.toggles,
        settings=Settings(**{**config.settings.model_dump(), **dict(cell.settings)}),
        variants={**RECIPES[cell.recipe].variants, **dict(cell.variants)},
        base=paired_base(config.base, config.world, seed),
        engine=config.engine,
        evaluation=config.evaluation,
        seed=seed,
        steps=config.steps,
        probes=config.probes,
        log_every=log_every(config.world, config.steps),
        plugin=identity(),
    )


def describe_plan(config: AblateConfig, plan: AblationPlan) -> str:
    """The plan as text: what would run, what it costs, and the smallest effect it can detect."""
    arms, blind = plan.arms, config.design == "fractional-factorial"
    selected = part_of(plan.specs, config.shard)
    todo = [spec for spec in selected if not is_finished(spec, config.runs)]
    return "\n".join(
        [
            f"{config.design} on {config.task} ({config.world}): {len(arms)} arms x {config.seeds} seeds"
            f" = {len(plan.specs)} runs of {config.steps} steps",
            *([f"part {config.shard} of them: {len(selected)} runs"] if config.shard else []),
            *planning.cost_lines(todo, config.runs, config.at_once, len(selected) - len(todo)),
            *planning.power_lines(config.design, config.seeds, config.fraction),
            *(planning.alias_lines(config.fraction) if blind else []),
            *planning.arm_lines(plan),
        ]
    )


def ablation_folder(config: AblateConfig, dials: dict[str, Any]) -> Path:
    """Where the tables and the report of this ablation go."""
    size = f"-{config.fraction}" if config.design == "fractional-factorial" else ""
    names = "".join(f"-{item[0]}" for item in config.vary)
    name = f"ablate-{config.world}-{config.task}-{config.design}{size}{names}-{config.preset}"
    return marked_folder(config.runs, name, {} if _is_plain(config, dials) else _content(config, dials))


def _is_plain(config: AblateConfig, dials: dict[str, Any]) -> bool:
    """Whether it is the preset as it stands; anything else gets a folder of its own and overwrites no other outcome."""
    preset = PRESETS[config.world][config.preset]
    given = (config.seeds, config.first_seed, config.steps, config.baselines, config.probes)
    usual = (config.settings, config.evaluation) == (DEFAULT_SETTINGS[config.world], DEFAULT_EVALUATION[config.world])
    usual = usual and (config.engine, config.base) == ("transformers", Base())
    values = [item[1:] for item in config.vary]
    return given == tuple(preset) and usual and not (dials or values or identity())


def _content(config: AblateConfig, dials: dict[str, Any]) -> dict[str, Any]:
    """What the outcome depends on and is not a default."""
    content = config.model_dump(
        mode="json", exclude={*PLACES, "runs", "dry_run", "order_seed", "plugin"}, exclude_defaults=True
    )
    plugin = {"plugin": identity()} if identity() else {}
    return {**content, "dials": dials, **plugin}


def ablate(config: AblateConfig, dials: dict[str, Any]) -> int:
    """Run the design, then write runs.csv, curves.parquet, figures and report.html; prints the table.

    Returns:
        Exit code: 0, or 1 if some run could not be finished.
    """
    planned, out = plan(config, dials), ablation_folder(config, dials)
    print(describe_plan(config, planned))
    if config.dry_run:
        return 0
    require(config.engine)
    ensure_writable(out)
    write_whole(out / "config.json", _resolved(config, planned))
    study, specs = out.name, part_of(planned.specs, config.shard)
    check_readable(specs, config.runs, remote=config.launcher == "ray")
    with tracked(config.runs, study, planned.labels, out) as tracking:
        grid = run_grid(config, specs, Job(config.runs, study, tracking), config.world, planned.label)
        if config.shard:
            print(f"part {config.shard}: {grid.finished} of its {len(specs)} runs are finished; when all parts are,"
                  " run the command without --shard to write the tables")  # fmt: skip
        elif grid.finished:
            publish(planned, config.runs, config.design, out)
    say_failures(grid.failures, planned.label)
    if not grid.finished:
        print("no run has finished, so there are no tables", file=sys.stderr)
    return 0 if grid.is_complete else 1


def _resolved(config: AblateConfig, plan: AblationPlan) -> str:
    """The configuration as JSON, with the order in which the runs were to start."""
    content = json.loads(config.model_dump_json(exclude={*PLACES, "runs", "dry_run"}))  # infinity as text
    order = [{"seed": spec.seed, "arm": plan.labels[spec.hash], "spec": spec.hash} for spec in plan.specs]
    return json.dumps({**content, "order": order}, indent=1)
