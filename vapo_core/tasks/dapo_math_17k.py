"""DAPO-Math-17k: some 17,000 problems with whole numbers as answers (Yu et al., arXiv:2503.14476); VAPO trained on it, too.

`BytedTsinghua-SIA/DAPO-Math-17k` has every problem about a hundred times in one split train; each is kept once. The held-out
problems are AIME 2024 in the same form, `BytedTsinghua-SIA/AIME-2024`. Columns prompt (messages) and reward_model
(ground_truth); the prompt is the data's own, which asks for a last line `Answer: ...`.
"""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from vapo_core.tasks.mathematics import Mathematics, MathematicsDials, Reference, reference_of
from vapo_core.tasks.rows import Row
from vapo_core.tasks.sources import Source
from vapo_core.types import Problem

_TRAIN, _HELD_OUT = "65877096c24ffa7abc4e4fa5edb95cf3413a5674", "aa49075e24ad594b79fdf0bdcefa735c2181be67"


class DapoMath17kDials(MathematicsDials):
    """Dials of DAPO-Math-17k."""

    max_tokens: int = Field(8192, ge=2, description="length limit of a response in tokens, stop token included")


class DapoMath17k(Mathematics):
    """Task and verifier."""

    name = "dapo_math_17k"
    columns = ("prompt", "reward_model")
    sources: ClassVar[Mapping[str, tuple[Source, ...]]] = {
        "train": (Source("BytedTsinghua-SIA/DAPO-Math-17k", "train", _TRAIN),),
        "held_out": (Source("BytedTsinghua-SIA/AIME-2024", "train", _HELD_OUT),),
    }
    files: ClassVar[Mapping[str, str]] = {"train": "dapo", "held_out": "aime"}

    def text(self, row: Row) -> str:
        """What the user of the prompt says, as it is.

        Raises:
            ValueError: naming the row, if the prompt is not one message of the user.
        """
        messages = row.value("prompt")
        if isinstance(messages, list) and len(messages) == 1 and isinstance(messages[0], Mapping):
            content = messages[0].get("content")
            if messages[0].get("role") == "user" and isinstance(content, str) and content.strip():
                return content
        raise row.fault("prompt", 'is not a single message of role user, as [{"role": "user", "content": "..."}]')

    def read(self, row: Row) -> Problem:
        """The prompt as it is.

        Raises:
            ValueError: naming row and field, if there is no prompt or no answer.
        """
        model = row.value("reward_model")
        if not isinstance(model, Mapping):
            raise row.fault("reward_model", 'is not an object such as {"ground_truth": "5"}')
        inner = Row(f"{row.place}, field 'reward_model'", model)
        answer = reference_of(inner, "ground_truth", inner.text("ground_truth"))
        return Problem(self.text(row), Reference(answer, f"Answer: {answer}"))
