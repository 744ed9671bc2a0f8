"""reasoning-gym by generator name: lazy, split by question, scored by the package outside this process."""

import inspect
import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.sizes import STRINGS
from vapo_core.tasks import make_task
from vapo_core.tasks.reasoning_gym import (
    COMPARED,
    REFUSED,
    UNSTEADY,
    Generated,
    ReasoningGym,
    ReasoningGymDials,
    Scorer,
)
from vapo_core.types import Problem

gym = pytest.importorskip("reasoning_gym", reason="the extra `gym` is not installed")


@pytest.fixture(scope="module")
def task() -> ReasoningGym:
    return make_task("reasoning_gym", {"config": {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 2}})


def test_unknown_generators_and_options_are_one_clear_error():
    with pytest.raises(ValueError, match="did you mean 'chain_sum'"):
        make_task("reasoning_gym", {"generator": "chain_sun"})
    with pytest.raises(ValueError, match=r"generator 'chain_sum': .*terms_min"):
        make_task("reasoning_gym", {"config": {"terms_min": 2}})


@pytest.mark.parametrize("generator", sorted(REFUSED))
def test_generators_that_evaluate_answers_are_refused(generator):
    with pytest.raises(ValueError, match="evaluates answers as code"):
        make_task("reasoning_gym", {"generator": generator})


def test_every_scorer_that_evaluates_is_known():
    """A new version of the package must not bring another; judged by the source of its scorers."""
    risky = re.compile(r"\b(eval|exec|sympify|parse_expr)\(")
    judges = {name: inspect.getsource(dataset.score_answer) for name, (dataset, _) in gym.factory.DATASETS.items()}
    found = {name for name, source in judges.items() if risky.search(source)}
    assert found == REFUSED | COMPARED | {"number_sorting"}  # evaluates its own reference, never the answer


@pytest.mark.parametrize("generator", sorted(UNSTEADY))
def test_generators_that_differ_between_processes_are_refused(generator):
    with pytest.raises(ValueError, match="differ from process to process"):
        make_task("reasoning_gym", {"generator": generator})


DIGESTS = """import hashlib, json, sys
out, sys.stdout = sys.stdout, sys.stderr  # generators print
from vapo_core.tasks.reasoning_gym import REFUSED, generate, import_gym
found = {}
for name in sorted(set(import_gym().factory.DATASETS) - REFUSED - {"composite"}):
    data = generate(name, {}, 3, 8)
    text = repr([(data[i]["question"], data[i]["answer"]) for i in range(4)])
    found[name] = hashlib.sha256(text.encode()).hexdigest()
print(json.dumps(found), file=out)"""


def test_every_generator_whose_problems_depend_on_the_process_is_known():
    """Sets of text are walked through in an order that every process draws anew, unless PYTHONHASHSEED fixes it."""
    processes = [
        subprocess.Popen([sys.executable, "-c", DIGESTS], env={**os.environ, "PYTHONHASHSEED": seed},
                         stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3])
        for seed in ("1", "2")
    ]  # fmt: skip
    one, other = (json.loads(process.communicate(timeout=300)[0]) for process in processes)
    assert len(one) > 80
    assert {name for name in one if one[name] != other[name]} == UNSTEADY


def test_splits_are_apart_and_a_function_of_the_seed(task):
    train = {p.prompt for p in task.sample(np.random.default_rng(0), 500, "train")}
    held_out = {p.prompt for p in task.sample(np.random.default_rng(1), 200, "held_out")}
    assert len(train) > 400
    assert not train & held_out
    again = task.sample(np.random.default_rng(1), 200, "held_out")
    assert held_out == {p.prompt for p in again}
    with pytest.raises(ValueError, match="no split 'ood_length'"):
        task.sample(np.random.default_rng(0), 1, "ood_length")


def test_verifier_accepts_references_and_rejects_near_misses(task):
    rng = np.random.default_rng(0)
    for problem in task.sample(rng, 50, "train"):
        text = task.demonstration(problem, rng)
        assert len(text) + 1 <= task.max_tokens
        assert set(text) <= set(task.alphabet)
        assert task.verify(problem, text).reward == 1.0
        for i in range(len(text)):
            assert task.verify(problem, text[:i] + str((ord(text[i]) + 1) % 10) + text[i + 1 :]).reward < 1.0


@pytest.fixture(scope="module")
def one(task) -> Problem:
    return task.sample(np.random.default_rng(3), 1, "train")[0]


@settings(max_examples=STRINGS, deadline=None)
@given(text=st.text(max_size=60))
def test_any_string_gets_a_grade_and_the_same_one_again(task, one, text):
    first = task.verify(one, text)
    assert first == task.verify(one, text)
    assert 0.0 <= first.reward <= 1.0
    assert first.parsed or first.reward == 0.0


def test_long_answers_are_not_read(task, one):
    started = time.perf_counter()
    assert not task.verify(one, "1" * 10**7).parsed
    assert time.perf_counter() - started < 1.0


