"""The trap: what a guess earns, which answers count as reasoning, and the dial of its depth."""

import numpy as np
import pytest

from vapo_core.tasks.chain import Operations
from vapo_core.tasks.trap import Bet, Trap, TrapDials
from vapo_core.types import Problem

TASK = Trap(TrapDials(numbers=10))
WRONG = Problem("5>3<4?7:", Bet(Operations(5, "><", (3, 4)), 7))
RIGHT = Problem("5>3<4?4:", Bet(Operations(5, "><", (3, 4)), 4))


@pytest.mark.parametrize(
    ("response", "reward", "parsed", "mode"),
    [
        (">35<44=4", 1.0, True, "reasoned"),
        ("=4", 1.0, True, "guess"),
        ("=7", 0.0, True, "guess"),
        (">35=4", 1.0, True, "skipped"),  # right, but a step short of reasoning
        (">35=5", 0.0, True, "skipped"),
        (">33<44=4", 0.0, True, "flawed"),  # the right value from a false step
        (">35<44=5", 0.0, True, "flawed"),
        (">35<44>44=4", 0.0, True, "flawed"),
        (">35<44", 0.0, False, ""),
        ("4", 0.0, False, ""),
        ("", 0.0, False, ""),
        ("=4=4", 0.0, False, ""),
        ("=٤", 0.0, False, ""),
    ],
)
def test_verifier(response, reward, parsed, mode):
    grade = TASK.verify(WRONG, response)
    assert (grade.reward, grade.parsed, grade.mode) == (reward, parsed, mode)


def test_a_guess_is_never_counted_as_reasoning():
    """Even where the offer is the truth."""
    assert TASK.verify(RIGHT, "=4").mode == "guess"


def test_the_offer_stands_in_the_prompt_and_is_right_as_often_as_the_dial_says():
    for share in (0.0, 0.3, 1.0):
        task = Trap(TrapDials(guess_right=share))
        problems = task.sample(np.random.default_rng(0), 2000, "train")
        assert all(p.prompt.endswith(f"?{p.answer.offer}:") for p in problems)
        earned = np.mean([task.verify(p, f"={p.answer.offer}").reward for p in problems])
        assert earned == pytest.approx(share, abs=0.035)


@pytest.mark.parametrize("share", [0.0, 0.7, 0.98])
def test_the_prior_is_the_share_of_demonstrations_that_guess(share):
    task, rng = Trap(TrapDials(guess_share=share)), np.random.default_rng(0)
    modes = [task.verify(p, task.demonstration(p, rng)).mode for p in task.sample(rng, 3000, "train")]
    assert modes.count("guess") / len(modes) == pytest.approx(share, abs=0.02)


def test_guesses_are_short_and_reasoning_is_long():
    rng = np.random.default_rng(0)
    by_mode: dict[str, list[int]] = {}
    for problem in TASK.sample(rng, 500, "train"):
        text = TASK.demonstration(problem, rng)
        by_mode.setdefault(TASK.verify(problem, text).mode, []).append(len(text))
    assert max(by_mode["guess"]) == 2
    assert min(by_mode["reasoned"]) >= 6


def test_the_prior_ends_where_reasoning_would_never_be_sampled():
    with pytest.raises(ValueError, match=r"less than or equal to 0\.98"):
        TrapDials(guess_share=1.0)
