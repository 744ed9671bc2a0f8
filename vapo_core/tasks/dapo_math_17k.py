"""DAPO-Math-17k: some 17,000 problems with whole numbers as answers (Yu et al., arXiv:2503.14476); VAPO trained on it, too.

`BytedTsinghua-SIA/DAPO-Math-17k` has every problem about a hundred times in one split train; each is kept once. The held-out
problems are AIME 2024 in the same form, `BytedTsinghua-SIA/AIME-2024`. Columns prompt (messages) and reward_model
(ground_truth); the prompt is the data's own, which asks for a last line `Answer: ...`.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from vapo_core.tasks.mathematics import Mathematics, MathematicsDials, Reference
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

    def text(self, table: Any) -> Any:
        """What the user of each prompt says.

        Raises:
            ValueError: if a prompt is not one message of the user.
        """
        import pyarrow.compute as pc

        messages = pc.list_flatten(table["prompt"])
        if len(messages) != len(table) or set(pc.struct_field(messages, "role").unique().to_pylist()) != {"user"}:
            raise ValueError(f"task {self.name}: a prompt is not a single message of role user")
        return pc.struct_field(messages, "content")

    def read(self, row: Mapping[str, Any]) -> Problem:
        """The prompt as it is."""
        answer = str(row["reward_model"]["ground_truth"]).strip()
        return Problem(row["prompt"][0]["content"], Reference(answer, f"Answer: {answer}"))
