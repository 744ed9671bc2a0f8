"""Operation chains: what is written, what is novel in each split, and lengths."""

from itertools import pairwise

import numpy as np
import pytest
from pydantic import ValidationError

from vapo_core.tasks.chain import OPERATORS, Chain, ChainDials, Operations

TASK = Chain(ChainDials(numbers=10))
PROBLEM = TASK.problem(Operations(5, "><~", (3, 4, 7)))


def pairs_of(operators: str) -> set[str]:
    return {a + b for a, b in pairwise(operators)}


@pytest.mark.parametrize(
    ("operator", "expected"), [(">", [7, 7]), ("<", [2, 2]), ("~", [4, 4]), ("+", [9, 9]), ("-", [5, 0])]
)
def test_operators_by_hand(operator, expected):
    """On (7, 2) and (2, 7), numbers up to 9."""
    assert [OPERATORS[operator](a, b, 9) for a, b in ((7, 2), (2, 7))] == expected


def test_plus_saturates_at_the_largest_number():
    assert OPERATORS["+"](3, 3, 4) == 4


def test_prompt_and_solution_by_hand():
    """max(5, 3) = 5, min(5, 4) = 4, mean of 4 and 7 = 5."""
    assert PROBLEM.prompt == "5>3<4~7:"
    assert TASK.solution(PROBLEM.answer) == ">35<44~75"


@pytest.mark.parametrize(
    ("response", "reward", "parsed", "mode"),
    [
        (">35<44~75", 1.0, True, "reasoned"),
        (">35<44", 0.0, True, "unfinished"),
        ("", 0.0, True, "unfinished"),
        (">35<44~75>35", 0.0, True, "overrun"),
        (">33<44~75", 0.0, True, "slip"),  # the last value is right, a step is not
        ("~75", 0.0, True, "slip"),  # the answer without the way to it
        (">35<44~7", 0.0, False, ""),
        ("5", 0.0, False, ""),
        (">35.<44.~75.", 0.0, False, ""),  # filler where there is none
        (">35<44~7٥", 0.0, False, ""),  # an Arabic 5
    ],
)
def test_verifier(response, reward, parsed, mode):
    grade = TASK.verify(PROBLEM, response)
    assert (grade.reward, grade.parsed, grade.mode) == (reward, parsed, mode)


def test_each_split_is_novel_in_its_own_way_only():
    """Longer, or with the held-out operator once, or with a held-out pair; train and held_out are none of these."""
    rng, novel = np.random.default_rng(0), set(TASK.pairs)
    for split in TASK.splits:
        for chain in (p.answer for p in TASK.sample(rng, 300, split)):
            found = pairs_of(chain.operators) & novel
            assert (len(chain.operators) > 7) == (split == "ood_length")
            assert chain.operators.count("+") == (split == "ood_operator")
            assert bool(found) == (split == "ood_composition"), (split, chain.operators)


def test_composition_is_at_matched_length():
    """Lengths follow the training law among chains of two steps or more."""
    rng = np.random.default_rng(0)
    lengths = [len(p.answer.operators) for p in TASK.sample(rng, 4000, "ood_composition")]
    law = TASK.laws["train"]
    for steps in range(2, 8):
        assert np.mean(np.equal(lengths, steps)) == pytest.approx(law[steps] / (1 - law[1]), abs=0.03)


def test_lessons_glimpse_what_is_novel_and_never_what_a_split_tests():
    """A share of pretraining is on novel chains; none of the chains held out or out of distribution is among them."""
    rng = np.random.default_rng(0)
    lessons = [p.answer for p in TASK.lessons(rng, 4000)]
    longer = np.mean([len(chain.operators) > 7 for chain in lessons])
    plus = np.mean(["+" in chain.operators for chain in lessons])
    assert longer == pytest.approx(0.05, abs=0.015)
    assert plus == pytest.approx(0.05, abs=0.015)
    tested = {p.answer for split in TASK.splits[1:] for p in TASK.sample(rng, 1500, split)}
    assert not tested & set(lessons)


def test_without_a_glimpse_lessons_are_like_training():
    lessons = Chain(ChainDials(glimpse=0.0)).lessons(np.random.default_rng(5), 500)
    assert all(
        "+" not in p.prompt and p.difficulty <= 7 and not pairs_of(p.answer.operators) & {"<~", "~>"} for p in lessons
    )


def test_lengths_vary():
    rng = np.random.default_rng(0)
    lengths = np.array([len(TASK.solution(p.answer)) + 1 for p in TASK.sample(rng, 2000, "train")])
    assert lengths.std() / lengths.mean() > 0.6


def test_splits_that_dials_leave_empty_are_not_offered():
    assert Chain(ChainDials(novel_operator="", novel_pairs="", farthest=7)).splits == ("train", "held_out")


@pytest.mark.parametrize(
    ("dials", "message"),
    [
        ({"operators": ">x"}, "no operator 'x'"),
        ({"operators": ">+"}, "novel_operator '\\+' must not be among"),
        ({"longest": 10}, "longest 10 <= farthest 9"),
        ({"novel_pairs": "<+"}, "'<\\+' must be two of"),
        ({"novel_pairs": "<> << <~"}, "nothing may follow"),
    ],
)
def test_impossible_dials_are_one_clear_error(dials, message):
    with pytest.raises(ValidationError, match=message):
        ChainDials(**dials)


def test_careless_demonstrations_go_on_from_their_error():
    """A slip is carried on, so what is written stays a chain; noise 0 is always right, noise 1 is not."""
    rng = np.random.default_rng(0)
    problems = TASK.sample(rng, 500, "train")
    right = np.mean([TASK.verify(p, TASK.demonstration(p, rng)).reward for p in problems])
    assert 0.2 < right < 0.8
