"""Kills and signals at random moments over one walk grid with MLflow on, given again until it is done.

`python -m tests.support.faults.strikes --out tests/soak/faults.csv` is part of `make soak`: 100 kill -9, 20 of them within
the first five seconds of a new folder, 20 SIGTERM and 20 SIGINT. A round is one grid in a folder of its own, struck
several times. At its end every run that was finished at a strike is still there, byte for byte; the tables equal those of
an uninterrupted grid except for seconds, attempts, commit and timings; no process is left over; every file under a final
name is whole; MLflow has one finished run per row and none at work.
"""

import argparse
import csv
import os
import platform
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from tests.support.faults import processes
from tests.support.faults.verdict import Verdict, is_well, judge, rows

KINDS = ("worker", "parent", "both")
PATIENCE_S = 900.0
EARLY_S = 5.0


class Amount(NamedTuple):
    """How often to strike."""

    kills: int = 100
    """Kill -9, the early ones included."""
    early: int = 20
    """Kills within the first seconds of a new folder."""
    terms: int = 20
    ints: int = 20
    size: int = 8
    """Runs of a grid that is struck several times; one that is struck early has two."""
    most: int = 4
    """Strikes per round."""


class Plan(NamedTuple):
    """One strike to come."""

    signal: str
    """KILL, TERM or INT."""
    kind: str
    """worker (one of two), parent, both: the parent and every worker, or group: as a terminal sends it."""


class Strike(NamedTuple):
    """One strike that came."""

    signal: str
    kind: str
    early: bool
    moment_s: float
    """Seconds after the command it hit was started."""
    finished: int
    """Runs of the grid that were finished then."""
    restarts: int
    """Commands given anew because of it."""


class Round(NamedTuple):
    """One grid, its strikes and what came of them."""

    strikes: list[Strike]
    verdict: Verdict
    seconds: float
    size: int

    @property
    def well(self) -> bool:
        """Whether it left nothing to wish for."""
        return is_well(self.verdict, self.size)


class Grid:
    """A grid's command, given again after every strike that ended it."""

    def __init__(self, runs: Path, size: int) -> None:
        self.runs, self.size = runs, size
        self.strikes: list[Strike] = []
        self.seen: dict[str, bytes] = {}
        self.orphans = self.unsaid = 0
        self._begin()

    def _begin(self) -> None:
        self.command, self.started = processes.start(self.runs, self.size), time.monotonic()

    def strike(self, plan: Plan, dice: random.Random, early: bool = False) -> None:
        """Strike, look at what is finished, and give the command again if it ended."""
        workers = processes.strike(self.command, plan.kind, getattr(signal, f"SIG{plan.signal}"), dice)
        at_hand, moment = rows(self.runs), time.monotonic() - self.started
        self.seen = {**at_hand, **self.seen}
        ended = plan.kind != "worker"
        self.strikes.append(Strike(plan.signal, plan.kind, early, round(moment, 2), len(at_hand), int(ended)))
        if not ended:
            return
        _, said = self.command.communicate(timeout=PATIENCE_S)
        self.unsaid += plan.signal != "KILL" and not _is_said(plan.signal, self.command.returncode, said)
        at_once = dice.random() < 0.5  # so half of the time the next command meets workers that still live
        self.orphans += 0 if at_once else processes.orphans(workers)
        self._begin()
        self.orphans += processes.orphans(workers) if at_once else 0

    def end(self, whole: Path) -> Verdict:
        """Let it finish, look at what is there."""
        _, said = self.command.communicate(timeout=PATIENCE_S)
        if self.command.returncode:
            print(said, file=sys.stderr)
        found = judge(self.runs, whole, self.seen)._replace(orphans=self.orphans, unsaid=self.unsaid)
        return found._replace(equal=found.equal and self.command.returncode == 0)


def _is_said(name: str, code: int, said: str) -> bool:
    """Whether a signal was answered by one line, or came when the command was over."""
    if code == 0:
        return True
    lines = said.splitlines()
    well = code == 128 + getattr(signal, f"SIG{name}") and "Traceback" not in said and lines[-1].startswith("stopped; ")
    if not well:
        print(f"SIG{name} was answered by exit code {code} and:\n{said}", file=sys.stderr)
    return well


