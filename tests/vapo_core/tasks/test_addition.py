"""Addition with a scratchpad: columns by hand, carries, and both ways round in one split."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vapo_core.tasks.addition import Addition, AdditionDials, Sum
from vapo_core.types import Problem

TASK = Addition(AdditionDials())
PROBLEM = Problem("47+85:", Sum(47, 85, 2))


@pytest.mark.parametrize(
    ("response", "reward", "parsed", "mode"),
    [
        ("75214831=132", 1.0, True, "reasoned"),
        ("=132", 1.0, True, "guess"),
        ("=133", 0.0, True, "guess"),
        ("7521=132", 1.0, True, "skipped"),
        ("75214831=32", 0.0, True, "flawed"),
        ("75204831=132", 0.0, True, "flawed"),  # a carry left out and healed
        ("752148310000=132", 0.0, True, "flawed"),
        ("75214831=0132", 0.0, True, "flawed"),
        ("75214831", 0.0, False, ""),
        ("132", 0.0, False, ""),
        ("75214831=١٣٢", 0.0, False, ""),
    ],
)
def test_verifier(response, reward, parsed, mode):
    grade = TASK.verify(PROBLEM, response)
    assert (grade.reward, grade.parsed, grade.mode) == (reward, parsed, mode)


@given(st.integers(1, 12).flatmap(lambda n: st.tuples(st.just(n), *[st.integers(10 ** (n - 1), 10**n - 1)] * 2)))
def test_columns_spell_the_sum(drawn):
    """The digits below the columns and the last carry are the sum, whatever the numbers."""
    digits, left, right = drawn
    text = TASK.scratchpad(Sum(left, right, digits))
    columns = [text[i : i + 4] for i in range(0, len(text), 4)]
    assert int(columns[-1][3] + "".join(column[2] for column in reversed(columns))) == left + right


def test_both_ways_round_are_in_one_split():
    train = {p.answer for p in TASK.sample(np.random.default_rng(0), 4000, "train")}
    held_out = {p.answer for p in TASK.sample(np.random.default_rng(1), 2000, "held_out")}
    assert any(s.left > s.right for s in held_out)
    assert not {Sum(s.right, s.left, s.digits) for s in held_out} & train


def test_length_splits_by_digits():
    rng = np.random.default_rng(0)
    assert {p.answer.digits for p in TASK.sample(rng, 500, "train")} == {1, 2, 3}
    assert {p.answer.digits for p in TASK.sample(rng, 500, "ood_length")} == {4}


def test_impossible_dials_are_one_clear_error():
    with pytest.raises(ValueError, match="longest 7 <= farthest 4"):
        AdditionDials(longest=7)
