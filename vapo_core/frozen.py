"""The base of every configuration object."""

from typing import Any

from pydantic import BaseModel, ConfigDict

SEED_BITS = 2**32 - 1
"""The smallest bound of a seed; every other bound is far below it."""


class Frozen(BaseModel):
    """Base of every configuration object: immutable, unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, ser_json_inf_nan="strings")

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """The help of a number states its upper bound, except for bounds of seeds: they only keep a seed within its bits."""
        for field in cls.model_fields.values():
            most = next((mark.le for mark in field.metadata if hasattr(mark, "le")), None)
            if most is not None and most < SEED_BITS and field.description and "; at most " not in field.description:
                field.description += f"; at most {most}"
