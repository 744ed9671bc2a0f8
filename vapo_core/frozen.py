"""The base of every configuration object."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """Base of every configuration object: immutable, unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, ser_json_inf_nan="strings")

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Every bound of a number stands in its help."""
        for field in cls.model_fields.values():
            most = next((mark.le for mark in field.metadata if hasattr(mark, "le")), None)
            if most is not None and field.description and "; at most " not in field.description:
                field.description += f"; at most {most}"
