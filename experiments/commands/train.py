"""`vapo train`: one spec, from flags or a YAML file."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from experiments.services.stopping import say_stopped
from experiments.specs.asked import asked_for, parsed
from experiments.specs.engines import require
from experiments.specs.options import config_file
from experiments.specs.plugin import identity
from experiments.specs.spec import DEFAULT_STEPS, RunSpec, TaskSpec
from vapo_core import bounds
from vapo_core.files import ensure_writable
from vapo_core.settings import RECIPES, Base, Evaluation, Frozen, Settings, Toggles
from vapo_core.tasks.sizes import check_fits


class TrainConfig(Frozen):
    """Train one recipe and record it in RUNS/<hash>. Options may also come from a file: --config FILE.yaml."""

    world: Literal["walk", "lm"] = Field("lm", description="walk: small networks, exact answers; lm: transformers")
    recipe: str = Field("vapo", description="named recipe that toggles and variants start from")
    task: str = Field("text_walk", description="task name")
    engine: Literal["transformers", "vllm"] = Field(
        "transformers", description="engine that samples answers in world lm"
    )
    seed: int = Field(
        0,
        ge=0,
        le=bounds.SEED,
        description="seed for problems, critic head, sampling and evaluation, each with its own stream",
    )
    steps: int = Field(30, ge=1, le=bounds.STEPS, description="RL steps")
    log_every: int = Field(1, ge=1, le=bounds.STEPS, description="RL steps between logged points")
    runs: Path = Field(Path("runs"), description="folder for records, caches and outcomes")
    resume: bool = Field(False, description="continue an interrupted run from its checkpoint")
    dry_run: bool = Field(False, description="print the resolved configuration without running it")
    plugin: str = Field("", description="FILE.py or FILE.py:NAME with your own variants, tasks and probes")
    base: Base = Base()
    toggles: Toggles = Toggles()
    probes: dict[str, int] = Field({}, description="NAME EVERY pairs: probe, and RL steps between its measurements")
    variants: dict[str, str] = Field(
        {}, description="SLOT NAME pairs: named variants of slots, beside the recipe's own"
    )
    settings: Settings = Settings()
    evaluation: Evaluation = Evaluation()


def run(words: Sequence[str]) -> int:
    """Parse, check, train, say what came of it."""
    words, over = config_file(words)
    config, spec = configure(words, over)
    from vapo_core.recipe import assemble

    assemble(spec.toggles, spec.settings, spec.variants)  # names an unknown variant before anything starts
    check_fits(spec)
    if config.dry_run:
        print(spec.model_dump_json(indent=2))
        return 0
    require(spec.engine)
    try:
        return _train(config, spec)
    except KeyboardInterrupt as stop:
        return say_stopped(stop, "re-run with --resume to continue")


SHARED = ("world", "recipe", "engine", "seed", "steps", "log_every", "base", "toggles", "variants", "probes", "settings",
          "evaluation")  # fmt: skip
"""Options that are fields of the spec."""


def configure(words: Sequence[str], over: dict[str, Any]) -> tuple[TrainConfig, RunSpec]:
    """The configuration, with the defaults of its world, task and recipe, and the spec it stands for."""
    asked = asked_for(words, over, "lm")
    recipe = asked.choice("recipe", "vapo", RECIPES)
    config = parsed(
        TrainConfig, asked, "train", recipe=recipe, steps=DEFAULT_STEPS[asked.world], toggles=RECIPES[recipe].toggles,
        variants=dict(RECIPES[recipe].variants),
    )  # fmt: skip
    chosen = config.dials.model_dump(exclude_defaults=True)
    fields = {name: getattr(config, name) for name in SHARED}
    return config, RunSpec(task=TaskSpec(name=asked.task, dials=chosen), plugin=identity(), **fields)


def _train(config: TrainConfig, spec: RunSpec) -> int:
    """One process, or one of those that `accelerate launch` or `torchrun` started together."""
    from experiments.runs.run import follow
    from vapo_core.distributed.accelerated import join

    ranks = join()
    if ranks.number:
        follow(spec, config.runs, ranks)
    else:
        _lead(config, spec, ranks)
    ranks.leave()
    return 0


def _lead(config: TrainConfig, spec: RunSpec, ranks: Any) -> None:
    from experiments.runs.run import finished_row, run_one
    from experiments.runs.source import replace_other
    from experiments.sync.invocation import tracked

    ensure_writable(config.runs)
    run_dir = config.runs / spec.hash
    replace_other([spec], config.runs)
    done = finished_row(spec, config.runs)
    if done:
        print(f"already finished, at commit {done['git_commit'] or 'unknown'}: {run_dir}")
    elif (run_dir / "checkpoint").exists() and not config.resume:
        raise ValueError(f"run {spec.hash} was interrupted; use --resume to continue it, or remove {run_dir}")
    with tracked(config.runs, "train") as tracking:
        row = run_one(spec, config.runs, "train", tracking, ranks=ranks)
    print(f"{row['arm']}, seed {row['seed']}: {row['metric']} {row['first']:.3f} -> {row['last']:.3f}"
          f" (area {row['auc']:.3f}) in {row['seconds']:.0f} s, {row['tokens']:.0f} tokens")  # fmt: skip
    print(f"record: {run_dir}")
    if row["state"] == "diverged":
        print(f"the run diverged: {row['reason']}", file=sys.stderr)