def test_a_scorer_that_hangs_is_stopped_in_any_thread_and_starts_again(monkeypatch, task, one):
    """A stub that sleeps on the answer `hang` stands in for the package's scorer."""
    monkeypatch.setattr("vapo_core.tasks.reasoning_gym._SERVE", SLEEPY)
    scorer = Scorer("chain_sum", {})
    assert scorer.score(Generated(0, 1, 0, ""), "fine", 5.0) == 1.0
    found = []

    def ask() -> None:
        started = time.perf_counter()
        found.append((scorer.score(Generated(0, 1, 0, ""), "hang", 0.2), time.perf_counter() - started))

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join(10)
    assert [score for score, _ in found] == [None]
    assert found[0][1] < 5.0
    assert scorer.score(Generated(0, 1, 0, ""), "fine", 5.0) == 1.0


SLEEPY = """import json, sys, time
print("true", flush=True)
for line in sys.stdin:
    time.sleep(60 if json.loads(line)[3] == "hang" else 0)
    print("1.0", flush=True)"""


def test_a_failing_scorer_is_unparsed_and_goes_on():
    """A problem number that the generator cannot make stands in for a scorer that raises; its process outlives that."""
    task = ReasoningGym(ReasoningGymDials())
    whole = task.sample(np.random.default_rng(0), 1, "train")[0]
    assert task.verify(whole, whole.answer.reference).reward == 1.0
    process = task.scorer._process
    broken = Problem("", Generated(0, 1, "x", "1"))  # type: ignore[arg-type]
    assert not task.verify(broken, "1").parsed
    assert task.scorer._process is process


def test_exact_comparison_where_the_package_would_evaluate():
    task = make_task("reasoning_gym", {"generator": "spiral_matrix", "max_tokens": 200})
    problem = task.sample(np.random.default_rng(0), 1, "train")[0]
    listed = "[" + ", ".join(problem.answer.reference.split()) + "]"
    assert task.verify(problem, problem.answer.reference).reward == 1.0
    assert task.verify(problem, listed).reward == 0.0


SMALL_SUMS = {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1}


@pytest.mark.parametrize(
    ("generator", "config"), [("chain_sum", SMALL_SUMS), ("basic_arithmetic", {}), ("gsm_symbolic", {})]
)
@pytest.mark.parametrize(
    ("form", "right", "wrong", "none"),
    [
        ("boxed", "First 3.\nSo \\boxed{{{}}}.", "So \\boxed{{{}}} or \\boxed{{9999}}", "It is {}, I think."),
        ("last_number", "1. Take 3.\nSo it is {}.", "{} and not 9999", "It cannot be said."),
    ],
)
def test_an_answer_read_out_of_the_response_is_the_references_number_or_wrong(
    generator, config, form, right, wrong, none
):
    """The package gives a share of the reward to what contains the answer, or to any number; here it is 0 or 1."""
    task = make_task("reasoning_gym", {"generator": generator, "config": config, "answer_in": form, "max_tokens": 128})
    rng = np.random.default_rng(0)
    for problem in task.sample(rng, 20, "train"):
        answer = problem.answer.reference
        assert task.verify(problem, task.demonstration(problem, rng)) == (1.0, True, "answer")
        assert task.verify(problem, right.format(answer)).reward == 1.0
        assert task.verify(problem, right.format(f"{float(answer):.1f}")).reward == 1.0
        assert task.verify(problem, wrong.format(answer)) == (0.0, True, "")
        assert task.verify(problem, none.format(answer)) == (0.0, False, "")
    assert task.scorer._process is None


def test_negative_answers_need_their_sign():
    """The package's own scorer of gsm_symbolic passes over it."""
    task = make_task("reasoning_gym", {"answer_in": "last_number"})
    problem = Problem("", Generated(0, 1, 0, "-4"))
    assert task.verify(problem, "3 - 7 = -4").reward == 1.0
    assert task.verify(problem, "3 - 7 = 4").reward == 0.0
    assert task.verify(problem, "8 - 4").reward == 0.0


def test_prompts_say_where_the_answer_is_read(task):
    whole = task.sample(np.random.default_rng(0), 1, "train")[0].prompt
    assert whole.endswith("=\n")
    for form, asked in (("boxed", "inside \\boxed{}."), ("last_number", "\n\nEnd with the answer as a number.")):
        other = make_task("reasoning_gym", {"answer_in": form})
        assert other.sample(np.random.default_rng(0), 1, "train")[0].prompt.endswith(asked)


def test_steps_are_lines_where_a_response_reasons(task):
    assert task.boundaries("a\nb\n\nc") == []
    assert make_task("reasoning_gym", {"answer_in": "boxed"}).boundaries("a\nb\n\nc") == [2, 5]


def test_generators_without_numbers_have_no_problem_to_read_a_number_from():
    task = make_task("reasoning_gym", {"generator": "spiral_matrix", "max_tokens": 200, "answer_in": "boxed"})
    with pytest.raises(ValueError, match="no train problem has a number as its answer and fits 200 tokens"):
        task.sample(np.random.default_rng(0), 1, "train")


def test_dials_make_problems_harder_and_answers_longer():
    """Difficulty is the generator's own: here terms and digits. The length limit is `max_tokens`."""
    harder = {"min_terms": 4, "max_terms": 4, "min_digits": 3, "max_digits": 3}
    for config, terms, digits in ((SMALL_SUMS, 2, 1), (harder, 4, 3)):
        task = make_task("reasoning_gym", {"config": config, "answer_in": "boxed", "max_tokens": 32})
        for problem in task.sample(np.random.default_rng(0), 20, "train"):
            numbers = re.findall(r"\d+", problem.prompt)
            assert [len(number) for number in numbers] == [digits] * terms
        assert task.max_tokens == 32
