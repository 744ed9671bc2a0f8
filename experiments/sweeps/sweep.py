"""Search of settings: half of the seeds selects trials, the other half scores the best, compared with a constant lambda."""

import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import Field, field_validator
from tyro.conf import Positional, UseAppendAction

from experiments.cost.run_time import cost_line, estimate
from experiments.launchers.grid import say_failures, say_gone, shared_rows
from experiments.runs.outcome_folder import marked_folder
from experiments.runs.readable import check_readable
from experiments.runs.source import ROWS
from experiments.services.addresses import database_address
from experiments.services.database import Database
from experiments.services.retry import reason_of
from experiments.services.store import Place, Shared, store_of
from experiments.specs.engines import EngineName, require
from experiments.specs.plugin import identity
from experiments.specs.spec import DEFAULT_STEPS, RunSpec, TaskSpec, log_every
from experiments.sweeps.space import Dimension, SearchPlan, constant_lambda, dimensions, toggles_for
from experiments.sync.invocation import tracked
from vapo_core import bounds
from vapo_core.files import ensure_writable, write_whole
from vapo_core.reading import reading
from vapo_core.settings import DEFAULT_EVALUATION, DEFAULT_SETTINGS, RECIPES, Base, Evaluation, Frozen, Settings
from vapo_core.tasks import TASKS

if TYPE_CHECKING:
    from experiments.sweeps.trials import Search


class Preset(NamedTuple):
    """Size of a preset."""

    trials: int
    seeds: int
    first_seed: int
    steps: int


PRESETS: dict[str, dict[str, Preset]] = {
    "walk": {
        "smoke": Preset(4, 4, 0, 4),
        "quick": Preset(16, 10, 0, DEFAULT_STEPS["walk"]),
        "full": Preset(48, 32, 1000, DEFAULT_STEPS["walk"]),
    },
    "lm": {
        "smoke": Preset(2, 2, 0, 2),
        "quick": Preset(8, 6, 0, DEFAULT_STEPS["lm"]),
        "full": Preset(40, 32, 1000, DEFAULT_STEPS["lm"]),
    },
}


class SweepConfig(Frozen):
    """Search one or more settings for the best area under the learning curve.

    Trials are compared on the first half of the seeds; the best one is scored on the other half. A sweep over alpha
    also searches a constant lambda on the same seeds, for comparison; --no-control leaves that out.
    """

    names: Positional[tuple[str, ...]] = Field((), description="alpha, lambda, or numeric settings by name")
    world: Literal["walk", "lm"] = Field(
        "walk", description="walk: small networks, exact answers; lm: tiny transformers"
    )
    preset: Literal["smoke", "quick", "full"] = Field(
        "quick", description="smoke: seconds; quick: minutes; full: confirmatory"
    )
    trials: int = Field(
        16, ge=1, le=bounds.RUNS, description="trials per search; a larger number later continues the same search"
    )
    seeds: int = Field(
        10,
        ge=2,
        le=bounds.RUNS,
        description="paired seeds: the first half selects the best trial, the second half scores it",
    )
    first_seed: int = Field(0, ge=0, le=bounds.SEED, description="the seeds are first_seed, first_seed + 1, ...")
    range: UseAppendAction[tuple[tuple[str, ...], ...]] = Field(
        (), description="LOW HIGH, or NAME LOW HIGH for each of several settings"
    )
    along: tuple[str, ...] = Field(
        (), description="DIAL VALUE...: a search at each value of a task dial, such as filler 0 2 6 for longer answers"
    )
    sampler: Literal["tpe", "gp", "qmc", "grid-free"] = Field(
        "tpe", description="Optuna sampler; grid-free: independent draws over the whole range"
    )
    sampler_seed: int = Field(0, ge=0, le=2**32 - 1, description="seed of the sampler, not of a run")
    pruner: Literal["median", "percentile", "wilcoxon", "none"] = Field(
        "median", description="rule that stops a trial after some of its seeds"
    )
    control: bool = Field(True, description="with a sweep over alpha, also search a constant lambda on the same seeds")
    recipe: str = Field("vapo", description="recipe whose settings are searched")
    variants: dict[str, str] = Field(
        {}, description="SLOT NAME pairs: named variants of slots, beside the recipe's own"
    )
    plugin: str = Field("", description="FILE.py or FILE.py:NAME with your own variants, tasks and probes")
    steps: int = Field(30, ge=1, le=bounds.STEPS, description="RL steps per run")
    workers: int = Field(2, ge=1, le=bounds.WORKERS, description="processes, one thread each")
    runs: Path = Field(Path("runs"), description="folder for records, caches and outcomes")
    dry_run: bool = Field(False, description="show the plan and its cost without running it")
    storage: str = Field(
        "",
        exclude=True,
        repr=False,
        description="postgresql://USER@HOST/DATABASE shared by several machines; default: OPTUNA_STORAGE, else a local file",
    )
    task: str = Field("walk", description="task name")
    engine: EngineName = Field("transformers", description="engine that samples answers in world lm")
    base: Base = Base()
    settings: Settings
    evaluation: Evaluation

    @field_validator("range", mode="before")
    @classmethod
    def _as_words(cls, value: Any) -> Any:
        """YAML gives numbers where the command line gives words."""
        return tuple(tuple(map(str, item)) for item in value) if isinstance(value, (list, tuple)) else value

    @field_validator("along", mode="before")
    @classmethod
    def _as_flat_words(cls, value: Any) -> Any:
        return tuple(map(str, value)) if isinstance(value, (list, tuple)) else value


