"""Runs taken apart: no second counts twice, every phase has its row, and no run is faster than its own bare passes."""

import time

import numpy as np
import pytest
import torch

from experiments.benchmarks import floor
from experiments.benchmarks.cases import _small
from experiments.benchmarks.long_walks import RINGS
from experiments.benchmarks.phases import ALL, FLOORED, Case, Times, _table, moments, watched
from experiments.benchmarks.stopwatch import Stopwatch
from experiments.specs.spec import CONFIRMATORY
from tests.support.worlds import run, small_spec, trainer_of, untimed
from vapo_core.tasks.walk import WalkDials


def test_a_second_is_charged_to_the_innermost_phase(monkeypatch):
    """By hand: 1 s outside, 2 s in the outer phase, 4 s in the inner one, 8 s in the outer one again."""
    ticks = iter([1.0, 3.0, 7.0, 15.0])
    monkeypatch.setattr(time, "process_time", lambda: next(ticks))
    watch = Stopwatch()
    with watch.phase("outer"), watch.phase("inner"):
        pass
    assert dict(watch.seconds) == {"outer": 2.0 + 8.0, "inner": 4.0}
    assert watch.inner == ""


def test_a_phase_that_fails_has_begun_and_not_ended():
    watch = Stopwatch()
    with pytest.raises(ValueError, match="x"), watch.phase("probe"):
        raise ValueError("x")
    assert (watch.entries["probe"], watch.ended["probe"]) == (1, 0)


@pytest.mark.parametrize("world", ["walk", "lm"])
def test_a_run_and_its_phases_take_longer_than_their_floors(world, cache):
    """Two steps of few answers; summed over the run, since a single phase of a millisecond is at the clock's mercy."""
    times = watched(small_spec(world, steps=2, seed=700), cache)
    assert set(times.phases) == set(ALL)
    assert set(times.floors) == set(FLOORED)
    assert all(seconds > 0 for seconds in times.floors.values())
    assert sum(times.floors.values()) < times.total
    assert times.tokens > 0
    assert times.answer > 0


def test_watching_changes_nothing_that_a_run_does(cache):
    """Floors take gradients and draws of their own; a run that is watched has the numbers of one that is not."""
    import experiments.benchmarks.phases as phases

    spec = small_spec(steps=3, seed=700)
    expected = untimed(run(trainer_of(spec, cache)))
    trainer, watch = trainer_of(spec, cache), Stopwatch()
    with phases._watching(watch, trainer, spec), watch.phase("rest"):
        found = untimed(run(trainer))
    assert found == expected


def test_the_floor_reads_each_token_once(cache):
    """Of a rollout on text: prompts once per group, and every token but each answer's last."""
    trainer = trainer_of(small_spec("lm", seed=700), cache)
    world, read = trainer.world, []
    rollout = world.engine.generate(trainer.pool[:4], 8, 1)
    decoding = floor.decoding

    class Counted:
        def __init__(self, *arguments):
            self.inner = decoding(*arguments)
            self.keep = self.inner.keep

        def read(self, token):
            read.append(len(token))
            return self.inner.read(token)

    floor.decoding = Counted
    try:
        floor.sample(world, rollout, 8)
    finally:
        floor.decoding = decoding
    assert sum(read) == int((rollout.mask.sum(1) - 1).sum())


def test_rows_by_hand():
    """A run of 12 s over a floor of 4 s; a probe of 3 s beside steps of 1.5 s; measured before, after and in the middle."""
    phases = dict.fromkeys(ALL, 0.0) | {"rollout": 6.0, "evaluation": 3.0, "value pretraining": 3.0}
    plain = Times(phases, dict.fromkeys(FLOORED, 0.0) | {"rollout": 3.0, "value pretraining": 1.0}, {}, 100.0, 9.6)
    probed = plain._replace(probes={"credit": 3.0})
    case = Case("walk", "filler 0", small_spec(steps=6), (700,))
    with np.errstate(divide="ignore", invalid="ignore"):
        rows = {row.variant: row for row in _table(case, [plain], [probed], 321.0)}
    whole = rows["whole run"]
    assert (whole.value, whole.floor, whole.ratio, whole.peak_mb, whole.amount) == (12.0, 4.0, 3.0, 321.0, 100.0)
    assert whole.case == "filler 0, 10 tokens an answer"
    assert (rows["rollout"].ratio, rows["rollout"].floor) == (2.0, 3.0)
    assert np.isnan(rows["verification"].ratio)
    assert (rows["credit"].part, rows["credit"].ratio) == ("probes", 2.0)
    assert rows["whole run, every probe each 15 steps"].ratio == (12 + 2 * 3) / 12
    assert [moments(steps) for steps in (6, 30)] == [[0, 6], [0, 15, 30]]


def test_cases_are_legal_and_no_seed_is_confirmatory():
    from experiments.benchmarks import long_walks, text_lengths, walk_lengths

    for dials in RINGS.values():
        WalkDials(**dials)
    seeds = [*long_walks.SEEDS, *(seed for found in walk_lengths.FILLER.values() for seed in found)]
    seeds += [seed for *_, found in text_lengths.TASKS.values() for seed in found]
    assert all(700 <= seed < min(800, CONFIRMATORY) for seed in seeds)
    small = _small(Case("walk", "x", small_spec(), (700, 701)))
    assert (small.spec.steps, tuple(small.seeds)) == (2, (700,))
    assert torch.is_grad_enabled()
