"""MATH: competition problems in seven subjects and five levels (Hendrycks et al., arXiv:2103.03874).

The original home was taken down in January 2025; the 7,500 training problems come from the copy `EleutherAI/hendrycks_math`
(a configuration per subject; columns problem, level, type, solution), the held-out ones are the 500 of Lightman et al.
(arXiv:2305.20050), `HuggingFaceH4/MATH-500` (columns problem, solution, answer, subject, level). The answer is the last box
of the solution.
"""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from vapo_core.grading.answers import final_answer
from vapo_core.tasks.mathematics import BOXED, Mathematics, MathematicsDials, Reference, reference_of
from vapo_core.tasks.rows import Row
from vapo_core.tasks.sources import Source
from vapo_core.types import Problem

_TRAIN, _HELD_OUT = "21a5633873b6a120296cce3e2df9d5550074f4a3", "6e4ed1a2a79af7d8630a6b768ec859cb5af4d3be"
SUBJECTS = (
    "algebra", "counting_and_probability", "geometry", "intermediate_algebra", "number_theory", "prealgebra", "precalculus",
)  # fmt: skip


class MathDials(MathematicsDials):
    """Dials of MATH."""

    max_tokens: int = Field(2048, ge=2, description="length limit of a response in tokens, stop token included")


class CompetitionMath(Mathematics):
    """Task and verifier."""

    name = "math"
    columns = ("problem", "solution", "level")
    sources: ClassVar[Mapping[str, tuple[Source, ...]]] = {
        "train": tuple(Source("EleutherAI/hendrycks_math", "train", _TRAIN, subject) for subject in SUBJECTS),
        "held_out": (Source("HuggingFaceH4/MATH-500", "test", _HELD_OUT),),
    }

    def read(self, row: Row) -> Problem:
        """A problem; its level, 1 to 5 (`Level 3`, or 3), is the difficulty.

        Raises:
            ValueError: naming row and field, if there is no problem, or no final answer in the solution.
        """
        solution = row.text("solution")
        answer = reference_of(row, "solution", final_answer(solution))
        level = str(row.value("level")).removeprefix("Level").strip()
        difficulty = float(level) if level.isdecimal() else 0.0
        return Problem(self.text(row) + BOXED, Reference(answer, solution), difficulty=difficulty)
