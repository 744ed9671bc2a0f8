"""Does blame land where the error is? Errors of known place in right responses, credited as the recipe credits."""

import numpy as np
import torch
from torch import Tensor

from vapo_core.functional.advantages import gae
from vapo_core.oracles.monte_carlo import step_starts
from vapo_core.oracles.planted import Planted, corrupted_texts, slipped_walks
from vapo_core.oracles.true_advantage import true_advantages
from vapo_core.probes.base import CannotRun, Measurement, View
from vapo_core.slots.credit import CREDIT, terminal_rewards
from vapo_core.tasks.base import Grade
from vapo_core.tasks.walk import Walk
from vapo_core.training.collect import grade_all, reward_values, to_batch
from vapo_core.types import Batch, Rollout

WALKS, TEXTS = 256, 128
"""Held-out problems in which an error is planted."""

FEWEST = 16
"""Minimum number of planted errors."""

RESPONSES, PLACES, CONTINUATIONS = 128, 96, 12
"""Sampled responses for the TD errors at boundaries; tokens and continuations where the true one is not exact."""

_MEASURES = (
    ("share", "share", "blame inside the erring step, of all blame in the response"),
    ("precision_at_1", "share", "responses whose lowest advantage stands in the erring step"),
    ("auroc", "probability", "the erring token has a lower advantage than one outside its step"),
    ("delay", "tokens", "from the error to the lowest advantage, negative before it"),
)

METRICS: dict[str, tuple[str, str]] = {
    **{f"credit/{name}": (unit, f"planted errors: {meaning}") for name, unit, meaning in _MEASURES},
    **{f"credit/{name}_exact": (unit, f"{name} if V were exact, walk only") for name, unit, _ in _MEASURES},
    "credit/auroc_early": ("probability", "auroc of errors in the first quarter of their response"),
    "credit/blamed": ("share", "planted errors whose response has a negative advantage anywhere"),
    "credit/errors": ("count", "planted errors measured"),
    **{
        f"credit/{name}{source}": (unit, f"{meaning}, {whose}")
        for name, unit, meaning in (
            ("td_square", "reward^2/token", "squared TD error of sampled responses, last tokens left out"),
            ("td_square_boundary", "reward^2/token", "the part of td_square that stands on first tokens of steps"),
            ("boundary_share", "share", "td_square_boundary over td_square, absent if not resolvable"),
        )
        for source, whose in (("", "of the values used"), ("_true", "of true V, noise taken out"))
    },
}


def measure(view: View) -> Measurement:
    """Blame of planted errors, by the recipe's own lambda, credit rule and values, before whitening.

    With A [B, T] the advantages, blame is b_t = max(0, -A_t), and the share of the erring step S is
    sum_{t in S} b_t / sum_t b_t, averaged over responses with any blame. The other measures read ranks within a response
    alone, and all responses count; ties are averaged over. With V exact, an error at j and no other, lambda = 0 gives
    1; a constant V > 0 gives token j (1 - lambda) lambda^(l-1-j) / (1 - lambda^l) (METHODS.md R12, h7a).

    At boundaries it is delta^2 that is compared, not |delta|, since the true square has an unbiased estimate from
    continuations. Arrays have a row per planted error; nan stands where it has no blame.

    Raises:
        CannotRun: group-relative credit; too few errors could be planted, as in a task without steps.
    """
    if view.recipe.credit == CREDIT["group_relative"]:
        raise CannotRun("credit: group-relative credit gives every token of a response the same blame")
    planted = _plant(view)
    batch = _graded(view, planted.rollout, planted.grades)
    inside = batch.mask & (batch.step == batch.step.gather(1, planted.place.to(batch.step.device)[:, None]))
    kept = (batch.mask & ~inside).any(1).nonzero().squeeze(1).cpu()
    if len(kept) < FEWEST:
        raise CannotRun(f"credit: {len(kept)} errors could be planted, needed are {FEWEST}")
    sources = {
        "": view.recipe.values(
            view.world, batch, planted.problems, view.settings, view.seed("credit/planted_values")
        ).values
    }
    truth = _true_values(view, planted.rollout)
    if truth is not None:
        sources["_exact"] = truth
    length, place = batch.lengths[kept].cpu().numpy(), planted.place[kept].numpy()
    metrics = {"credit/errors": float(len(kept))}
    arrays = {"length": length, "place": place, "step_tokens": inside[kept].sum(1).cpu().numpy()}
    steps = _rows(inside, kept, batch.mask)
    for source, values in sources.items():
        advantages = _rows(_advantages(view, batch, values).double(), kept, batch.mask)
        columns = np.array([blame_of(*row) for row in zip(advantages, steps, place, strict=True)]).T
        for (name, _, _), column in zip(_MEASURES, columns, strict=True):
            arrays[f"{name}{source}"] = column
            if not np.isnan(column).all():
                metrics[f"credit/{name}{source}"] = float(np.nanmean(column))
    early = 4 * place < length
    metrics["credit/blamed"] = float(np.mean(~np.isnan(arrays["share"])))
    if early.any():
        metrics["credit/auroc_early"] = float(arrays["auroc"][early].mean())
    return Measurement({**metrics, **_boundaries(view)}, arrays)


