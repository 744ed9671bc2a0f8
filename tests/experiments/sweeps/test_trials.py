"""Trials: what is tried is a function of the past alone, nothing is lost or done twice, and a known best is found."""

import json
import math
import multiprocessing
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from experiments.services.heartbeat import alive
from experiments.sweeps.proposals import SAMPLERS, propose
from experiments.sweeps.space import Dimension, SearchPlan
from experiments.sweeps.tune import (
    EVALUATOR,
    NoRoom,
    claim,
    failures,
    importances,
    open_study,
    records,
    requeue_failed,
    set_damaged_aside,
)
from experiments.sweeps.tune import work as share

ALPHA = Dimension("alpha", "log", 0.02, 20.0, False)
CRITIC = Dimension("lambda_critic", "horizon", 0.0, 0.999, False)
BEST = 0.5


def plan(trials=6, sampler="tpe", pruner="none", seeds=3, space=(ALPHA,)) -> SearchPlan:
    return SearchPlan("a study", space, trials, seeds, sampler, 7, pruner)


def score(values, index, number) -> float:
    """Best at alpha = 0.5; seeds differ in level, and a little in shape."""
    off = math.log10(values["alpha"] / BEST)
    return 0.6 - 0.2 * off**2 + 0.05 * index + 0.004 * math.sin(7 * index + 50 * off)


def work(plan, journal, evaluate):
    share({plan: evaluate}, journal)


class Noted:
    """An objective that writes a line per evaluation, and takes its time."""

    def __init__(self, path: Path, seconds: float = 0.0) -> None:
        self.path, self.seconds = path, seconds

    def __call__(self, values, index, number) -> float:
        with self.path.open("a") as handle:
            handle.write(f"{values['alpha']} {index}\n")
        time.sleep(self.seconds)
        return score(values, index, number)


def found(plan, journal):
    return [(r.slot, r.state, r.values) for r in records(open_study(journal, plan), plan)]


# --- trials ---


@pytest.mark.parametrize("sampler", list(SAMPLERS))
def test_a_known_best_alpha_is_found(sampler, tmp_path):
    """A planted parabola in log alpha over three decades: the best of 20 trials is within a fifth of a decade."""
    wanted = plan(20, sampler)
    work(wanted, tmp_path / "journal.log", score)
    study = open_study(tmp_path / "journal.log", wanted)
    assert len(found(wanted, tmp_path / "journal.log")) == 20
    assert abs(math.log10(study.best_params["alpha"] / BEST)) < 0.2
    assert min(t.params["alpha"] for t in study.trials) < 0.1  # it has looked elsewhere too
    assert max(t.params["alpha"] for t in study.trials) > 2


def test_tpe_and_gp_do_better_than_blind_draws(tmp_path):
    """The later half of the trials is nearer to the best than draws over the range are."""
    distance = {}
    for sampler in ("tpe", "gp", "grid-free"):
        wanted = plan(24, sampler)
        work(wanted, tmp_path / f"{sampler}.log", score)
        late = found(wanted, tmp_path / f"{sampler}.log")[12:]
        distance[sampler] = np.mean([abs(math.log10(values["alpha"] / BEST)) for _, _, values in late])
    assert distance["tpe"] < 0.7 * distance["grid-free"]
    assert distance["gp"] < 0.7 * distance["grid-free"]


class Stop(BaseException):
    """Ends a worker as a kill does: nothing of its own gets to tidy up."""


@pytest.mark.parametrize("sampler", list(SAMPLERS))
def test_a_stopped_sweep_goes_on_to_the_same_trials(sampler, tmp_path):
    """Stopped in the middle of a trial twice, then continued: the trials of the uninterrupted sweep, the same pruned."""
    wanted = plan(14, sampler, "median", seeds=4)
    work(wanted, tmp_path / "whole.log", score)
    journal, calls = tmp_path / "cut.log", 0

    def stopping(values, index, number):
        nonlocal calls
        calls += 1
        if calls in (6, 30):
            raise Stop
        return score(values, index, number)

    for _ in range(2):
        with pytest.raises(Stop):
            work(wanted, journal, stopping)
    work(wanted, journal, stopping)
    assert found(wanted, journal) == found(wanted, tmp_path / "whole.log")
    assert len(failures(open_study(journal, wanted))) == 2


