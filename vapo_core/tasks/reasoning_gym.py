"""Any generator of the reasoning-gym package by name; its own `score_answer` is the verifier, run in a separate process.

The process makes a problem again from its seed and place, scores one answer and says the number; a call that takes too
long ends with the process, in whatever thread it was made. A demonstration is the reference answer alone.

A pretrained checkpoint reasons before it answers, so the answer can also be read out of the response (dial `answer_in`); then
it has to be the reference's number, and no scorer is asked.
"""

import importlib
import json
import math
import queue
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import Field

from vapo_core import bounds
from vapo_core.grading.answers import compare, final_answer, last_number
from vapo_core.grading.numerals import number
from vapo_core.settings import Frozen
from vapo_core.suggest import nearest
from vapo_core.tasks.base import Grade, check_split
from vapo_core.tasks.drawing import kept_out
from vapo_core.tasks.mathematics import BOXED, GRADES, line_ends
from vapo_core.types import Problem

REFUSED = frozenset({
    "countdown", "intermediate_integration", "n_queens", "polynomial_multiplication", "puzzle24", "simple_integration",
})  # fmt: skip
"""Generators whose scorer evaluates the answer as Python, and whose right answers cannot be listed instead."""

UNSTEADY = frozenset({"isomorphic_strings", "knight_swap", "ransom_note", "word_ladder"})
"""Generators that walk through sets of text, so that one seed means other problems in another process (0.1.25)."""

COMPARED = frozenset({"binary_matrix", "spiral_matrix", "string_insertion"})
"""Generators whose scorer evaluates an answer that differs from the only right one, for part credit; it is compared."""

LONGEST = 4096
"""Characters of an answer beyond which it is not read."""

LAST = "\n\nEnd with the answer as a number."
"""What is asked of the model where the last number is read."""


class Form(NamedTuple):
    """How a number is asked for within a response, and read out of it."""

    asked: str
    written: str
    """A demonstration, `{}` in place of the number."""
    read: Callable[[str], str | None]


FORMS: dict[str, Form] = {
    "boxed": Form(BOXED, "\\boxed{{{}}}", final_answer),
    "last_number": Form(LAST, "{}", last_number),
}

_START_LIMIT = 120.0  # seconds the process may take to import the package


class ReasoningGymDials(Frozen):
    """Dials of a reasoning-gym task."""

    generator: str = Field("chain_sum", description="name of a reasoning-gym generator")
    config: dict[str, int | float | bool | str] = Field(
        {}, description="the generator's own options, such as min_terms"
    )
    max_tokens: int = Field(
        64, ge=2, le=bounds.TOKENS, description="length limit of a response in tokens, stop token included"
    )
    time_limit: float = Field(
        2.0, gt=0, le=3600, description="seconds for scoring one answer; over it is wrong and unparsed"
    )
    answer_in: Literal["whole", "boxed", "last_number"] = Field(
        "whole",
        description="where the answer stands: the whole response, scored by the package; or a number in \\boxed{} or the last"
        " number, compared exactly with the generator's own answer",
    )


class Generated(NamedTuple):
    """What a reasoning-gym problem hides in `Problem.answer`."""

    seed: int
    """The generator's."""
    size: int
    """How many problems the generator was asked for; a few generators draw differently for another size."""
    number: int
    """Place of the problem among them."""
    reference: str
    """An answer that is right."""


class ReasoningGym:
    """Task and verifier."""

    splits = ("train", "held_out")
    alphabet = "".join(map(chr, range(32, 127))) + "\n"
    time_limit_s = math.inf
    """The scorer has limits of its own."""

    def __init__(self, dials: ReasoningGymDials) -> None:
        if dials.generator in REFUSED:
            raise ValueError(
                f"generator {dials.generator!r}: its scorer evaluates answers as code, so it is not offered"
            )
        if dials.generator in UNSTEADY:
            raise ValueError(
                f"generator {dials.generator!r}: its problems differ from process to process, so it is not offered"
            )
        names = import_gym().factory.DATASETS
        if dials.generator not in names:
            raise ValueError(f"generator: no generator {dials.generator!r}{nearest(dials.generator, names)}")
        self.dials, self.max_tokens, self.form = dials, dials.max_tokens, FORMS.get(dials.answer_in)
        generate(dials.generator, dials.config, 0, 1)  # names an impossible option before anything starts
        self.scorer = Scorer(dials.generator, dials.config)

    def sample(self, rng: np.random.Generator, n: int, split: str) -> list[Problem]:
        """n problems of a split, distinct while the generator allows.

        Raises:
            ValueError: if the generator has no problem of this split that fits.
        """
        check_split(split, self.splits)
        seed, wanted = int(rng.integers(2**30)), split == "held_out"
        found: dict[str, Problem] = {}
        spare: list[Problem] = []
        for problem in self._problems(seed, 16 * n + 64):
            if kept_out(problem.prompt) == wanted:
                spare += [problem] if problem.prompt in found else []
                found.setdefault(problem.prompt, problem)
            if len(found) == n:
                break
        problems = [*found.values(), *spare][:n]
        if not problems:
            what = "fits" if self.form is None else "has a number as its answer and fits"
            raise ValueError(f"generator {self.dials.generator!r}: no {split} problem {what} {self.max_tokens} tokens")
        return [problems[i % len(problems)] for i in range(n)]

    def _problems(self, seed: int, n: int) -> Iterator[Problem]:
        """Problems of a seed whose reference answer can be written."""
        data = generate(self.dials.generator, self.dials.config, seed, n)
        for index in range(n):
            entry = data[index]
            answer = str(entry["answer"])
            if self._can_be_written(answer):
                prompt = entry["question"] + ("\n" if self.form is None else self.form.asked)
                yield Problem(
                    prompt, Generated(seed, n, index, answer), kind=self.dials.generator, difficulty=float(len(answer))
                )

    def _can_be_written(self, answer: str) -> bool:
        return (
            len(answer) < self.max_tokens
            and set(answer) <= set(self.alphabet)
            and (self.form is None or number(answer) is not None)
        )

    def demonstration(self, problem: Problem, rng: np.random.Generator) -> str:
        """The reference answer."""
        reference: str = problem.answer.reference
        return reference if self.form is None else self.form.written.format(reference)

    def verify(self, problem: Problem, response: str) -> Grade:
        """The package's score within [0, 1]; not parsed where it is empty, too long, or stops the scorer.

        A number read out of the response is right, wrong, or (where there is none) not parsed.
        """
        if self.form is not None:
            answer = self.form.read(response)
            return GRADES["unparsable" if answer is None else compare(problem.answer.reference, answer) or "unparsable"]
        if not response or len(response) > LONGEST:
            return Grade(0.0, parsed=False)
        entry: Generated = problem.answer
        if self.dials.generator in COMPARED:
            return Grade(float(response == entry.reference), mode="answer")
        score = self.scorer.score(entry, response, self.dials.time_limit)
        if score is None:
            return Grade(0.0, parsed=False)
        return Grade(min(max(score, 0.0), 1.0), mode="answer")

    def boundaries(self, response: str) -> list[int]:
        """A step is a line where the answer is read out of the response; an answer alone has none."""
        return [] if self.form is None else line_ends(response)


