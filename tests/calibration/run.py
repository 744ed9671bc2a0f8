"""How often do the judges err, and how often do they see what is there? Data of the studies' design, theta planted.

`python -m tests.calibration.run --simulations 2000 --out tests/soak/calibration.csv` is part of `make soak`. Of every question
that a module of this package simulates, four claims are counted: at theta = delta it is called supported, and negligible,
in 5 % of simulations at most; at twice delta it is supported, and at 0 negligible, in 80 % at least. Where "no difference" is
predicted, support is the verdict at 0. Questions whose code and numbers have not changed since the table was written
are left as they are; re-run an interrupted command to resume.
"""

import argparse
import csv
import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from analysis.statistics.shares import wilson
from analysis.tables.schema import Tables
from analysis.verdict.decisions import Decision, Verdict
from analysis.verdict.questions import Question
from experiments.studies import STEMS
from tests.calibration.sources import fingerprint
from tests.support.tables import stamp, write_rows

HOME = Path(__file__).parent
CHUNK = 25
"""Simulations a process is given at a time."""
MOST_FALSE, LEAST_POWER = 0.05, 0.8

Row = dict[str, Any]
Simulate = Callable[[float, np.random.Generator], Tables]
Judge = Callable[[Tables, Question, str], list[Verdict]]


class Place(NamedTuple):
    """Where a question's three parts are: names of modules, so that another process finds them."""

    id: str
    """Of the question, and the name of its judge."""
    questions: str
    """Module with QUESTIONS."""
    judges: str
    """Module with a function per question."""
    simulations: str
    """Module with SIMULATIONS."""

    @classmethod
    def of(cls, stem: str, id: str) -> "Place":
        """A question of a study."""
        return cls(
            id,
            f"experiments.studies.{stem}.questions",
            f"analysis.hypotheses.{stem}.judge",
            f"tests.calibration.{stem}",
        )

    @property
    def question(self) -> Question:
        """As declared."""
        return import_module(self.questions).QUESTIONS[self.id]

    @property
    def judge(self) -> Judge:
        """The function of the question's name."""
        return getattr(import_module(self.judges), self.id)

    @property
    def simulate(self) -> Simulate:
        """Tables in which theta is planted."""
        return import_module(self.simulations).SIMULATIONS[self.id]


class Outcome(NamedTuple):
    """What one simulated study came to."""

    decision: Decision
    effect: float
    covered: bool
    """Whether the interval holds theta."""


class Claim(NamedTuple):
    """What must hold of a judge."""

    name: str
    at: int
    """theta in units of delta."""
    decision: Decision
    power: bool
    """Whether the decision must come often (80 %) rather than seldom (5 %)."""

    def met(self, share: float) -> bool:
        """Whether a share of simulations with that decision is as it should be."""
        return share >= LEAST_POWER if self.power else share <= MOST_FALSE


CLAIMS = (
    Claim("false support", 1, "supported", False),
    Claim("false negligible", 1, "refuted_negligible", False),
    Claim("power for support", 2, "supported", True),
    Claim("power for negligible", 0, "refuted_negligible", True),
)
EQUIVALENCE = (
    Claim("false support", 1, "supported", False),
    Claim("false opposite", 1, "refuted_opposite", False),
    Claim("power for support", 0, "supported", True),
    Claim("power for opposite", 2, "refuted_opposite", True),
)
"""Where no difference is predicted: the targets swap."""


def claims_of(question: Question) -> tuple[Claim, ...]:
    """Four claims."""
    return EQUIVALENCE if question.equivalence else CLAIMS


def simulated(place: Place, at: int, seed: int, numbers: Iterable[int]) -> list[Outcome]:
    """Studies with theta = `at` deltas; number i draws from its own stream.

    Raises:
        ValueError: if the judge gives no verdict, or more than one.
    """
    question, judge, simulate = place.question, place.judge, place.simulate
    theta, found = at * question.threshold, []
    for number in numbers:
        rng = np.random.default_rng([seed, *place.id.encode(), at, number])
        verdicts = [v for v in judge(simulate(theta, rng), question, "full") if v.primary and v.question == place.id]
        if len(verdicts) != 1 or verdicts[0].decision is None:
            raise ValueError(
                f"{place.id}: {len(verdicts)} primary verdicts in simulation {number} of theta = {theta:g}"
            )
        only = verdicts[0]
        found.append(Outcome(verdicts[0].decision, only.effect, bool(only.low <= theta <= only.high)))
    return found