def test_a_killed_worker_is_replaced(tmp_path):
    """Kill -9 in the middle of a trial: its lock falls, its parameters are tried again, the rest is as it would have been."""
    wanted, journal = plan(4), tmp_path / "journal.log"
    work(wanted, tmp_path / "whole.log", score)
    process = multiprocessing.get_context("spawn").Process(
        target=work, args=(wanted, journal, Noted(tmp_path / "first", 0.4))
    )
    process.start()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (tmp_path / "first").exists():
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    work(wanted, journal, Noted(tmp_path / "second"))
    assert found(wanted, journal) == found(wanted, tmp_path / "whole.log")
    assert [reason for _, reason in failures(open_study(journal, wanted))] == ["its process died"]


def test_two_processes_on_one_study_do_each_trial_once(tmp_path):
    wanted, journal = plan(8, seeds=2), tmp_path / "journal.log"
    context = multiprocessing.get_context("spawn")
    both = [
        context.Process(target=work, args=(wanted, journal, Noted(tmp_path / f"{name}", 0.25))) for name in ("a", "b")
    ]
    for process in both:
        process.start()
    for process in both:
        process.join(60)
        assert process.exitcode == 0
    a, b = ((tmp_path / name).read_text().split("\n")[:-1] for name in ("a", "b"))
    assert a
    assert b
    assert len({*a, *b}) == len([*a, *b]) == 16
    assert [slot for slot, _, _ in found(wanted, journal)] == list(range(8))


def test_claims_wait_for_each_other(tmp_path, monkeypatch):
    """Four workers ask at the same moment, and proposing takes long: each gets a slot of its own."""
    journal, wanted = tmp_path / "journal.log", plan(6)

    def slow(*arguments):
        time.sleep(0.1)
        return propose(*arguments)

    monkeypatch.setattr("experiments.sweeps.tune.propose", slow)

    def ask(_):
        with alive(tmp_path / "workers") as me:
            trial = claim(open_study(journal, wanted), wanted, journal, me)
            time.sleep(1)  # at work, so that nobody takes it for dead
            return trial.user_attrs["slot"]

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(ask, range(4))) == [0, 1, 2, 3]


def test_a_trial_that_cannot_run_is_given_up_after_three_attempts_and_the_rest_go_on(tmp_path):
    """A new command tries it again, with the same parameters."""
    journal, wanted, tried = tmp_path / "journal.log", plan(5), []

    def breaking(values, index, number):
        if number == 1 or values["alpha"] in tried:
            tried.append(values["alpha"])
            raise RuntimeError("no disk")
        return score(values, index, number)

    work(wanted, journal, breaking)
    assert len(tried) == 3
    assert [state for _, state, _ in found(wanted, journal)].count("failed") == 1
    study = open_study(journal, wanted)
    requeue_failed(study, wanted, journal)
    work(wanted, journal, score)
    assert [state for _, state, _ in found(wanted, journal)] == ["complete"] * 5
    assert {values["alpha"] for _, _, values in found(wanted, journal)} >= set(tried)


def test_more_trials_later_continue_the_study(tmp_path):
    work(plan(5), tmp_path / "more.log", score)
    work(plan(9), tmp_path / "more.log", score)
    work(plan(9), tmp_path / "whole.log", score)
    assert found(plan(9), tmp_path / "more.log") == found(plan(9), tmp_path / "whole.log")


