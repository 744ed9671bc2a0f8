"""A task of one's own that misbehaves is one line that names the function, in time; what makes sense is taken."""

import re
import signal
import threading
import time
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch

from tests.support.worlds import SMALL_EVALUATION, small_settings
from vapo_core import FunctionTask, Problem, train
from vapo_core.tasks.base import Grade, verify_all
from vapo_core.time_limit import OutOfTime, call_within

PROBLEM = Problem("1=", "1")


def task_of(verify=lambda problem, response: 1.0, sample=None, demonstration=lambda problem, rng: "1", **more):
    sample = sample or (lambda rng, n, split: [PROBLEM] * n)
    return FunctionTask(sample, verify, demonstration, alphabet="01=", max_tokens=3, **more)


def saying(verdict):
    def my_verify(problem, response):
        return verdict

    return my_verify


class OwnTask:
    """A task that is no FunctionTask."""

    max_tokens, splits, alphabet = 3, ("train", "held_out"), "01="

    def __init__(self, verdict):
        self.verdict = verdict

    def sample(self, rng, n, split):
        return [PROBLEM] * n

    def demonstration(self, problem, rng):
        return "1"

    def verify(self, problem, response):
        return self.verdict

    def boundaries(self, response):
        return []


class Together(OwnTask):
    """One that grades many responses at once."""

    def verify_all(self, problems, responses):
        return self.verdict


TAKEN = [
    (1, 1.0), (0, 0.0), (0.25, 0.25), (True, 1.0), (False, 0.0), (np.float32(0.5), 0.5), (np.int64(1), 1.0),
    (np.bool_(True), 1.0), (np.array(0.5), 0.5), (np.array([1.0]), 1.0), (torch.tensor(0.5), 0.5),
    (torch.tensor([True]), 1.0), (torch.tensor(0.5, requires_grad=True), 0.5), (Fraction(1, 4), 0.25), (-0.0, 0.0),
]  # fmt: skip

REFUSED = [
    2.0, -1, -1e-9, 1.0000001, float("nan"), float("inf"), -float("inf"), 10**400, None, "good", "1", b"1", 1j, [1.0], (1.0,),
    (1.0, True, ""), {"reward": 1.0}, {1.0}, object(), Grade, Problem, lambda: 1.0, np.nan, np.array([0.0, 1.0]), np.array("1"),
    np.array([]), np.complex64(1), torch.tensor([0.0, 1.0]), torch.tensor(float("nan")), torch.tensor(3), Decimal("0.5"),
    Grade(2.0), Grade(-1), Grade(float("nan")), Grade("1"), Grade(None), Grade(Grade(1.0)), Grade(1.0, parsed="yes"),
    Grade(1.0, parsed=None), Grade(1.0, parsed=1), Grade(1.0, mode=None), Grade(1.0, mode=3), Grade([1.0]),
]  # fmt: skip


@pytest.mark.parametrize(("verdict", "reward"), TAKEN, ids=[repr(verdict) for verdict, _ in TAKEN])
@pytest.mark.parametrize("make", [lambda verdict: task_of(saying(verdict)), OwnTask, lambda v: Together([v])])
def test_whatever_is_a_number_in_range_is_taken_as_one(make, verdict, reward):
    (grade,) = verify_all(make(verdict), [PROBLEM], ["1"])
    assert grade == Grade(reward)
    assert type(grade.reward) is float


@pytest.mark.parametrize("verdict", REFUSED, ids=range(len(REFUSED)))
@pytest.mark.parametrize(
    ("make", "name"),
    [(lambda verdict: task_of(saying(verdict)), "my_verify"), (OwnTask, "OwnTask.verify"),
     (lambda verdict: Together([verdict]), "Together.verify_all")],
)  # fmt: skip
def test_anything_else_is_one_line_that_names_the_verifier(make, name, verdict):
    with pytest.raises(ValueError, match=rf"^verifier {re.escape(name)} returned .*allowed is \[0, 1\]") as error:
        verify_all(make(verdict), [PROBLEM], ["1"])
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 300


def test_the_value_is_repeated():
    with pytest.raises(ValueError, match="returned 'good'"):
        task_of(saying("good")).verify(PROBLEM, "1")
    with pytest.raises(ValueError, match=r"returned Grade\(reward=2.0"):
        task_of(saying(Grade(2.0))).verify(PROBLEM, "1")


def test_a_grade_keeps_what_it_says():
    grade = Grade(np.float32(0.5), np.bool_(False), "guess")
    (found,) = verify_all(OwnTask(grade), [PROBLEM], ["1"])
    assert found == Grade(0.5, False, "guess")
    assert found.parsed is False


@pytest.mark.parametrize("verdicts", [None, 1.0, [], [1.0, 1.0], iter([1.0]), "1"])
def test_many_verdicts_are_one_a_response(verdicts):
    with pytest.raises(ValueError, match=r"^verifier Together.verify_all returned .*allowed"):
        verify_all(Together(verdicts), [PROBLEM], ["1"])


def failing(problem, response):
    raise {"k": KeyError("answer"), "z": ZeroDivisionError("division by zero"), "n": NotImplementedError()}[response]