def await_moment(grid: Grid, plan: Plan, dice: random.Random) -> bool:
    """Wait for a random moment: within the start and the first run, or soon after one or two more runs are finished.

    Returns:
        False if the command ended before.
    """
    more = dice.randint(0, 2)
    enough = min(len(rows(grid.runs)) + more, grid.size - 1)
    while grid.command.poll() is None and more and len(rows(grid.runs)) < enough:
        time.sleep(0.02)
    while grid.command.poll() is None and plan.signal != "KILL" and not processes.hears(grid.command.pid):
        time.sleep(0.005)
    end = time.monotonic() + dice.uniform(0.0, 0.6 if more else 8.0)
    while grid.command.poll() is None and time.monotonic() < end:
        time.sleep(0.005)
    return grid.command.poll() is None


def one_round(plans: list[Plan], most: int, dice: random.Random, whole: Path, runs: Path, size: int) -> Round:
    """Take at most so many strikes from the plans, let the grid finish, look at what is there."""
    began, grid = time.monotonic(), Grid(runs, size)
    while plans and len(grid.strikes) < most and await_moment(grid, plans[-1], dice):
        grid.strike(plans.pop(), dice)
    return Round(grid.strikes, grid.end(whole), time.monotonic() - began, size)


def early_round(plan: Plan, dice: random.Random, whole: Path, runs: Path, size: int) -> Round:
    """One kill within the first seconds of a new folder, then the command again."""
    began, grid = time.monotonic(), Grid(runs, size)
    time.sleep(dice.uniform(0.0, EARLY_S - 0.1))
    grid.strike(plan, dice, early=True)
    return Round(grid.strikes, grid.end(whole), time.monotonic() - began, size)


def soak(amount: Amount, seed: int, out: Path | None) -> list[Round]:
    """Rounds until all strikes have come; the table is written after each round."""
    home, dice = Path(tempfile.mkdtemp(prefix="vapo-faults-")), random.Random(seed)
    early, plans = plans_of(amount, dice)
    done: list[Round] = []
    small = min(2, amount.size)
    wholes = {size: home / f"whole{size}" for size in (small, amount.size)}
    try:
        for size, folder in wholes.items():
            if processes.start(folder, size).wait(PATIENCE_S):
                raise RuntimeError("the uninterrupted grid did not finish")
        while early or plans:
            if early:
                done.append(early_round(early.pop(), dice, wholes[small], home / "round", small))
            else:
                done.append(one_round(plans, amount.most, dice, wholes[amount.size], home / "round", amount.size))
            shutil.rmtree(home / "round")
            if out is not None:
                write_table(done, out)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    return done


def plans_of(amount: Amount, dice: random.Random) -> tuple[list[Plan], list[Plan]]:
    """The early kills, and all other strikes in random order."""
    early = [Plan("KILL", dice.choice(KINDS[1:])) for _ in range(amount.early)]
    plans = [Plan("KILL", KINDS[number % 3]) for number in range(amount.kills - amount.early)]
    plans += [Plan("TERM", ("parent", "group")[number % 2]) for number in range(amount.terms)]
    plans += [Plan("INT", ("group", "parent")[number % 2]) for number in range(amount.ints)]
    dice.shuffle(plans)
    return early, plans


def write_table(done: list[Round], out: Path) -> None:
    """One line per strike: the strike, then what its round left, with date and machine."""
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    known = (time.strftime("%Y-%m-%d"), machine)
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(["round", *Strike._fields, "runs", *Verdict._fields, "round_s", "date", "machine"])
        for number, one in enumerate(done):
            left = (one.size, *one.verdict, round(one.seconds, 1), *known)
            writer.writerows([number, *strike, *left] for strike in one.strikes)


def main() -> int:
    """Run the grid (for ourselves) or the soak; exit code 1 if any round went wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, number in Amount()._asdict().items():
        parser.add_argument(f"--{name}", type=int, default=number)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--grid", type=Path, help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.grid:
        return processes.command(words.grid, words.size)
    done = soak(Amount(**{name: getattr(words, name) for name in Amount._fields}), words.seed, words.out)
    bad = [one for one in done if not one.well]
    print(f"{sum(len(one.strikes) for one in done)} strikes over {len(done)} grids, {len(bad)} grids went wrong")
    for one in bad:
        print(one)
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
