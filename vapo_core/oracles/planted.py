"""Responses with one error at a known place in an otherwise correct answer: the reference for blame."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vapo_core.seeds import child
from vapo_core.tasks.base import Grade, Task, verify_all
from vapo_core.types import Problem, Rollout

TRIES = 40
"""Demonstrations drawn per problem in search of a right one; they are careless on purpose."""

CONTINUATIONS = 8
"""Continuations of an erring text. The first is the response; an error that any of them mends is left out."""


class Planted(NamedTuple):
    """N wrong responses, each right up to one error."""

    problems: list[Problem]
    rollout: Rollout
    """Log-probabilities 0; a walk's `responses` do not show its slip."""
    grades: list[Grade]
    place: Tensor
    """[N] int, token of the error."""


def slipped_walks(world: Any, problems: Sequence[Problem], seed: int) -> Planted:
    """Shortest correct walks of which one move breaks the walk as the hazard does; what follows is walked in vain.

    A demonstration passes no hazard, so the slip is put in by hand: from the token after it the state is broken and V
    is exactly 0. Length and remaining moves are the demonstration's, so place and length are independent.

    Args:
        world: the walk world; reads only.
        problems: N, one walk each.
        seed: draws the places, stratified uniformly over the moves of each response.
    """
    task, rng = world.task, np.random.default_rng(seed)
    actions = [tuple("lr.".index(letter) for letter in task.demonstration(p, rng)) for p in problems]
    rollout = world.engine.follow(problems, actions)
    moves = torch.tensor([len(path) - 1 for path in actions])
    place = (1 + task.dials.filler) * (torch.from_numpy(stratified(len(actions), rng)) * moves).long()
    stage, goal, hazard, _ = task.coordinates
    broken = torch.from_numpy(task.index(stage, goal, hazard, np.ones_like(stage)))
    state = rollout.inputs["state"]
    after = torch.arange(state.shape[1]) > place[:, None]
    inputs = {**rollout.inputs, "state": torch.where(after, broken[state], state)}
    return Planted(list(problems), replace(rollout, inputs=inputs), [Grade(0.0) for _ in problems], place)


def corrupted_texts(world: Any, problems: Sequence[Problem], seed: int) -> Planted | None:
    """Right demonstrations with one wrong character in a step, gone on with by the policy, that end wrong.

    The character is replaced by one that stands at the same place of other steps, such that the text stays readable but
    turns wrong. Kept are those that none of `CONTINUATIONS` samples of the policy brings to a right end.

    Args:
        world: a language world; reads only.
        problems: one text each, where a right demonstration with steps is found.
        seed: draws demonstrations, places (stratified uniformly over each one's steps) and continuations.

    Returns:
        What was planted, at most one per problem; None if the task has no steps or nothing was kept.
    """
    beginnings = erring_beginnings(world.task, problems, np.random.default_rng(child(seed, 0)))
    if not beginnings:
        return None
    prompts = world.engine.text.prompts([problem.prompt for problem, _ in beginnings])
    starts = world.tokenizer([text for _, text in beginnings], add_special_tokens=False)["input_ids"]
    rollout = finish(world, prompts, starts, CONTINUATIONS, child(seed, 1))
    asked = [problem for problem, _ in beginnings for _ in range(CONTINUATIONS)]
    grades = verify_all(world.task, asked, rollout.responses)
    wrong = np.array([grade.reward < 1.0 for grade in grades]).reshape(-1, CONTINUATIONS)
    kept = np.flatnonzero(wrong.all(1)).tolist()
    if not kept:
        return None
    rows, place = (
        [CONTINUATIONS * number for number in kept],
        torch.tensor([len(starts[number]) - 1 for number in kept]),
    )
    return Planted([asked[row] for row in rows], _rows(rollout, rows), [grades[row] for row in rows], place)


def erring_beginnings(task: Task, problems: Sequence[Problem], rng: np.random.Generator) -> list[tuple[Problem, str]]:
    """(problem, a right response's beginning whose last character is wrong), where one can be made.

    It is the last character of its step that has alternatives at all, hence the step's result and not its filler.
    """
    good = [(p, text, [0, *task.boundaries(text)]) for p in problems for text in _right_demonstration(task, p, rng)]
    seen: dict[int, set[str]] = {}
    for _, text, ends in good:
        for begin, end in pairwise(ends):
            for offset, character in enumerate(text[begin:end]):
                seen.setdefault(offset, set()).add(character)
    found = []
    for (problem, text, ends), share in zip(good, stratified(len(good), rng), strict=True):
        step = int(share * (len(ends) - 1))
        for at in reversed(range(ends[step], ends[step + 1])):
            others = sorted(seen[at - ends[step]] - {text[at]})
            wrong = [c for c in others if _makes_wrong(task, problem, text[:at] + c + text[at + 1 :])]
            if wrong:
                found.append((problem, text[:at] + wrong[rng.integers(len(wrong))]))
                break
    return found


def finish(world: Any, prompts: Sequence[list[int]], starts: Sequence[list[int]], each: int, seed: int) -> Rollout:
    """Responses that begin as given and go on as the policy samples, within the task's length limit.

    Args:
        world: a language world.
        prompts: N lists of token ids.
        starts: the beginnings of their responses, each shorter than the limit.
        each: responses per beginning, side by side.
        seed: draws the continuations.
    """
    heads = [prompt + start for prompt, start in zip(prompts, starts, strict=True)]
    rest = world.engine.complete(heads, [world.task.max_tokens - len(start) for start in starts], seed, each)
    written = rest.inputs["ids"][:, -rest.mask.shape[1] :]
    whole = [
        starts[i // each] + ids[mask].tolist() for i, (ids, mask) in enumerate(zip(written, rest.mask, strict=True))
    ]
    return world.engine.write([prompt for prompt in prompts for _ in range(each)], whole)


def stratified(number: int, rng: np.random.Generator) -> np.ndarray:
    """[number] draws from [0, 1), one from each of `number` equal parts, in random order."""
    return (rng.permutation(number) + rng.random(number)) / max(number, 1)


def _right_demonstration(task: Task, problem: Problem, rng: np.random.Generator) -> list[str]:
    """One right demonstration with steps, or none after `TRIES`."""
    for _ in range(TRIES):
        text = task.demonstration(problem, rng)
        if task.boundaries(text) and verify_all(task, [problem], [text])[0].reward == 1.0:
            return [text]
    return []


def _makes_wrong(task: Task, problem: Problem, text: str) -> bool:
    """Whether a text is readable and wrong."""
    (grade,) = verify_all(task, [problem], [text])
    return grade.parsed and grade.reward < 1.0


def _rows(rollout: Rollout, rows: list[int]) -> Rollout:
    """Some responses of a rollout."""
    return Rollout(
        {name: x[rows] for name, x in rollout.inputs.items()},
        rollout.mask[rows],
        rollout.logp[rows],
        tuple(rollout.responses[row] for row in rows),
        rollout.truncated[rows],
        rollout.step[rows],
    )