def studies_of(config: SweepConfig, dials: dict[str, Any]) -> list["Search"]:
    """Every search: the main one and its control, at each place.

    Raises:
        ValueError: for settings, ranges, dials or recipes that cannot be.
    """
    bounds.check_product("trials", {"trials": config.trials, "seeds": config.seeds}, bounds.RUNS)
    space = dimensions(config.names, config.range, config.settings, config.recipe)
    fields = tuple(dimension.field for dimension in space)
    other = constant_lambda(fields) if config.control else None
    kept = [(d.field, f"{d.low!r}", f"{d.high!r}") for d in space if d.field != "alpha"]
    searches = [("main", space)]
    if other:
        searches.append(("control", dimensions(other, kept, config.settings, config.recipe)))
    return [
        _study(config, role, found, place, {**dials, **more})
        for place, more in _places(config)
        for role, found in searches
    ]


def _places(config: SweepConfig) -> list[tuple[str, dict[str, Any]]]:
    """(label, dial) for every value to search along."""
    if not config.along:
        return [("", {})]
    name, *values = config.along
    dials, bare = TASKS[config.task].dials, name.removeprefix("dials.")
    if bare not in dials.model_fields:
        from vapo_core.suggest import nearest

        raise ValueError(f"along: task {config.task} has no dial {bare!r}{nearest(bare, dials.model_fields)}")
    if not values:
        raise ValueError(f"along: {bare} needs at least one value")
    with reading(f"along {bare}", f"no values of a dial of task {config.task}"):
        read = dict.fromkeys(getattr(dials.model_validate({bare: value}), bare) for value in values)
    return [(f"{bare} = {value}", {bare: value}) for value in read]


def _study(config: SweepConfig, role: str, space: tuple[Dimension, ...], place: str, dials: dict[str, Any]) -> "Search":
    from experiments.sweeps.trials import Search

    fields = tuple(dimension.field for dimension in space)
    toggles = RECIPES[config.recipe].toggles.model_copy(update=toggles_for(fields))
    off = {name for name, on in toggles.model_dump().items() if not on}  # as in the control of a sweep over alpha
    variants = {slot: name for slot, name in config.variants.items() if slot not in off}
    template = RunSpec(
        world=config.world,
        task=TaskSpec(name=config.task, dials=dials),
        recipe=config.recipe,
        toggles=toggles,
        settings=config.settings,
        variants={**RECIPES[config.recipe].variants, **variants},
        base=config.base,
        engine=config.engine,
        evaluation=config.evaluation,
        seed=config.first_seed,
        steps=config.steps,
        log_every=log_every(config.world, config.steps),
        plugin=identity(),
    )
    seeds = tuple(range(config.first_seed, config.first_seed + config.seeds))
    half = config.seeds - config.seeds // 2
    plan = SearchPlan("", space, config.trials, half, config.sampler, config.sampler_seed, config.pruner)
    content = repr(
        (template.hash, seeds[:half], plan._replace(trials=0), ROWS.code)
    )  # trials of other code do not count
    name = f"{'-'.join(fields)}{f' at {place}' if place else ''} {hashlib.sha256(content.encode()).hexdigest()[:8]}"
    return Search(role, place, template, plan._replace(name=name), seeds[:half], seeds[half:])


def describe_sweep(config: SweepConfig, studies: Sequence["Search"]) -> str:
    """The plan as text: the most that would run, its cost, and the smallest effect it can detect."""
    from analysis.statistics.intervals import smallest_threshold

    per_study = config.trials * config.seeds
    time = estimate([study.template for study in studies for _ in range(per_study)], config.runs)
    held = len(studies[0].held_back)
    size = smallest_threshold(held)
    seen = f"{size:.2f} sd of it" if held >= 5 else "too few held-back seeds to compute one (at least 5 needed)"
    return "\n".join(
        [
            f"sweep on {config.task} ({config.world}): {len(studies)} studies x {config.trials} trials x"
            f" {config.seeds} seeds = at most {time.runs} runs of {config.steps} steps",
            cost_line(time, config.workers),
            f"sampler {config.sampler} (seed {config.sampler_seed}), pruner {config.pruner}; {len(studies[0].choosing)}"
            f" seeds select, {held} score",
            f"smallest paired difference detectable with the {held} held-back seeds: {seen}",
            *(f"  {study.role}: {_ranges(study)}" for study in studies),
        ]
    )


