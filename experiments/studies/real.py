"""Preset real: what each study runs on a pretrained checkpoint and a public task. Few seeds; its rows are never primary.

One run takes as long as 100 RL steps of 512 answers do (`experiments/cost/footprint.py`), so every study has a few arms
that differ in one thing, full VAPO among them; `analysis/verdict/real_level.py` compares them. Nothing is exact
here, and no probe is run that needs gradients per response.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from experiments.specs.spec import RunSpec, TaskSpec
from experiments.studies import core
from vapo_core.settings import BASE_SIZES, RECIPES, Base, Frozen, Toggles
from vapo_core.tasks import TASKS

TASK = "gsm8k"
SEEDS = core.SEEDS["lm"]["real"]
"""As many as a target may ask for; `on` takes the first of them."""

CRITIC: dict[str, int] = {"value_error": core.STEPS["lm"]["real"]}
"""Before the first step and after the last."""


class Target(Frozen):
    """What preset real is run on."""

    model: str = Field(core.MODEL.model, description="checkpoint of preset real: a folder or a name on the hub")
    task: str = Field(TASK, description="task of preset real")
    dials: dict[str, str] = Field({}, description="NAME VALUE pairs: dials of that task, such as path FOLDER")
    engine: Literal["transformers", "vllm"] = Field("transformers", description="engine of preset real")
    seeds: int = Field(3, ge=1, le=len(core.SEEDS["lm"]["real"]), description="paired seeds of preset real")
    steps: int = Field(core.STEPS["lm"]["real"], ge=1, description="RL steps of preset real")


def run(
    seed: int,
    toggles: Toggles | None = None,
    recipe: str = "vapo",
    settings: Mapping[str, Any] | None = None,
    variants: Mapping[str, str] | None = None,
) -> RunSpec:
    """One run of the preset; full VAPO has its critic measured in every study, so that all of them share the run."""
    plain = recipe == "vapo" and toggles in (None, RECIPES["vapo"].toggles) and not (settings or variants)
    probes = CRITIC if plain else {}
    return core.run("lm", "real", seed, recipe, toggles, settings, TASK, variants=variants, probes=probes)


def on(target: Target, specs: Sequence[RunSpec]) -> tuple[RunSpec, ...]:
    """The same runs of another checkpoint, task, engine, length and number of seeds.

    Raises:
        ValueError: for a model that is no checkpoint, an unknown task, or as pydantic's ValidationError an impossible dial.
    """
    if target.model in BASE_SIZES:
        raise ValueError(f"model = {target.model!r}: preset real takes a checkpoint, a folder or a name on the hub")
    task = TaskSpec(name=target.task)
    dials = TASKS[task.name].dials.model_validate(target.dials).model_dump(exclude_defaults=True)
    base = Base(**{**core.MODEL.model_dump(), "model": target.model})
    return tuple(
        RunSpec(
            **{
                **spec.model_dump(exclude={"task", "base", "engine", "steps", "probes"}),
                "task": TaskSpec(name=task.name, dials=dials), "base": base, "engine": target.engine, "steps": target.steps,
                "probes": dict.fromkeys(spec.probes, target.steps),
            }
        )
        for spec in specs
        if spec.seed < target.seeds
    )  # fmt: skip


def chosen(target: Target) -> dict[str, Any]:
    """What of a target, or of a configuration that has its options, is not as it would be by itself."""
    usual = Target()
    return {name: value for name in Target.model_fields if (value := getattr(target, name)) != getattr(usual, name)}


def flags(target: Target) -> list[str]:
    """The words of a command that ask for it."""
    words = []
    for name, value in chosen(target).items():
        words += [f"--{name}", *([*map(str, sum(value.items(), ()))] if isinstance(value, dict) else [str(value)])]
    return words
