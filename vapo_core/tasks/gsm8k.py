"""GSM8K: 7,473 + 1,319 word problems of grade school (Cobbe et al., arXiv:2110.14168), as `openai/gsm8k` has them.

Columns `question` and `answer`; the answer is a worked solution that ends in `#### 42`. Trained on split train, evaluated on
split test.
"""

import re
from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from vapo_core.grading.numerals import number
from vapo_core.tasks.mathematics import BOXED, Mathematics, MathematicsDials, Reference, reference_of
from vapo_core.tasks.rows import Row
from vapo_core.tasks.sources import Source
from vapo_core.types import Problem

_REVISION = "740312add88f781978c0658806c59bc2815b9866"
_CALCULATION = re.compile(r"<<[^<>]*>>")


class Gsm8kDials(MathematicsDials):
    """Dials of GSM8K."""

    max_tokens: int = Field(512, ge=2, description="length limit of a response in tokens, stop token included")


class Gsm8k(Mathematics):
    """Task and verifier."""

    name = "gsm8k"
    columns = ("question", "answer")
    sources: ClassVar[Mapping[str, tuple[Source, ...]]] = {
        "train": (Source("openai/gsm8k", "train", _REVISION, "main"),),
        "held_out": (Source("openai/gsm8k", "test", _REVISION, "main"),),
    }

    def read(self, row: Row) -> Problem:
        """A question; the number after the last `####` is the answer, and calculator notes are left out of the solution.

        Raises:
            ValueError: naming row and field, if there is no question or no answer.
        """
        worked, mark, answer = row.text("answer").rpartition("####")
        if not mark and number(answer) is None:
            raise row.fault("answer", f"has no number after ####: {answer[:60]!r}")
        reference = reference_of(row, "answer", answer.replace(",", ""))
        steps = _CALCULATION.sub("", worked).strip()
        solution = f"{steps}\n\\boxed{{{reference}}}" if steps else f"\\boxed{{{reference}}}"
        return Problem(self.text(row) + BOXED, Reference(reference, solution), difficulty=float(steps.count("\n") + 1))