def _ranges(study: "Search") -> str:
    spans = [f"{d.field} {d.low:g} to {d.high:g} ({d.scale})" for d in study.plan.space]
    return ", ".join([*spans, study.place] if study.place else spans)


def sweep_folder(config: SweepConfig, dials: dict[str, Any]) -> Path:
    """Where the journal, the tables and the report of this sweep go."""
    along = f"-along-{config.along[0].removeprefix('dials.')}" if config.along else ""
    name = f"sweep-{config.world}-{config.task}-{'-'.join(config.names)}{along}-{config.preset}"
    return marked_folder(config.runs, name, _differences(config, dials))


SAME = {"names", "world", "task", "preset", "trials", "workers", "runs", "dry_run", "dials", "plugin"}
"""What the folder's name says, what does not change what is found, and trials: more of them continue a sweep."""


def _differences(config: SweepConfig, dials: dict[str, Any]) -> dict[str, Any]:
    """What a sweep has other than its preset."""
    preset, world = PRESETS[config.world][config.preset], config.world
    usual = SweepConfig(
        world=world, seeds=preset.seeds, first_seed=preset.first_seed, steps=preset.steps, settings=DEFAULT_SETTINGS[world],
        evaluation=DEFAULT_EVALUATION[world],
    )  # fmt: skip
    given, default = (other.model_dump(mode="json", exclude=SAME) for other in (config, usual))
    differs = {name: value for name, value in given.items() if value != default[name]}
    return {**differs, **({"dials": dials} if dials else {}), **({"plugin": identity()} if identity() else {})}


def place_of(config: SweepConfig, out: Path) -> Place:
    """A journal beside the outcome, or the database that --storage or OPTUNA_STORAGE names.

    Raises:
        ValueError: if that is no address of a database.
        ConnectionError: if it does not let us in now; later on it is waited for.
    """
    address = config.storage or os.environ.get("OPTUNA_STORAGE", "")
    if not address:
        return out / "journal.log"
    shared = Shared(Database(database_address("storage", address), ROWS.code), config.runs / ".sweep-database-is-away")
    try:
        shared.database.prepare()
    except Exception as error:
        raise ConnectionError(f"storage: {shared.name()}: {reason_of(error)}") from None
    return shared


def sweep(config: SweepConfig, dials: dict[str, Any]) -> int:
    """Run the searches, then write the tables, figures and report.html; prints the best trials and the recommendation.

    Returns:
        Exit code: 0, or 1 if some trial or run could not be finished.
    """
    studies, out = studies_of(config, dials), sweep_folder(config, dials)
    print(describe_sweep(config, studies), flush=True)
    if config.dry_run:
        return 0
    require(config.engine)
    templates, begun = [study.template for study in studies], out.exists()
    if not begun:
        check_readable(templates, config.runs)
    from experiments.sweeps.publish_sweep import publish
    from experiments.sweeps.trials import (
        Cells,
        choosing_runs,
        given_up,
        has_result,
        is_finished,
        run_held_back,
        run_trials,
    )
    from experiments.sweeps.tune import set_damaged_aside

    place = place_of(config, out)
    ensure_writable(out)
    if isinstance(place, Path):
        set_damaged_aside(place)
    if begun and not is_finished(studies, place, config.runs):  # a finished one may only lack its tables
        check_readable(templates, config.runs)
    write_whole(out / "config.json", config.model_dump_json(indent=2, exclude={"workers", "runs", "dry_run"}))
    shared = place if isinstance(place, Shared) else None
    with tracked(config.runs, out.name, artifacts=out) as tracking:
        jobs = {study: Cells(study, config.runs, out.name, tracking, shared) for study in studies}
        run_trials(jobs, place, config.workers)
        grid = run_held_back(jobs, place, config.workers)
        retry_with_backoff = store_of(place).retry_with_backoff
        lost = retry_with_backoff(lambda: given_up(studies, place))
        for line in lost:
            print(f"not finished: {line}", file=sys.stderr)
        say_failures(grid.failures, lambda spec: spec.arm)
        chosen_by = retry_with_backoff(lambda: choosing_runs(studies, place))
        gone = say_gone(chosen_by, config.runs, shared_rows(shared, chosen_by))
        if retry_with_backoff(lambda: has_result(studies, place)):
            publish(studies, place, config.runs, out)
        else:
            print("no trial has finished, so there are no tables", file=sys.stderr)
    return 0 if grid.is_complete and not lost and not gone else 1
