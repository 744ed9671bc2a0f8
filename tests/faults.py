"""Kill -9 at random moments: workers, the parent, or both, over one walk grid, restarted until it is done.

`python -m tests.faults --kills 100 --out tests/soak/faults.csv` is `make soak`. A round is one grid in a folder of its
own, killed several times. At its end every run that was finished at a kill is still there, byte for byte; the tables
equal those of an uninterrupted grid except for seconds, attempts, commit and timings; no process is left over; every
file under a final name is whole.
"""

import argparse
import csv
import json
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
KINDS = ("worker", "parent", "both")
IGNORED = ("seconds", "attempts", "git_commit")
PATIENCE_S = 240.0
RUNS = 8
SPAWNED = b"multiprocessing.spawn"


class Kill(NamedTuple):
    """One kill."""

    kind: str
    """worker (one of two), parent, or both: the parent and every worker."""
    moment_s: float
    """Seconds after the command it hit was started."""
    finished: int
    """Runs of the grid that were finished then."""
    restarts: int
    """Commands given anew because of it."""


class Verdict(NamedTuple):
    """What a round left."""

    lost: int
    """Runs finished at a kill whose row is gone or another at the end."""
    twice: int
    """Rows of the final table beyond one per run."""
    orphans: int
    """Workers alive ten seconds after their parent was killed."""
    torn: int
    """Files under a final name that are not whole."""
    equal: bool
    """Whether the command ended well and its tables equal the uninterrupted ones."""


class Round(NamedTuple):
    """One grid, its kills and what came of them."""

    kills: list[Kill]
    verdict: Verdict
    seconds: float


# --- the grid: what is killed ---


def grid() -> list[Any]:
    """Eight runs: four arms, two seeds."""
    from tests.worlds import small_spec
    from vapo_core.settings import Toggles

    arms: list[dict[str, Any]] = [
        {}, {"recipe": "ppo"}, {"recipe": "grpo"}, {"toggles": Toggles(group_sampling=False)},
    ]  # fmt: skip
    return [small_spec(seed=seed, steps=5, **arm) for seed in range(2) for arm in arms]


def run_grid(runs: Path, out: Path) -> int:
    """What a command does: run what is not finished on two workers, then write the tables."""
    from experiments.collect import collect
    from experiments.launch import local_map

    failures = local_map(grid(), runs, "faults", 2, None, lambda spec, row: None)
    collect(grid(), runs, out)
    for failure in failures:
        print(f"not finished: {failure.spec.hash}: {failure.reason}", file=sys.stderr)
    return 1 if failures else 0


# --- killing ---


def start(runs: Path) -> subprocess.Popen[bytes]:
    """The grid as a process of its own, its workers its children."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-m", "tests.faults", "--grid", str(runs)]
    return subprocess.Popen(words, cwd=ROOT, env=environment, stderr=subprocess.PIPE)


def workers_of(parent: int) -> list[int]:
    """Process ids of a parent's workers, read from /proc."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rsplit(")", 1)[1].split()[1]) == parent:
                line = (stat.parent / "cmdline").read_bytes()
                found += [int(stat.parent.name)] if SPAWNED in line and b"resource_tracker" not in line else []
        except (OSError, IndexError, ValueError):
            continue
    return found


def kill(process: int) -> bool:
    """Kill -9; False if it was gone already."""
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def strike(command: subprocess.Popen[bytes], kind: str, dice: random.Random) -> list[int]:
    """Kill what the kind names; returns the workers there were."""
    workers = workers_of(command.pid)
    if kind in ("parent", "both"):
        command.kill()
    doomed = (
        workers if kind == "both" else workers[:0] if kind == "parent" else dice.sample(workers, min(1, len(workers)))
    )
    for worker in doomed:
        kill(worker)
    return workers


