"""Whether a run fits this machine and its base model, from its configuration alone."""

from typing import Any

from vapo_core import bounds
from vapo_core.settings import BASE_SIZES, Base, Evaluation, Settings
from vapo_core.tasks import TASKS, make_task

BYTES_A_TOKEN = 40
"""Lower bound for a rollout: token, log-probability, value, advantage, target, masks."""


def check_sizes(max_tokens: int, settings: Settings, evaluation: Evaluation) -> None:
    """Refuse a step or an evaluation whose longest responses exceed this machine's memory.

    Args:
        max_tokens: of a response.
        settings, evaluation: the run's.

    Raises:
        ValueError: naming the setting.
    """
    for field, responses in {
        "settings.responses_per_step": settings.responses_per_step,
        "evaluation.problems": evaluation.problems,
        "evaluation.k_problems": 2 * evaluation.k * evaluation.k_problems,
    }.items():
        bounds.check_memory(field, {"responses": responses, "tokens": max_tokens}, BYTES_A_TOKEN)


def check_positions(max_tokens: int, world: str, base: Base) -> None:
    """Refuse answers longer than the positions of a base model pretrained here.

    Raises:
        ValueError: saying what to do instead.
    """
    if world == "lm" and base.model in BASE_SIZES and max_tokens >= bounds.POSITIONS:
        raise ValueError(
            f"task: answers may have {max_tokens} tokens, but base models pretrained here have {bounds.POSITIONS} positions;"
            " lower the task's dials or give a checkpoint"
        )


def check_fits(spec: Any) -> None:
    """Both checks for a `RunSpec`.

    Raises:
        ValueError: if it does not fit.
    """
    dials = TASKS[spec.task.name].dials(**spec.task.dials)
    stated = getattr(dials, "max_tokens", None)
    max_tokens = make_task(spec.task.name, spec.task.dials).max_tokens if stated is None else stated
    check_sizes(max_tokens, spec.settings, spec.evaluation)
    check_positions(max_tokens, spec.world, spec.base)