@pytest.mark.parametrize("pruner", ["median", "percentile", "wilcoxon"])
def test_pruning_saves_seeds_of_bad_trials_and_keeps_the_best(pruner, tmp_path):
    wanted, lines = plan(16, "qmc", pruner, seeds=6), tmp_path / "lines"
    work(wanted, tmp_path / "journal.log", Noted(lines))
    states = found(wanted, tmp_path / "journal.log")
    spent = len(lines.read_text().splitlines())
    assert spent < 16 * 6
    best = min(states, key=lambda item: abs(math.log10(item[2]["alpha"] / BEST)))
    assert best[1] == "complete"
    distance = {
        state: np.mean([abs(math.log10(v["alpha"] / BEST)) for _, s, v in states if s == state])
        for state in ("complete", "pruned")
    }
    assert distance["complete"] < distance["pruned"]


def test_a_line_cut_short_is_dropped(tmp_path):
    """Half a line at the end of the journal, as a full disk leaves it: the sweep goes on."""
    journal = tmp_path / "journal.log"
    work(plan(3), journal, score)
    with journal.open("a") as handle:
        handle.write('{"op_code":6,"worker_id":"x"')
    work(plan(5), journal, score)
    assert len(found(plan(5), journal)) == 5
    assert all(json.loads(line) for line in journal.read_text().splitlines())


def test_importances_are_shares_of_variance(tmp_path):
    """A sum 2 u + v of uniform coordinates has four fifths of its variance in u; PED-ANOVA says about two thirds."""
    wanted = plan(64, "qmc", seeds=1, space=(ALPHA, CRITIC))

    def slope(values, index, number):
        u = math.log(values["alpha"] / ALPHA.low) / math.log(ALPHA.high / ALPHA.low)
        return 2 * u - math.log(1 - values["lambda_critic"]) / math.log(1000)

    work(wanted, tmp_path / "journal.log", slope)
    shares = importances(open_study(tmp_path / "journal.log", wanted), wanted)
    assert shares["alpha"] == pytest.approx(0.8, abs=0.05)
    assert sum(shares.values()) == pytest.approx(1)
    assert EVALUATOR.startswith("fANOVA")


def test_workers_go_on_to_the_next_study(tmp_path):
    """Two studies in one journal: trials of both, none mixed up."""
    other = plan(3)._replace(name="another study", seed=1)
    share({plan(4): score, other: score}, tmp_path / "journal.log")
    work(plan(4), tmp_path / "alone.log", score)
    assert found(plan(4), tmp_path / "journal.log") == found(plan(4), tmp_path / "alone.log")
    assert len(found(other, tmp_path / "journal.log")) == 3


@pytest.mark.parametrize(
    "line", [b"{", b"null", b"[]", b"3", b'{"op_code": 99}', b"\xff\xfe", b"", b"[" * 100_000, b'{"op_code": "x"}']
)
def test_a_damaged_journal_is_set_aside_and_named(tmp_path, capsys, line):
    journal = tmp_path / "journal.log"
    work(plan(2), journal, score)
    before = records(open_study(journal, plan(2)), plan(2))
    set_damaged_aside(journal)
    assert capsys.readouterr().err == ""
    lines = journal.read_bytes().splitlines()
    journal.write_bytes(b"\n".join([lines[0], line, *lines[1:]]) + b"\n")
    set_damaged_aside(journal)
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert str(journal) in error
    work(plan(2), journal, score)
    assert records(open_study(journal, plan(2)), plan(2)) == before


def test_a_damaged_journal_that_is_in_use_is_refused(tmp_path):
    journal = tmp_path / "journal.log"
    journal.write_text("{\n")
    with alive(tmp_path / "workers"), pytest.raises(ValueError, match="another command is using it"):
        set_damaged_aside(journal)


def test_a_full_disk_ends_the_search(tmp_path):
    """No other trial would fare better."""

    def full(values, index, number):
        raise NoRoom from OSError(28, "No space left on device")

    with pytest.raises(NoRoom):
        work(plan(2), tmp_path / "journal.log", full)
