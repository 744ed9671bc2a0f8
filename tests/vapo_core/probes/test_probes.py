"""Probes read only, log known names, and say so when they cannot run."""

import pytest
import torch

from tests.support.worlds import run, small_spec, trainer_of, view_of
from vapo_core.probes import METRICS, PROBES, CannotRun, Measurement, directions
from vapo_core.trainer import say_once

NOWHERE_ELSE = {("large_update", "lm")}
"""Counts signs of changes of J, so it needs an exact J."""


@pytest.mark.parametrize(
    ("name", "world"), [(name, w) for name in sorted(PROBES) for w in ("walk", "lm") if (name, w) not in NOWHERE_ELSE]
)
def test_probe_reads_only_repeats_and_logs_known_names(name, world, cache, monkeypatch):
    """Weights, optimiser-visible gradients and global random state stay; the same call gives the same numbers."""
    monkeypatch.setattr(directions, "FEWEST", 32)
    monkeypatch.setattr(directions, "MOST", 32)
    view = view_with_a_split(world, cache) if name == "value_transfer" else view_of(world, cache)
    modules = (view.world.policy, view.world.critic)
    before = [p.clone() for m in modules for p in m.parameters()]
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first = PROBES[name](view)
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(before, (p for m in modules for p in m.parameters()), strict=True))
    assert all(p.grad is None for m in modules for p in m.parameters())
    assert dict(first.metrics) == dict(PROBES[name](view).metrics)
    assert set(first.metrics) <= set(METRICS)
    assert len({len(column) for column in first.arrays.values()}) <= 1


def view_with_a_split(world, cache):
    """What a probe needs that compares splits: novel hazards; on text, training problems under another name."""
    if world == "walk":
        return view_of(world, cache, dials={"size": 8, "horizon": 12, "novel_hazards": 2})
    view = view_of(world, cache)
    view.world.task.problems["ood_length"] = view.world.task.problems["train"]
    view.world.task.splits = tuple(view.world.task.problems)
    return view


def test_a_run_with_probes_equals_the_run_without(cache):
    """Measuring changes nothing of what is measured."""
    plain = trainer_of(small_spec("walk"), cache)
    probed = trainer_of(small_spec("walk"), cache)
    probed.probes = dict.fromkeys(PROBES, 1)
    run(plain)
    points = run(probed)
    for a, b in zip(plain.world.policy.parameters(), probed.world.policy.parameters(), strict=True):
        assert torch.equal(a, b)
    assert all("value_error/fvu_held_out" in metrics for step, metrics in points if step)


def test_a_probe_that_cannot_run_says_so_once_and_logs_nothing(cache, capsys):
    trainer = trainer_of(small_spec("walk", "grpo"), cache)
    trainer.probes = {"value_error": 1}
    say_once.cache_clear()
    points = run(trainer)
    assert not [name for _, metrics in points for name in metrics if name.startswith("value_error")]
    assert capsys.readouterr().err.count("left out") == 1


def test_generalization_measures_every_split_the_task_has(cache):
    view = view_of("walk", cache)
    metrics = PROBES["generalization"](view).metrics
    assert {f"generalization/accuracy_{split}" for split in view.world.task.splits} <= set(metrics)


def test_accuracies_of_the_walk_are_exact(cache):
    """Whole passes over the held-out problems: their mean is J to the digit that an uneven last pass leaves."""
    view = view_of("walk", cache, dials={"size": 8, "horizon": 12, "novel_hazards": 2})
    metrics = PROBES["generalization"](view).metrics
    for split in ("held_out", "ood_hazard"):
        exact = float(view.world.exact_return(view.world.task.problems[split]).detach())
        assert metrics[f"generalization/accuracy_{split}"] == pytest.approx(exact, abs=1e-3)


def test_probe_names_for_specs_are_the_probes_there_are():
    from vapo_core.settings import PROBES as NAMES

    assert set(NAMES) == set(PROBES)


def test_a_probe_that_could_not_run_is_tried_again(cache, monkeypatch):
    """What is missing before the first success may be there after it."""
    calls = []

    def moody(view):
        calls.append(view.step)
        if view.step == 0:
            raise CannotRun("moody: not yet")
        return Measurement({"value_error/bias_train": 1.0})

    monkeypatch.setitem(PROBES, "value_error", moody)
    trainer = trainer_of(small_spec("walk", steps=2), cache)
    trainer.probes = {"value_error": 1}
    points = run(trainer)
    assert calls == [0, 1, 2]
    assert ["value_error/bias_train" in metrics for _, metrics in points] == [False, True, True]
