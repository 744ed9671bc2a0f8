"""AIME 2024: the thirty problems of both papers, answers 0 to 999, as `Maxwell-Jia/AIME_2024` has them. To be examined on.

Columns ID, Problem, Solution, Answer; the hub calls its only split train, and nothing here is trained on it: task
`dapo_math_17k` has the problems to train on.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from vapo_core.tasks.mathematics import BOXED, Mathematics, MathematicsDials, Reference
from vapo_core.tasks.sources import Source
from vapo_core.types import Problem

_REVISION = "8d88b2876a82a080e2f172cc9b25d0d9d2cb4792"


class Aime2024Dials(MathematicsDials):
    """Dials of AIME 2024."""

    max_tokens: int = Field(8192, ge=2, description="length limit of a response in tokens, stop token included")


class Aime2024(Mathematics):
    """Task and verifier."""

    name = "aime_2024"
    splits = ("held_out",)
    columns = ("Problem", "Solution", "Answer")
    sources: ClassVar[Mapping[str, tuple[Source, ...]]] = {
        "held_out": (Source("Maxwell-Jia/AIME_2024", "train", _REVISION),)
    }
    files: ClassVar[Mapping[str, str]] = {"held_out": "aime"}

    def sample(self, rng: np.random.Generator, n: int, split: str) -> list[Problem]:
        """n of the thirty.

        Raises:
            ValueError: for split train, naming the task to train on; or if the data cannot be had.
        """
        if split == "train":
            raise ValueError("task aime_2024: its problems are to be examined on; train on dapo_math_17k, which is")
        return super().sample(rng, n, split)

    def tables(self, split: str) -> list[Any]:
        """None to train on."""
        return [] if split == "train" else list(super().tables(split))

    def read(self, row: Mapping[str, Any]) -> Problem:
        """A problem."""
        answer = str(row["Answer"]).strip()
        solution = f"{row['Solution'].strip()}\n\\boxed{{{answer}}}"
        return Problem(row["Problem"].strip() + BOXED, Reference(answer, solution))