def blame_of(advantages: np.ndarray, inside: np.ndarray, place: int) -> tuple[float, float, float, float]:
    """(share, precision at 1, AUROC, delay) of one response.

    Args:
        advantages: [l], unwhitened. inside: [l] bool, the erring step, neither empty nor all. place: token of the error.

    Returns:
        The share is nan without blame. Precision and delay are means over the tokens of lowest advantage. The AUROC sets
        the erring token against those outside its step, a tie counting half.
    """
    blame = np.maximum(-advantages, 0.0)
    share = float(blame[inside].sum() / blame.sum()) if blame.sum() > 0 else float("nan")
    lowest = (advantages == advantages.min()).nonzero()[0]
    gap = advantages[~inside] - advantages[place]
    return (
        share,
        float(inside[lowest].mean()),
        float(np.mean((gap > 0) + 0.5 * (gap == 0))),
        float(lowest.mean() - place),
    )


def boundary_share(square: np.ndarray, opens: np.ndarray) -> float:
    """Share of sum delta^2 that stands on the first tokens of steps; nan if the sum is not above 0 by 2 standard errors.

    Args:
        square: [N] delta^2 at sampled tokens, less the variance of its noise. opens: [N] bool, begins a step.
    """
    resolved = square.sum() > 2 * np.sqrt(len(square)) * square.std()
    return float(square[opens].sum() / square.sum()) if resolved else float("nan")


def _plant(view: View) -> Planted:
    """Errors in responses to held-out problems."""
    walks = isinstance(view.world.task, Walk)
    problems = [view.held_out[i % len(view.held_out)] for i in range(WALKS if walks else TEXTS)]
    planted = (slipped_walks if walks else corrupted_texts)(view.world, problems, view.seed("credit/planted"))
    if planted is None:
        raise CannotRun("credit: no error could be planted, for lack of steps or of correct demonstrations")
    return planted


def _graded(view: View, rollout: Rollout, grades: list[Grade]) -> Batch:
    """Responses with the reward the recipe would give them, each a group of its own."""
    shaping = view.recipe.shape_reward(rollout.mask.sum(1).cpu(), view.world.task.max_tokens)
    return to_batch(rollout, grades, 1, reward_values(grades, view.settings) + shaping)


def _advantages(view: View, batch: Batch, values: Tensor) -> Tensor:
    """[B, T] by the recipe's lambda and credit rule, unwhitened."""
    lam = view.recipe.horizon(view.recipe.length_adaptive_gae, batch, values)
    return view.recipe.credit.assign(batch, values, lam, view.recipe.decoupled_gae(lam))[0]


def _true_values(view: View, rollout: Rollout) -> Tensor | None:
    """[B, T] exact V in reward units, 0 where masked; None where it is not known."""
    row, time = rollout.mask.cpu().nonzero(as_tuple=True)
    found = view.world.exact_at(rollout, row.numpy(), time.numpy())
    if found is None:
        return None
    low, high = view.settings.reward_low, view.settings.reward_high
    values = torch.zeros(rollout.mask.shape)
    values[row, time] = torch.from_numpy(low + (high - low) * found).float()
    return values


def _rows(x: Tensor, kept: Tensor, mask: Tensor) -> list[np.ndarray]:
    """The kept rows of [B, T] without their padding."""
    return [x[row][mask[row]].cpu().numpy() for row in kept]


def _boundaries(view: View) -> dict[str, float]:
    """How much of the TD error stands where steps begin, in fresh responses; nothing where every token is a step."""
    problems = [view.held_out[i % len(view.held_out)] for i in range(RESPONSES)]
    rollout = view.world.engine.generate(problems, 1, view.seed("credit/responses"))
    batch = _graded(view, rollout, grade_all(view.world.task, problems, 1, rollout))
    opens = step_starts(batch.step, batch.mask)
    if opens[batch.mask].all():
        return {}
    values = view.recipe.values(view.world, batch, problems, view.settings, view.seed("credit/values")).values
    delta = gae(terminal_rewards(batch), values, batch.mask, 0.0)
    truth = true_advantages(view.world, rollout, problems, PLACES, CONTINUATIONS, view.seed("credit/truth"))
    first, critic = (x[truth.row, truth.time].cpu().numpy() for x in (opens, delta.double()))
    span = view.settings.reward_high - view.settings.reward_low
    squares = {"": critic**2, "_true": span**2 * (truth.value**2 - truth.noise)}
    found: dict[str, float] = {}
    for source, square in squares.items():
        share = boundary_share(square, first)
        found[f"credit/td_square{source}"] = float(square.mean())
        found[f"credit/td_square_boundary{source}"] = float((square * first).mean())
        if not np.isnan(share):
            found[f"credit/boundary_share{source}"] = share
    return found
