"""The specification of a run: immutable, torch-free, identified by the hash of its content."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, ValidationInfo, model_validator

from vapo_core import bounds
from vapo_core.combinations import check_combination
from vapo_core.settings import (
    BASE_SIZES,
    COMPONENTS,
    DEFAULT_EVALUATION,
    DEFAULT_SETTINGS,
    PROBES,
    RECIPES,
    Base,
    Evaluation,
    Frozen,
    Settings,
    Toggles,
)
from vapo_core.suggest import nearest
from vapo_core.tasks import TASKS, check_base

PROTOCOLS: dict[str, int] = {"exact": 1, "walk": 2, "lm": 1}
"""Protocol number per world, raised when a golden trajectory changes, so that old and new rows never mix."""

DEFAULT_TASK: dict[str, str] = {"walk": "walk", "lm": "text_walk"}
DEFAULT_STEPS: dict[str, int] = {"walk": 30, "lm": 30}
LOG_EVERY: dict[str, int] = {"walk": 3, "lm": 1}
"""RL steps between logged points in a study: a two-second walk run logs only where it is evaluated, so that tracking takes
less than a tenth of its time."""
MOST_POINTS = 60
"""Maximum number of logged points per metric of a run in a study."""
BASES = 3
"""Base initialisations of the language world in development runs: seeds below `CONFIRMATORY` share them."""
CONFIRMATORY = 1000
"""First seed of preset full. From here on each text seed has its own base, which no development seed uses."""
SCORES: dict[str, str] = {"walk": "val/exact_j", "lm": "val/pass_at_1"}
"""The evaluation metric by which a world's runs are scored."""


def content_hash(model: Frozen) -> str:
    """First 16 hex digits of the SHA-256 of the canonical JSON without defaults."""
    content = model.model_dump(mode="json", exclude_defaults=True)
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


ABSENT = {"plugin": "absent"}
"""Context in which a spec is read whose plugin this process does not have: names that only it knows are let through."""


def _of_absent_plugin(info: ValidationInfo) -> bool:
    return info.context == ABSENT


class TaskSpec(Frozen):
    """A task by name, with the dials that differ from its defaults."""

    name: str
    dials: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _known(self, info: ValidationInfo) -> Self:
        if _of_absent_plugin(info) and self.name not in TASKS:
            return self
        if self.name not in TASKS:
            raise ValueError(f"no task {self.name!r}{nearest(self.name, TASKS)}")
        TASKS[self.name].dials(**self.dials)
        return self


class RunSpec(Frozen):
    """Everything that determines a run's numbers, and nothing else: no paths, workers or devices."""

    world: Literal["walk", "lm"]
    task: TaskSpec
    recipe: str
    toggles: Toggles
    settings: Settings
    variants: dict[str, str] = Field(default_factory=dict)
    base: Base = Base()
    engine: Literal["transformers", "vllm"] = "transformers"
    probes: dict[str, int] = Field(default_factory=dict)
    evaluation: Evaluation = Evaluation()
    seed: int = Field(ge=0, le=2 * bounds.SEED)
    steps: int = Field(ge=1, le=bounds.STEPS, description="RL steps")
    log_every: int = Field(1, ge=1, le=bounds.STEPS, description="RL steps between logged points")
    plugin: str = Field("", description="hash of the plugin that the command named")
    protocol: int = Field(0, description="defaults to the world's current protocol")

    @model_validator(mode="before")
    @classmethod
    def _present_protocol(cls, data: Any) -> Any:
        return {"protocol": PROTOCOLS.get(data.get("world", ""), 0), **data} if isinstance(data, Mapping) else data

    @model_validator(mode="after")
    def _meaningful(self, info: ValidationInfo) -> Self:
        if _of_absent_plugin(info):
            return self
        if self.recipe not in RECIPES:
            raise ValueError(f"recipe: no recipe {self.recipe!r}{nearest(self.recipe, RECIPES)}")
        if TASKS[self.task.name].world != self.world:
            raise ValueError(f"task: {self.task.name!r} belongs to world {TASKS[self.task.name].world!r}")
        check_base(self.task.name, self.base)
        if self.engine != "transformers" and self.world != "lm":
            raise ValueError(
                f"engine = {self.engine!r}: world {self.world} has its own sampler; engines apply to world lm"
            )
        for name, every in self.probes.items():
            if name not in PROBES:
                raise ValueError(f"probes: no probe {name!r}{nearest(name, PROBES)}")
            if not 1 <= every <= bounds.STEPS:
                raise ValueError(
                    f"probes.{name} = {every}: RL steps between measurements, at least 1, at most {bounds.STEPS}"
                )
        check_combination(self.toggles, self.settings, self.variants)
        return self

    def __hash__(self) -> int:
        return int(self.hash, 16)

    @property
    def hash(self) -> str:
        """First 16 hex digits of the SHA-256 of the canonical JSON without defaults."""
        return content_hash(self)

    @property
    def arm(self) -> str:
        """The arm's label, such as `vapo without clip_higher` or `vapo length_adaptive_gae=own_rule`."""
        usual = RECIPES[self.recipe].variants
        changed = [f"{slot}={name}" for slot, name in self.variants.items() if usual.get(slot) != name]
        return " ".join([arm_label(self.recipe, self.toggles), *changed])


def paired_base(base: Base, world: str, seed: int) -> Base:
    """The base model of a seed: its initialisation follows the seed; text seeds below `CONFIRMATORY` share `BASES` of them.

    Seeds that share a base are not independent replicates: at an intraclass correlation of 0.3, 32 seeds on three bases make
    a nominal 99.7 % interval miss the truth 14 % of the time. A checkpoint has one initialisation and is left unchanged.
    """
    if base.model not in BASE_SIZES:
        return base
    shared = world == "lm" and seed < CONFIRMATORY
    return base.model_copy(update={"init": seed % BASES if shared else seed})


def log_every(world: str, steps: int) -> int:
    """RL steps between logged points of a run in a study."""
    return max(LOG_EVERY[world], -(-steps // MOST_POINTS))


def arm_label(recipe: str, toggles: Toggles) -> str:
    """A recipe's name and the toggles that differ from its own, such as `vapo without clip_higher`."""
    default, actual = RECIPES[recipe].toggles.model_dump(), toggles.model_dump()
    removed = [f"without {name}" for name in COMPONENTS if default[name] and not actual[name]]
    added = [f"with {name}" for name in COMPONENTS if actual[name] and not default[name]]
    return " ".join([recipe, *removed, *added])


def spec_for(
    recipe: str, world: str, seed: int, task: TaskSpec | None = None, settings: Settings | None = None, **more: Any
) -> RunSpec:
    """Build a spec from the recipe's toggles and variants and the world's defaults; `more` overrides fields.

    Raises:
        ValueError: for an unknown recipe, or as pydantic's ValidationError for an invalid field.
    """
    if recipe not in RECIPES:
        raise ValueError(f"recipe: no recipe {recipe!r}{nearest(recipe, RECIPES)}")
    bundle = RECIPES[recipe]
    fields = {
        "world": world,
        "task": task or TaskSpec(name=DEFAULT_TASK[world]),
        "recipe": recipe,
        "toggles": bundle.toggles,
        "settings": settings or DEFAULT_SETTINGS[world],
        "variants": dict(bundle.variants),
        "evaluation": DEFAULT_EVALUATION[world],
        "seed": seed,
        "steps": DEFAULT_STEPS[world],
    }
    return RunSpec(**{**fields, **more})
