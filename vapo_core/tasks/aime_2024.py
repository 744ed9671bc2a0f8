"""AIME 2024: the thirty problems of both papers, answers 0 to 999, as `Maxwell-Jia/AIME_2024` has them. Evaluation only.

Columns ID, Problem, Solution, Answer; the hub calls its only split train, and nothing here is trained on it: task
`dapo_math_17k` has the problems to train on.
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np
from pydantic import Field

from vapo_core.tasks.mathematics import BOXED, Mathematics, MathematicsDials, Reference, reference_of
from vapo_core.tasks.rows import Row
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
            raise ValueError("task aime_2024: evaluation only; train on dapo_math_17k, which is")
        return super().sample(rng, n, split)

    def rows(self, split: str) -> Iterator[Row]:
        """None to train on."""
        return iter(()) if split == "train" else super().rows(split)

    def read(self, row: Row) -> Problem:
        """A problem.

        Raises:
            ValueError: naming row and field, if there is no problem, solution or answer.
        """
        answer = reference_of(row, "Answer", row.text("Answer"))
        solution = f"{row.text('Solution')}\n\\boxed{{{answer}}}"
        return Problem(self.text(row) + BOXED, Reference(answer, solution))
