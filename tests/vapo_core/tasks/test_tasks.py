"""What every language task promises: splits apart, demonstrations that fit, a verifier that is exact and never hangs."""

import sys
import time
import zlib
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.sizes import STRINGS
from vapo_core import FunctionTask
from vapo_core.tasks import TASKS, make_task
from vapo_core.tasks.base import SPLITS
from vapo_core.tasks.drawing import draw_problems, kept_out, length_law
from vapo_core.tasks.walk import LEFT, RIGHT, STOP, WalkPath
from vapo_core.types import Problem

NAMES = ("text_walk", "chain", "addition", "trap", "routes")
CAREFUL: dict[str, dict[str, Any]] = {name: {"noise": 0.0} for name in NAMES} | {
    "trap": {"noise": 0.0, "guess_share": 0.0}
}
CASES = [(name, filler) for name in NAMES for filler in (0, 2)]


def key(name: str, problem: Problem) -> str:
    """What is asked, however it is written."""
    if name == "trap":
        return problem.answer.chain.text()
    if name == "chain":
        return problem.answer.text()
    return problem.answer.key() if name == "addition" else problem.prompt


def offered(name: str) -> Any:
    """The task with every split it can offer."""
    return make_task(name, {"reach": 6} if name == "text_walk" else {})


def test_every_language_task_is_tested_here():
    """reasoning_gym and the mathematics tasks need their packages and have files of their own."""
    here = {name for name, entry in TASKS.items() if entry.world == "lm" and entry.pretrained_here}
    assert here == {*NAMES, "reasoning_gym"}


@pytest.mark.parametrize("name", NAMES)
def test_no_problem_of_another_split_is_in_train(name):
    rng, task = np.random.default_rng(0), offered(name)
    assert set(task.splits) <= set(SPLITS)
    assert len(task.splits) > 2
    train = {key(name, p) for p in task.sample(rng, 4000, "train")}
    for split in task.splits[1:]:
        others = {key(name, p) for p in task.sample(rng, 2000, split)}
        assert others
        assert not others & train, split


@pytest.mark.parametrize("name", [*NAMES, "walk"])
def test_an_absent_split_is_one_clear_error(name):
    task = make_task(name, {})
    with pytest.raises(ValueError, match=r"no split 'ood_hazard' in this task.*allowed: .*held_out.*train"):
        task.sample(np.random.default_rng(0), 1, "ood_hazard")


def test_a_users_task_says_which_splits_it_has():
    task = FunctionTask(lambda rng, n, split: [Problem("q", 1)] * n, lambda p, r: 1.0, lambda p, rng: "a", "qa", 4)
    with pytest.raises(ValueError, match="no split 'ood_length'"):
        task.sample(np.random.default_rng(0), 1, "ood_length")
    assert task.boundaries("a") == []


@pytest.mark.parametrize(("name", "filler"), CASES)
def test_demonstrations_fit_alphabet_and_limit(name, filler):
    rng, task = np.random.default_rng(1), make_task(name, {"filler": filler})
    for split in task.splits:
        for problem in task.sample(rng, 200, split):
            text = task.demonstration(problem, rng)
            assert set(problem.prompt + text) <= set(task.alphabet)
            assert len(text) + 1 <= task.max_tokens
            assert task.verify(problem, text).parsed, text


@pytest.mark.parametrize(("name", "filler"), CASES)
def test_verifier_accepts_its_reference_on_every_split(name, filler):
    rng, task = np.random.default_rng(2), make_task(name, {**CAREFUL[name], "filler": filler})
    for split in task.splits:
        for problem in task.sample(rng, 200, split):
            text = task.demonstration(problem, rng)
            assert len(text) + 1 <= task.max_tokens
            assert task.verify(problem, text).reward == 1.0, (problem.prompt, text)


@pytest.mark.parametrize(("name", "filler"), CASES)
def test_verifier_rejects_every_single_character_edit(name, filler):
    """Whatever character is changed, left out or put in, the response is no longer right."""
    rng, task = np.random.default_rng(3), make_task(name, {**CAREFUL[name], "filler": filler})
    for problem in task.sample(rng, 8, "train"):
        text = task.demonstration(problem, rng)
        edits = {text[:i] + text[i + 1 :] for i in range(len(text))}
        for c in task.alphabet:
            edits |= {text[:i] + c + text[i + 1 :] for i in range(len(text))}
            edits |= {text[:i] + c + text[i:] for i in range(len(text) + 1)}
        accepted = [edit for edit in edits - {text} if task.verify(problem, edit).reward > 0]
        assert not accepted, (problem.prompt, text, accepted[:3])


FUZZED = [(task, task.sample(np.random.default_rng(4), 1, "train")[0]) for task in (make_task(n, {}) for n in NAMES)]
LETTERS = "".join(sorted({c for task, _ in FUZZED for c in task.alphabet}))


def pieces(task: Any, problem: Problem) -> list[str]:
    """Steps and endings of demonstrations: strung together they are answers that can be read, right or wrong."""
    rng, found = np.random.default_rng(6), set()
    for _ in range(20):
        text = task.demonstration(problem, rng)
        found |= {text[a:b] for a, b in pairwise([0, *task.boundaries(text), len(text)]) if a < b}
    return sorted(found)


READABLE = st.one_of([st.lists(st.sampled_from(pieces(*pair)), max_size=12).map("".join) for pair in FUZZED])