@pytest.mark.parametrize(
    ("response", "reason"), [("k", "KeyError: .*answer"), ("z", "ZeroDivisionError: .*zero"), ("n", "NotImpl")]
)
def test_a_verifier_that_fails_is_named_with_its_reason_and_the_response(response, reason):
    with pytest.raises(ValueError, match=rf"^verifier failing failed on '{response}' \({reason}"):
        verify_all(task_of(failing), [PROBLEM], [response])


def forever(problem, response):
    while True:
        pass


def through_everything(problem, response):
    while True:
        try:
            time.sleep(0.01)
        except Exception:
            continue


def asleep(problem, response):
    time.sleep(60)


def waiting(problem, response):
    threading.Event().wait()


def backtracking(problem, response):
    return float(bool(re.match(r"(a+)+$", "a" * 60 + "b")))


@pytest.mark.parametrize("verify", [forever, through_everything, asleep, waiting, backtracking])
def test_a_verifier_that_hangs_is_stopped(verify):
    began = time.monotonic()
    with pytest.raises(ValueError, match=rf"^verifier {verify.__name__}: no verdict on '1' within 0.2 s; time_limit_s"):
        verify_all(task_of(verify, time_limit_s=0.2), [PROBLEM], ["1"])
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("verify", [forever, through_everything, asleep, waiting])
def test_so_it_is_in_another_thread(verify):
    said = []

    def grade():
        try:
            verify_all(task_of(verify, time_limit_s=0.2), [PROBLEM], ["1"])
        except ValueError as error:
            said.append(str(error))

    thread = threading.Thread(target=grade)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    assert said[0].startswith(f"verifier {verify.__name__}: no verdict")


def test_an_own_task_has_a_limit_too():
    task = OwnTask(1.0)
    task.time_limit_s = 0.1
    task.verify = forever
    with pytest.raises(ValueError, match=r"^verifier OwnTask.verify: no verdict"):
        verify_all(task, [PROBLEM], ["1"])


@pytest.mark.parametrize("limit", [0, -1.0, float("nan")])
def test_a_limit_is_above_zero(limit):
    with pytest.raises(ValueError, match="time_limit_s = "):
        task_of(time_limit_s=limit)


def test_a_limit_changes_nothing_of_what_is_returned_or_raised_in_time():
    for limit in (5.0, float("inf")):
        assert call_within(limit, lambda: 3) == 3
        with pytest.raises(KeyError):
            call_within(limit, lambda: {}["a"])


def test_an_alarm_that_was_set_before_still_rings():
    rung = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: rung.append(number))
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(OutOfTime):
            call_within(0.1, lambda: time.sleep(5))
        assert not rung
        time.sleep(0.5)
        assert rung
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


# --- sample and demonstration ---


def sampling(found):
    def my_sample(rng, n, split):
        return found

    return my_sample


@pytest.mark.parametrize(
    "found",
    [
        None,
        3,
        [],
        (),
        ["1="],
        [("1=", "1")],
        [{"prompt": "1="}],
        [PROBLEM, None],
        [Problem(1, 2)],
        "12",
        PROBLEM.prompt,
    ],
)
def test_a_sample_of_anything_but_problems_is_refused(found):
    with pytest.raises(ValueError, match=r"^sample my_sample returned .*of split 'train'; allowed are 4 of Problem"):
        task_of(sample=sampling(found)).sample(np.random.default_rng(0), 4, "train")


def test_a_sample_may_be_any_iterable_of_problems():
    found = task_of(sample=lambda rng, n, split: (PROBLEM for _ in range(n))).sample(
        np.random.default_rng(0), 4, "train"
    )
    assert found == [PROBLEM] * 4


@pytest.mark.parametrize("text", [None, 1, b"1", ["1"], Grade(1.0)])
def test_a_demonstration_is_a_text(text):
    def my_demonstration(problem, rng):
        return text

    with pytest.raises(ValueError, match=r"^demonstration my_demonstration returned .*allowed is a text"):
        task_of(demonstration=my_demonstration).demonstration(PROBLEM, np.random.default_rng(0))


def test_a_sample_or_demonstration_that_fails_is_named():
    def broken(*given):
        return {}["answer"]

    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"^sample broken: failed \(KeyError 'answer'\)"):
        task_of(sample=broken).sample(rng, 4, "train")
    with pytest.raises(ValueError, match=r"^demonstration broken: failed \(KeyError 'answer'\)"):
        task_of(demonstration=broken).demonstration(PROBLEM, rng)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Base models, shared where tasks have the same code."""
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize("verdict", [Grade(2.0), -1, None, "good"])
def test_training_on_such_a_verifier_says_so_at_the_first_verdict(verdict, cache):
    task = task_of(saying(verdict), sample=lambda rng, n, split: [Problem(f"{i % 2}=", "1") for i in range(n)])
    with pytest.raises(ValueError, match=r"^verifier my_verify returned"):
        train(task, settings=small_settings("lm"), evaluation=SMALL_EVALUATION, steps=1, cache=cache)
