"""What the mathematics tasks share: a pool and held-out problems without a common one, and the verifier.

A response is read as `vapo_core.grading.answers.final_answer` says, compared exactly where both answers are plain numbers
or words, and by math-verify in processes of its own otherwise. No base model is pretrained here for these tasks: they take
a checkpoint.
"""

import hashlib
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
from pydantic import Field

from vapo_core.grading.answers import LONGEST, Outcome, decidable, final_answer
from vapo_core.grading.pool import Pool, compare_all, installed
from vapo_core.settings import Frozen
from vapo_core.tasks.base import Grade, check_split, passes
from vapo_core.tasks.rows import Row, firsts
from vapo_core.tasks.sources import Source, from_files, from_hub, has_split
from vapo_core.types import Problem

BOXED = "\n\nReason step by step, and give your final answer inside \\boxed{}."
"""What is asked of the model after the problem, in the form the field's verifiers look for."""

GRADES: dict[Outcome, Grade] = {
    "right": Grade(1.0, mode="answer"),
    "wrong": Grade(0.0),
    "unparsable": Grade(0.0, parsed=False),
}


class MathematicsDials(Frozen):
    """Dials of a mathematics task."""

    places: ClassVar[tuple[str, ...]] = ("path", "held_out_path")
    """Those that name a file or a folder."""

    path: str = Field("", description="file, or folder with a file per split, in the hub's format; the hub if empty")
    held_out_path: str = Field(
        "", description="file or folder of the held-out problems, if `path` does not contain them"
    )
    max_tokens: int = Field(1024, ge=2, description="length limit of a response in tokens, stop token included")
    time_limit: float = Field(3.0, gt=0, description="seconds of processor time to compare an answer; else unparsable")


class Reference(NamedTuple):
    """What a problem hides in `Problem.answer`."""

    answer: str
    solution: str
    """A worked solution that ends in the boxed answer, the answer alone where the data have none."""


class Splits(NamedTuple):
    """Problems without repeats."""

    train: list[Problem]
    held_out: list[Problem]
    repeats: int
    """Rows that were left out of either because the text had come before."""
    shared: int
    """Problems that were left out of `train` because they are held out."""