@settings(max_examples=STRINGS, deadline=None)
@given(st.one_of(st.text(alphabet=LETTERS, max_size=60), st.text(max_size=60), READABLE))
@example("9" * 5000)
@example(">3٣<५४=５")  # digits of other scripts are no digits
@example("__import__('os').abort()")
def test_any_string_gets_a_grade_and_the_same_one_again(text):
    for task, problem in FUZZED:
        first = task.verify(problem, text)
        assert first == task.verify(problem, text)
        assert first.reward in (0.0, 1.0)
        assert first.parsed or (first.reward == 0.0 and not first.mode)
        cuts = task.boundaries(text)
        assert cuts == sorted(set(cuts))
        assert all(0 < cut <= len(text) for cut in cuts)


@pytest.mark.parametrize("name", NAMES)
def test_time_is_bounded_on_the_longest_strings(name):
    task = make_task(name, {})
    problem = task.sample(np.random.default_rng(0), 1, "train")[0]
    reference = make_task(name, CAREFUL[name]).demonstration(problem, np.random.default_rng(0))
    started = time.process_time()
    for text in (reference * 200_000, "=" * 10**6, "1" * 10**6, ">11" * 10**6, reference + "0" * 10**6):
        assert not task.verify(problem, text).parsed
    assert time.process_time() - started < 1.0


@pytest.mark.parametrize(("name", "filler"), CASES)
def test_boundaries_cut_a_response_into_equal_steps(name, filler):
    """Filler lengthens every step by as much."""
    rng, task = np.random.default_rng(5), make_task(name, {**CAREFUL[name], "filler": filler})
    for problem in task.sample(rng, 50, "train"):
        text = task.demonstration(problem, rng)
        cuts = task.boundaries(text)
        steps = {b - a for a, b in pairwise(cuts)}
        assert cuts
        assert steps <= {task.step_width}
        tail = text[cuts[-1] :]
        assert tail == "" or tail.startswith("=")


@pytest.mark.parametrize("name", NAMES)
def test_samples_are_a_function_of_the_seed(name):
    """Recorded once: problems and demonstrations are the same on every machine."""
    task = offered(name)
    text = ""
    for split in task.splits:
        rng = np.random.default_rng(7)
        text += "".join(p.prompt + task.demonstration(p, rng) for p in task.sample(rng, 50, split))
    assert zlib.crc32(text.encode()) == GOLDEN[name]


GOLDEN = {"text_walk": 1014327913, "chain": 3031662411, "addition": 1643308955, "trap": 8462689, "routes": 3771035300}
"""Checksums of the first 50 problems of every split and their demonstrations, from this code with numpy 2."""


def test_a_quarter_is_kept_out():
    assert np.mean([kept_out(str(i)) for i in range(4000)]) == pytest.approx(0.25, abs=0.02)


def test_length_law_is_uniform_at_skew_0_and_falls_as_one_over_length_at_1():
    assert length_law(2, 5, 0.0) == pytest.approx({2: 0.25, 3: 0.25, 4: 0.25, 5: 0.25})
    assert length_law(1, 2, 1.0) == pytest.approx({1: 2 / 3, 2: 1 / 3})


def test_draws_are_distinct_while_there_are_enough_and_keep_the_law():
    rng = np.random.default_rng(0)
    drawn = draw_problems(
        rng, 200, {1: 0.5, 4: 0.5}, lambda n: Problem(str(rng.integers(10**n)), n), lambda p: p.answer > 0
    )
    long = [p.prompt for p in drawn if p.answer == 4]
    assert 80 < len(long) < 120
    assert len(set(long)) == len(long)
    with pytest.raises(ValueError, match="length 1: no problem"):
        draw_problems(rng, 1, {1: 1.0}, lambda n: Problem("1", 1), lambda p: False)


def test_a_missing_reasoning_gym_is_one_clear_error(monkeypatch):
    """Nothing is imported before a task of this kind is made."""
    monkeypatch.setitem(sys.modules, "reasoning_gym.factory", None)
    with pytest.raises(ValueError, match=r"pip install 'vapo-lab\[gym\]'"):
        make_task("reasoning_gym", {})


def test_every_decision_of_the_walk_is_a_step():
    """Two moves with a filler token each, then stopping; a walk cut off ends with its last move."""
    walk = make_task("walk", {"filler": 1})
    assert walk.boundaries(WalkPath((LEFT, RIGHT, STOP), 0.5)) == [2, 4, 5]
    assert walk.boundaries(WalkPath((LEFT,), 0.5)) == [2]


def test_a_base_model_is_pretrained_as_its_task_asks():
    """Longer where the task says so, on its own lessons where it has any; the text walk's base is as it was."""
    from vapo_core.models.base_model import PRETRAINING, base_identity, lessons_of
    from vapo_core.settings import Base

    walk, chain = make_task("text_walk", {}), make_task("chain", {})
    usual = PRETRAINING["tiny"]["steps"]
    assert base_identity("text_walk", walk, Base())["steps"] == usual
    assert base_identity("chain", chain, Base())["steps"] == 4 * usual
    lessons, train = lessons_of(walk, np.random.default_rng(0), 64), walk.sample(np.random.default_rng(0), 64, "train")
    assert lessons == train
    assert any("+" in p.prompt for p in lessons_of(chain, np.random.default_rng(0), 256))
