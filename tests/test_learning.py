"""It learns: the walk to near its best, the tiny language model far above its base."""

import pytest

from analysis.statistics.intervals import student
from experiments.runs.run import build_trainer
from experiments.specs.spec import spec_for
from tests.support.worlds import run
from vapo_core.settings import Base


@pytest.mark.slow
def test_vapo_brings_the_walk_to_95_percent_of_its_best_j(cache):
    """Default settings, four seeds, the exact J of the last policy against the best within the horizon."""
    for seed in range(4):
        trainer = build_trainer(spec_for("vapo", "walk", seed, base=Base(init=seed)), cache)
        last = run(trainer)[-1][1]["val/exact_j"]
        assert last > 0.95 * trainer.world.best_return(trainer.world.task.problems["held_out"])


@pytest.mark.slow
def test_vapo_lifts_the_tiny_language_model_by_20_points(cache):
    """Five seeds over three base initialisations, on 1,024 held-out problems; the 95 % interval is clear of 20 points."""
    gains = []
    for seed in range(5):
        points = run(
            build_trainer(spec_for("vapo", "lm", seed, base=Base(init=seed % 3), steps=15, log_every=5), cache)
        )
        curve = [metrics["val/pass_at_1"] for _, metrics in points if "val/pass_at_1" in metrics]
        gains.append(curve[-1] - curve[0])
    assert student(gains).low > 0.0
    assert student(gains).estimate > 0.20


@pytest.mark.slow
def test_base_models_are_right_10_to_40_percent_of_the_time(cache):
    """Room to learn, and something to learn from; for each of three initialisations."""
    for init in range(3):
        trainer = build_trainer(spec_for("ppo", "lm", 0, base=Base(init=init), steps=1), cache)
        trainer.steps = 0
        assert 0.10 < run(trainer)[0][1]["val/pass_at_1"] < 0.40