def outcomes(place: Place, at: int, simulations: int, seed: int = 0, workers: int = 1) -> list[Outcome]:
    """`simulations` studies, the same ones for any number of processes."""
    chunks = [range(first, min(first + CHUNK, simulations)) for first in range(0, simulations, CHUNK)]
    if workers == 1:
        return list(itertools.chain.from_iterable(simulated(place, at, seed, chunk) for chunk in chunks))
    with ProcessPoolExecutor(workers) as pool:
        return list(itertools.chain.from_iterable(pool.map(partial(simulated, place, at, seed), chunks)))


def calibrate(place: Place, simulations: int = 2000, seed: int = 0, workers: int = 1) -> list[Row]:
    """A row per claim: share of simulations with the decision, its Wilson interval, and what else was seen there."""
    question = place.question
    claims = claims_of(question)
    found = {at: outcomes(place, at, simulations, seed, workers) for at in sorted({claim.at for claim in claims})}
    return [_row(question, claim, found[claim.at], seed) for claim in claims]


def _row(question: Question, claim: Claim, found: list[Outcome], seed: int) -> Row:
    counts = Counter(outcome.decision for outcome in found)
    share, low, high = wilson(counts[claim.decision], len(found))
    return {
        "question": question.id, "level": question.primary, "claim": claim.name, "theta": claim.at * question.threshold,
        "threshold": question.threshold, "unit": question.unit, "decision": claim.decision,
        "target": f">= {LEAST_POWER}" if claim.power else f"<= {MOST_FALSE}", "simulations": len(found),
        "share": round(share, 5), "low": round(low, 5), "high": round(high, 5), "met": claim.met(share),
        "decisions": "; ".join(f"{name} {count}" for name, count in sorted(counts.items())),
        "mean_effect": float(f"{np.mean([outcome.effect for outcome in found]):.5g}"),
        "covered": round(float(np.mean([outcome.covered for outcome in found])), 5), "seed": seed,
    }  # fmt: skip


def check(stem: str, id: str, simulations: int = 40, seed: int = 0) -> list[Row]:
    """A quick look for a test: rows of a few simulations, none of which speaks against its claim.

    Raises:
        AssertionError: if a Wilson interval excludes what is claimed.
    """
    place = Place.of(stem, id)
    rows = calibrate(place, simulations, seed)
    for claim, row in zip(claims_of(place.question), rows, strict=True):
        best = row["high"] if claim.power else row["low"]
        assert claim.met(best), f"{id}, {claim.name}: {row['share']:.0%} of {simulations} ({row['decisions']})"
    return rows


def places() -> Iterator[Place]:
    """Every question that is simulated, by study."""
    for stem in STEMS:
        if (HOME / f"{stem}.py").is_file():
            for id in import_module(f"tests.calibration.{stem}").SIMULATIONS:
                yield Place.of(stem, id)


def table(chosen: Iterable[Place], simulations: int, seed: int, workers: int, out: Path | None) -> list[Row]:
    """Calibrate these questions unless `out` has their rows already; written after each, others' rows kept."""
    rows = _read(out)
    for place in chosen:
        source = fingerprint((place.questions, place.judges, place.simulations))
        wanted = {"simulations": str(simulations), "seed": str(seed), "source": source}
        mine = [row for row in rows if row["question"] == place.id]
        if mine and all(str(row[name]) == value for row in mine for name, value in wanted.items()):
            print(f"{place.id}: unchanged", flush=True)
            continue
        began = time.monotonic()
        found = [{**row, "source": source, **stamp()} for row in calibrate(place, simulations, seed, workers)]
        for row in found:
            said = f"{row['share']:.3f} {row['target']}{'' if row['met'] else ', NOT MET'}"
            print(f"{place.id}, {row['claim']} at {row['theta']:g}: {said} ({row['decisions']})", flush=True)
        print(f"{place.id}: {time.monotonic() - began:.0f} s", flush=True)
        rows = sorted([row for row in rows if row["question"] != place.id] + found, key=lambda row: row["question"])
        if out is not None:
            write_rows(rows, out)
    return rows


def _read(out: Path | None) -> list[Row]:
    if out is None or not out.is_file():
        return []
    with out.open(newline="") as handle:
        return list(csv.DictReader(handle))


def main() -> int:
    """Simulate, print and write the table; 1 if a claim is not met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simulations", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--questions", nargs="*", help="such as h1a; all that are simulated if not given")
    parser.add_argument("--out", type=Path)
    words = parser.parse_args()
    known = list(places())
    unknown = set(words.questions or ()) - {place.id for place in known}
    if unknown:
        parser.error(f"no simulations of {', '.join(sorted(unknown))}; there are {', '.join(p.id for p in known)}")
    chosen = [place for place in known if not words.questions or place.id in words.questions]
    rows = table(chosen, words.simulations, words.seed, words.workers, words.out)
    return int(any(str(row["met"]) != "True" for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
