"""The base of every configuration object."""

import inspect
from typing import Any

from pydantic import BaseModel, ConfigDict

SEED_BITS = 2**32 - 1
"""The smallest bound of a seed; every other bound is far below it."""


class Frozen(BaseModel):
    """Base of every configuration object: immutable, unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, ser_json_inf_nan="strings")

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Complete the help of fields.

        A number states its upper bound, except for seeds, whose bound only keeps them within their bits. A nested
        configuration is described by its own docstring: where a field has no description, tyro parses source files for one,
        which takes a fifth of a command's start.
        """
        for field in cls.model_fields.values():
            if (
                field.description is None
                and isinstance(field.annotation, type)
                and issubclass(field.annotation, BaseModel)
            ):
                field.description = inspect.getdoc(field.annotation)
            most = next((mark.le for mark in field.metadata if hasattr(mark, "le")), None)
            if most is not None and most < SEED_BITS and field.description and "; at most " not in field.description:
                field.description += f"; at most {most}"