def alive(process: int) -> bool:
    """Whether a process runs; one that is only waited for does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def orphans(workers: list[int], wait_s: float = 10.0) -> int:
    """Workers still alive so long after their parent's death; these are killed."""
    deadline = time.monotonic() + wait_s
    while any(map(alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    left = [worker for worker in workers if alive(worker)]
    return len([worker for worker in left if kill(worker)])


# --- what must hold ---


def rows(runs: Path) -> dict[str, bytes]:
    """Content of every finished row."""
    return {path.parent.name: path.read_bytes() for path in runs.glob("*/row.json")}


def torn(runs: Path) -> int:
    """Files under a final name that cannot be read whole."""
    from safetensors import safe_open

    count = 0
    for path in [*runs.glob("*/*.json"), *runs.glob("critics/*/*.json")]:
        try:
            json.loads(path.read_text())
        except ValueError:
            count += 1
    for path in runs.glob("critics/*/*.safetensors"):
        try:
            with safe_open(path, "pt") as handle:
                list(handle.keys())
        except Exception:
            count += 1
    return count


def tables_equal(one: Path, two: Path) -> bool:
    """Whether two folders hold the same runs and curves but for what differs from time to time."""
    import pandas as pd

    rows_ = [pd.read_csv(folder / "runs.csv").drop(columns=list(IGNORED)) for folder in (one, two)]
    curves = [pd.read_parquet(folder / "curves.parquet") for folder in (one, two)]
    kept = [c[~c["metric"].astype(str).str.startswith("timing/")].reset_index(drop=True) for c in curves]
    kept = [c.astype({"spec": str, "metric": str}) for c in kept]
    return rows_[0].equals(rows_[1]) and kept[0].equals(kept[1])


def await_moment(command: subprocess.Popen[bytes], runs: Path, dice: random.Random) -> bool:
    """Wait for a random moment: within the start and the first run, or soon after one or two more runs are finished.

    Returns:
        False if the command ended before.
    """
    more = dice.randint(0, 2)
    enough = min(len(rows(runs)) + more, RUNS - 1)
    while command.poll() is None and more and len(rows(runs)) < enough:
        time.sleep(0.02)
    end = time.monotonic() + dice.uniform(0.0, 0.6 if more else 8.0)
    while command.poll() is None and time.monotonic() < end:
        time.sleep(0.005)
    return command.poll() is None


def one_round(dice: random.Random, whole: Path, runs: Path, most: int) -> Round:
    """Strike at most so many times, let it finish, look at what is there."""
    began, kills, seen, left = time.monotonic(), list[Kill](), dict[str, bytes](), 0
    command, started = start(runs), time.monotonic()
    while len(kills) < most and await_moment(command, runs, dice):
        kind = dice.choice(KINDS)
        workers = strike(command, kind, dice)
        at_hand, moment = rows(runs), time.monotonic() - started
        seen = {**at_hand, **seen}
        if kind != "worker":
            command.wait()
            at_once = dice.random() < 0.5  # so half of the time the next command meets workers that still live
            left += 0 if at_once else orphans(workers)
            command, started = start(runs), time.monotonic()
            left += orphans(workers) if at_once else 0
        kills.append(Kill(kind, round(moment, 2), len(at_hand), int(kind != "worker")))
    ended_well = command.wait(PATIENCE_S) == 0
    verdict = judge(runs, whole, seen)._replace(orphans=left)
    return Round(kills, verdict._replace(equal=ended_well and verdict.equal), time.monotonic() - began)


def judge(runs: Path, whole: Path, seen: dict[str, bytes]) -> Verdict:
    """Compare a folder with what was finished at its kills, and with the uninterrupted folder."""
    end = rows(runs)
    with (runs / "out" / "runs.csv").open() as handle:
        names = [row["spec"] for row in csv.DictReader(handle)]
    return Verdict(
        lost=sum(end.get(name) != content for name, content in seen.items()),
        twice=len(names) - len(set(names)),
        orphans=0,
        torn=torn(runs),
        equal=tables_equal(whole / "out", runs / "out"),
    )


def soak(kills: int, seed: int, out: Path | None, most: int = 4) -> list[Round]:
    """Rounds of at most `most` kills until there are so many; the table is written after each round."""
    home, dice = Path(tempfile.mkdtemp(prefix="vapo-faults-")), random.Random(seed)
    done: list[Round] = []
    try:
        if start(home / "whole").wait(PATIENCE_S):
            raise RuntimeError("the uninterrupted grid did not finish")
        while (missing := kills - sum(len(one.kills) for one in done)) > 0:
            done.append(one_round(dice, home / "whole", home / "round", min(most, missing)))
            shutil.rmtree(home / "round")
            if out is not None:
                write_table(done, out)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    return done


def write_table(done: list[Round], out: Path) -> None:
    """One line per kill: the kill, then what its round left, with date and machine."""
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    known = (time.strftime("%Y-%m-%d"), machine)
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["round", *Kill._fields, *Verdict._fields, "round_s", "date", "machine"])
        for number, one in enumerate(done):
            writer.writerows([number, *kill_, *one.verdict, round(one.seconds, 1), *known] for kill_ in one.kills)


def is_well(verdict: Verdict) -> bool:
    """Whether a round left nothing to wish for."""
    return verdict.equal and not (verdict.lost or verdict.twice or verdict.orphans or verdict.torn)


def main() -> int:
    """Run the grid (for ourselves) or the soak; exit code 1 if any round went wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--grid", type=Path, help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.grid:
        return run_grid(words.grid, words.grid / "out")
    done = soak(words.kills, words.seed, words.out)
    bad = [one for one in done if not is_well(one.verdict)]
    print(f"{sum(len(one.kills) for one in done)} kills over {len(done)} grids, {len(bad)} grids went wrong")
    for one in bad:
        print(one)
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
