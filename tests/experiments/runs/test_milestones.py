"""Steps read off curves by hand."""

import math

import pytest

from experiments.runs.milestones import first_success, half_life

ENTROPY = "exploration/prefix_entropy"


def test_half_life_between_measurements():
    points = [(0, {ENTROPY: 1.0}), (5, {}), (10, {ENTROPY: 0.8}), (20, {ENTROPY: 0.4})]
    assert half_life(points) == pytest.approx(17.5)  # 0.8 falls to 0.5 three quarters of the way to 0.4


def test_half_life_is_censored():
    assert math.isnan(half_life([(0, {ENTROPY: 1.0}), (10, {ENTROPY: 0.51})]))
    assert math.isnan(half_life([(0, {ENTROPY: 1.0})]))
    assert math.isnan(half_life([(0, {})]))
    assert half_life([(0, {ENTROPY: 1.0}), (10, {ENTROPY: 0.5})]) == 10


def test_first_success():
    points = [
        (0, {"val/pass_at_1": 0.5}),
        (1, {"reward/reasoned": 0.0, "reward/accuracy": 0.2}),
        (3, {"reward/reasoned": 0.01}),
    ]
    assert first_success(points) == 3
    assert math.isnan(first_success(points[:2]))