class Mathematics:
    """Task and verifier; a subclass says where rows come from and how one is read."""

    splits: tuple[str, ...] = ("train", "held_out")
    name = ""
    columns: tuple[str, ...] = ()
    sources: ClassVar[Mapping[str, tuple[Source, ...]]] = {}
    """Split here -> splits on the hub."""
    files: ClassVar[Mapping[str, str]] = {"train": "train", "held_out": "test"}
    """Split here -> the word in the names of a folder's files."""

    def __init__(self, dials: MathematicsDials) -> None:
        self.dials, self.max_tokens = dials, dials.max_tokens
        self.pool = Pool(dials.time_limit)
        self._splits: Splits | None = None

    def read(self, row: Row) -> Problem:
        """A problem from a row.

        Raises:
            ValueError: naming row and field, if there is no problem or no answer in it.
        """
        raise NotImplementedError

    def text(self, row: Row) -> str:
        """What tells rows apart: the problem's text."""
        return row.text(self.columns[0])

    def sample(self, rng: np.random.Generator, n: int, split: str) -> list[Problem]:
        """n problems of a split, distinct while there are enough.

        Raises:
            ValueError: if the data is not available or the split is empty.
        """
        check_split(split, self.splits)
        problems: list[Problem] = getattr(self.problems(), split)
        if not problems:
            raise ValueError(self.lacking(split))
        return passes(problems, rng, n)

    def lacking(self, split: str) -> str:
        """What to say where a split has no problem."""
        return f"task {self.name}: the data have no {split} problem"

    def problems(self) -> Splits:
        """Both splits, read once; says on stderr what was left out.

        Raises:
            ValueError: if the data cannot be read, or if an answer needs math-verify and that is not installed.
        """
        if self._splits is None:
            self._splits = apart(self._rows("train"), self._rows("held_out"))
            self._check_gradable()
            train, held_out, repeats, shared = self._splits
            if all(
                getattr(self._splits, split) for split in self.splits
            ):  # otherwise only the missing split is reported
                say_once(
                    f"task {self.name}: {len(train)} problems to train on, {len(held_out)} held out"
                    f" (left out: {repeats} repeats, {shared} that are held out)"
                )
        return self._splits

    def _check_gradable(self) -> None:
        """Refuse answers that only math-verify can compare, where it is not installed."""
        if self._splits is None or installed():
            return
        for problem in (*self._splits.train, *self._splits.held_out):
            if not decidable(problem.answer.answer):
                raise ValueError(
                    f"task {self.name}: the answer {problem.answer.answer!r} is neither a plain number nor words, and comparing"
                    " it needs the package math-verify: pip install 'vapo-lab[real]'"
                )

    def _rows(self, split: str) -> tuple[list[Problem], int]:
        """Problems of one split, of each text the first, and how many rows that left out."""
        rows, number = firsts(self.rows(split), self.text)
        return [self.read(row) for row in rows], number - len(rows)

    def rows(self, split: str) -> Iterator[Row]:
        """Rows of a split: of local files where a path is given, else of the hub.

        Raises:
            ValueError: if there are none, or if a path has training problems alone.
        """
        if not self.dials.path:
            for source in self.sources.get(split, ()):
                yield from from_hub(source, self.columns)
            return
        path, word = Path(self.dials.path), self.files[split]
        if split == "held_out" and self.dials.held_out_path:
            path = Path(self.dials.held_out_path)
        elif split == "held_out" and len(self.splits) > 1 and not has_split(path, word):
            raise ValueError(f"path: {path} has no held-out problems; name them with --dials.held-out-path")
        yield from from_files(path, word, self.columns)

    def demonstration(self, problem: Problem, rng: np.random.Generator) -> str:
        """The worked solution of the data."""
        return problem.answer.solution

    def verify(self, problem: Problem, response: str) -> Grade:
        """Right, wrong or unparsable."""
        return self.verify_all([problem], [response])[0]

    def verify_all(self, problems: Sequence[Problem], responses: Sequence[str]) -> list[Grade]:
        """A grade per response; those that need math-verify are compared side by side."""
        answers = [final_answer(response) for response in responses]
        references = [problem.answer.answer for problem in problems]
        return [GRADES[outcome] for outcome in compare_all(self.pool, references, answers)]

    def boundaries(self, response: str) -> list[int]:
        """A step is a line, as VinePPO cuts solutions of these sets (arXiv:2410.01679, section 5.2)."""
        return line_ends(response)


def line_ends(text: str) -> list[int]:
    """Positions after each line that ends, empty lines after it included."""
    return [found.end() for found in re.finditer(r"[^\n]\n+", text)]


def reference_of(row: Row, column: str, answer: str | None) -> str:
    """The answer that a row's field gives.

    Raises:
        ValueError: naming row and field, if it gives none, or one longer than any that is read.
    """
    if answer is None or not answer.strip():
        raise row.fault(column, f"has no final answer: {row.text(column)[:60]!r}")
    if len(answer.strip()) > LONGEST:
        raise row.fault(column, f"has an answer of {len(answer.strip()):,} characters, allowed: at most {LONGEST:,}")
    return answer.strip()


@cache
def say_once(line: str) -> None:
    """On stderr, once per process."""
    print(line, file=sys.stderr)


def apart(train: tuple[list[Problem], int], held_out: tuple[list[Problem], int]) -> Splits:
    """Splits that share no text, each in the order of a hash of its texts: the same whatever file they came from."""
    kept, evaluation = by_hash(train[0]), by_hash(held_out[0])
    repeats = train[1] + held_out[1] + len(train[0]) - len(kept) + len(held_out[0]) - len(evaluation)
    pool = {key: problem for key, problem in kept.items() if key not in evaluation}
    return Splits(list(pool.values()), list(evaluation.values()), repeats, len(kept) - len(pool))


def by_hash(problems: Iterable[Problem]) -> dict[str, Problem]:
    """Problems by the hash of their text, in its order; of several with one text the first."""
    found: dict[str, Problem] = {}
    for problem in problems:
        found.setdefault(text_hash(problem.prompt), problem)
    return dict(sorted(found.items()))


def text_hash(text: str) -> str:
    """SHA-256 of a text, spacing aside."""
    return hashlib.sha256(" ".join(text.split()).encode()).hexdigest()