def import_gym() -> Any:
    """The package.

    Raises:
        ValueError: naming the extra that installs it.
    """
    try:
        importlib.import_module("reasoning_gym.factory")
        return importlib.import_module("reasoning_gym")
    except ImportError as error:
        raise ValueError("task reasoning_gym needs the package reasoning-gym: pip install 'vapo-lab[gym]'") from error


def generate(name: str, config: Mapping[str, Any], seed: int, size: int) -> Any:
    """The problems of a generator, made as they are asked for.

    Raises:
        ValueError: for options the generator does not have or cannot use.
    """
    try:
        return import_gym().create_dataset(name, **config, seed=seed, size=size)
    except (AssertionError, TypeError, ValueError) as error:
        raise ValueError(f"generator {name!r}: {error}") from None


class Scorer:
    """Asks the package in a process of its own, started when first needed and again after it was stopped."""

    def __init__(self, name: str, config: Mapping[str, Any]) -> None:
        self._command = [sys.executable, "-c", _SERVE, json.dumps(sys.path), name, json.dumps(dict(config))]
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str] = queue.Queue()

    def score(self, entry: Generated, answer: str, limit: float) -> float | None:
        """The package's score, or None if it takes longer than `limit` seconds or fails."""
        with self._lock:
            process = self._process or self._start()
            try:
                print(json.dumps([*entry[:3], answer]), file=process.stdin, flush=True)
                return json.loads(self._lines.get(timeout=limit))
            except (queue.Empty, OSError, ValueError):
                self._stop(process)
                return None

    def _start(self) -> subprocess.Popen[str]:
        """A process that has imported the package.

        Raises:
            RuntimeError: if it does not come up.
        """
        process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        weakref.finalize(self, process.kill)
        lines: queue.Queue[str] = queue.Queue()
        self._lines = lines
        threading.Thread(target=_forward, args=(process, lines), daemon=True).start()
        try:
            ready = lines.get(timeout=_START_LIMIT)
        except queue.Empty:
            ready = ""
        if not ready:
            self._stop(process)
            raise RuntimeError("the reasoning-gym scorer did not start")
        self._process = process
        return process

    def _stop(self, process: "subprocess.Popen[str]") -> None:
        """End it; the next answer starts another."""
        process.kill()
        process.wait()
        self._process = None


_SERVE = """import json, sys
sys.path[:] = json.loads(sys.argv[1])
from vapo_core.tasks.reasoning_gym import serve
serve(sys.argv[2], json.loads(sys.argv[3]))"""


def _forward(process: "subprocess.Popen[str]", lines: "queue.Queue[str]") -> None:
    """Hand on what the process says; an empty line when it ends."""
    for line in process.stdout or ():
        lines.put(line)
    lines.put("")


def serve(name: str, config: Mapping[str, Any]) -> None:
    """The process: one JSON line `[seed, size, number, answer]` in, one with the score (null where scoring fails) out."""
    out, sys.stdout = sys.stdout, sys.stderr  # what the package prints is no answer

    @lru_cache(maxsize=64)
    def data(seed: int, size: int) -> Any:
        return generate(name, config, seed, size)

    generate(name, config, 0, 1)
    print("true", file=out, flush=True)
    for line in sys.stdin:
        seed, size, number, answer = json.loads(line)
        try:
            problems = data(seed, size)
            score = float(problems.score_answer(answer, problems[number]))
        except Exception:  # any failure of a foreign scorer is an answer it could not read
            score = float("nan")
        print(json.dumps(score if score == score else None), file=out, flush=True)
