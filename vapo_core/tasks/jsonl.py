"""A user's own file of problems and answers, JSON lines (or parquet, or Arrow), one problem a row.

{"problem": "What is 2 + 3?", "answer": "5"}
"""

from collections.abc import Iterator
from pathlib import Path

from pydantic import Field

from vapo_core.grading.answers import final_answer
from vapo_core.tasks.mathematics import BOXED, Mathematics, MathematicsDials, Reference, reference_of, text_hash
from vapo_core.tasks.rows import Row
from vapo_core.tasks.sources import from_files, has_split
from vapo_core.types import Problem


class JsonlDials(MathematicsDials):
    """Dials of a user's own file."""

    path: str = Field("", description="the file, or a folder with a file per split (train, test in their names)")
    problem_field: str = Field("problem", description="column with the problem's text")
    answer_field: str = Field("answer", description="column with the answer, a text or a number")
    held_out_share: float = Field(
        0.1, gt=0, lt=1, description="share of problems kept out of training, by their text, where no file has them"
    )


class Jsonl(Mathematics):
    """Task and verifier."""

    name = "jsonl"
    dials: JsonlDials

    def __init__(self, dials: JsonlDials) -> None:
        super().__init__(dials)
        self.columns = (dials.problem_field, dials.answer_field)

    def rows(self, split: str) -> Iterator[Row]:
        """The file's rows; of a file without held-out ones a share by text, the same on every machine.

        Raises:
            ValueError: without a path.
        """
        if not self.dials.path:
            raise ValueError("dials.path: task jsonl needs a file of problems and answers")
        path = Path(self.dials.path)
        if self.dials.held_out_path or has_split(path, self.files["held_out"]):
            yield from super().rows(split)
            return
        for row in from_files(path, self.files["train"], self.columns):
            if self._kept_out(self.text(row)) == (split == "held_out"):
                yield row

    def lacking(self, split: str) -> str:
        """How many problems there are in all, and what decides where they go."""
        found = sum(map(len, self.problems()[:2]))
        wanted = f"the held-out share of {self.dials.held_out_share:g} leaves none for {split}; add problems"
        if self.dials.held_out_path or has_split(Path(self.dials.path), self.files["held_out"]):
            wanted = f"none of them for {split} alone"
        return f"path: {self.dials.path}: {found} problem{'s' * (found != 1)} in all, {wanted}"

    def _kept_out(self, text: str) -> bool:
        """By the hash of the text alone, so that no two rows of one text fall apart."""
        return int(text_hash(text)[:8], 16) < self.dials.held_out_share * 2**32

    def read(self, row: Row) -> Problem:
        """A problem; what stands in a box or after #### counts as the answer where the field has more than that.

        Raises:
            ValueError: naming row and field, if a problem or an answer is missing, null, blank or no text.
        """
        problem, answer = self.text(row), row.text(self.columns[1])
        reference = reference_of(row, self.columns[1], final_answer(answer) or answer)
        return Problem(problem + BOXED, Reference(reference, f"\\boxed{{{reference}}}"))
