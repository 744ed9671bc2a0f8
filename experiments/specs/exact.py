"""The spec of an exact-level run: one sampled family of problems, measured without training. Torch-free."""

import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from experiments.exact_level.plans import AnyPlan, Plan
from experiments.specs.plugin import identity
from experiments.specs.spec import ABSENT, PROTOCOLS, RunSpec, content_hash
from vapo_core.settings import Frozen


class ExactSpec(Frozen):
    """Everything that determines the numbers of one run of the exact level."""

    world: Literal["exact"]
    plan: AnyPlan
    seed: int = Field(ge=0, description="draws problem and critic error: the unit of replication")
    protocol: int = Field(0, description="defaults to the level's current protocol")
    steps: Literal[0] = Field(0, description="nothing is trained; metrics are logged at step 0")

    @model_validator(mode="before")
    @classmethod
    def _present_protocol(cls, data: Any) -> Any:
        return {"protocol": PROTOCOLS["exact"], **data} if isinstance(data, Mapping) else data

    def __hash__(self) -> int:
        return int(self.hash, 16)

    @property
    def hash(self) -> str:
        """As for a trained run: first 16 hex digits of the SHA-256 of the canonical JSON without defaults."""
        return content_hash(self)

    @property
    def arm(self) -> str:
        """The measurement and its kind of problem, such as `horizon: state error, decisions, fixed length`."""
        plan = self.plan
        if not isinstance(plan, Plan):
            return f"{plan.measure}: {plan.result}"
        lengths = "variable length" if plan.variable else "fixed length"
        return f"{plan.measure}: {plan.error.kind} error, {plan.growth}, {lengths}"


def exact_spec(plan: AnyPlan, seed: int) -> ExactSpec:
    """The spec of a plan and a seed."""
    return ExactSpec(world="exact", plan=plan, seed=seed)


AnySpec = RunSpec | ExactSpec
"""Any run's spec; both kinds have hash, world, seed, steps and arm."""


def read_spec(text: str) -> AnySpec:
    """Parse a spec from JSON; names that only an absent plugin knows are not checked.

    Raises:
        ValueError: if it is not a spec of this version of the code.
    """
    content = json.loads(text)
    if isinstance(content, dict) and content.get("world") == "exact":
        return ExactSpec.model_validate_json(text)
    plugin = content.get("plugin") if isinstance(content, dict) else None
    return RunSpec.model_validate_json(text, context=ABSENT if plugin and plugin != identity() else None)
