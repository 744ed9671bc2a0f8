"""KL per squared gain: against exact Fisher information, real steps, and the direction that is cheapest."""

import numpy as np
import pytest
import torch

from tests.support.full_table import action_table
from tests.support.worlds import view_of
from vapo_core.probes import PROBES, kl_per_gain
from vapo_core.probes.directions import products
from vapo_core.probes.kl_per_gain import Tokens, at_equal_gain, compare, fisher, reaching
from vapo_core.types import Batch


def responses(view, number: int = 1024) -> Tokens:
    problems = [view.pool[i % len(view.pool)] for i in range(number)]
    return Tokens.of(Batch.ungraded(view.world.engine.generate(problems, 1, 11)), view.world)


def exact_fisher(view) -> torch.Tensor:
    """[D, D] by enumeration: sum over (decision, state) of occupancy x sum over actions of pi psi psi'."""
    world = view.world
    table = action_table(world)
    starts = torch.tensor([world.task.start_state(p.answer) for p in view.pool])
    here = torch.bincount(starts, minlength=world.task.states).float() / len(starts)
    onward = torch.from_numpy(world.task.transitions[:, :2])
    parameters = list(world.policy.parameters())
    total = torch.zeros(1)
    for at in table:
        for state in here.nonzero().flatten().tolist():
            for action in range(3):
                found = torch.autograd.grad(at[state, action].log(), parameters, retain_graph=True)
                psi = torch.cat([g.flatten() for g in found])
                total = total + float(here[state] * at[state, action].detach()) * torch.outer(psi, psi)
        moved = (here[:, None] * at[:, :2]).detach().flatten()
        here = torch.zeros_like(here).index_add(0, onward.flatten(), moved)
    return total


@pytest.fixture(scope="module")
def small(cache):
    """A walk so small that its Fisher information can be written down."""
    view = view_of("walk", cache, dials={"size": 4, "horizon": 3})
    return view, exact_fisher(view)


def test_fisher_from_samples_is_the_exact_one(small):
    view, exact = small
    directions = torch.randn(3, len(exact), generator=torch.Generator().manual_seed(0))
    directions[0] = view.world.exact_gradient(view.pool)
    (found,) = fisher(view.world.policy, responses(view, 8192), [directions])
    np.testing.assert_allclose(
        found, products(directions @ exact, directions), rtol=0.06, atol=0.03 * np.abs(found).max()
    )


def test_merged_tokens_have_the_fisher_information_and_kl_of_all_tokens(cache, monkeypatch):
    """The same numbers from unmerged tokens, in parts of a few responses."""
    view = view_of("walk", cache, numbers={"responses_per_step": 256})
    direction = view.world.exact_gradient(view.pool)
    merged = responses(view, 512)
    monkeypatch.setattr(type(view.world), "merged", lambda self, batch, weights: (batch, weights))
    monkeypatch.setattr(kl_per_gain, "CHUNK", 100)
    whole = responses(view, 512)
    assert len(merged.share) < 0.5 * int(whole.batch.mask.sum())
    found = [fisher(view.world.policy, x, [direction[None]])[0].item() for x in (merged, whole)]
    assert found[0] == pytest.approx(found[1], rel=1e-4)
    change = view.world.exact_changes(view.pool)
    spent = [at_equal_gain(view.world.policy, change, direction, x) for x in (merged, whole)]
    assert spent[0] == pytest.approx(spent[1], rel=1e-3)


def test_the_natural_gradient_is_cheapest_and_scale_does_not_count(small):
    """kappa = 1 / (2 g' F^-1 g) along it; a direction turned away from it costs more."""
    view, exact = small
    gradient = view.world.exact_gradient(view.pool)
    natural = torch.linalg.solve(exact + 1e-4 * exact.diagonal().mean() * torch.eye(len(exact)), gradient)
    turned = natural / natural.norm() + 0.5 * torch.randn(len(exact), generator=torch.Generator().manual_seed(1)) / 20

    def kappas(a: torch.Tensor, b: torch.Tensor) -> dict[str, float]:
        rows = {"a": a.expand(8, -1), "b": b.expand(8, -1)}
        return compare(view, rows, gradient[None], responses(view, 8192))

    found = kappas(natural, turned)
    assert found["kappa_a"] == pytest.approx(0.5 / float(gradient @ natural), rel=0.08)
    assert found["kappa_b"] > 1.1 * found["kappa_a"]
    found = kappas(gradient, 100 * natural)
    assert found["kappa_a"] > found["kappa_b"]
    found = kappas(gradient, 100 * gradient)
    assert found["kappa_a"] == pytest.approx(found["kappa_b"], rel=1e-3)


def test_kappa_is_the_kl_of_a_short_real_step_over_its_squared_gain(cache, monkeypatch):
    monkeypatch.setattr(kl_per_gain, "GAIN", 1e-3)
    view = view_of("walk", cache, numbers={"responses_per_step": 256})
    gradient, batch = view.world.exact_gradient(view.pool), responses(view)
    found = compare(view, {"a": gradient.expand(8, -1)}, gradient[None], batch)
    assert found["equal_a"] / 1e-6 == pytest.approx(found["kappa_a"], rel=0.1)
    assert at_equal_gain(view.world.policy, view.world.exact_changes(view.pool), -gradient, batch) is None


def test_directions_that_do_not_surely_ascend_are_counted_apart(cache):
    view = view_of("walk", cache)
    gradient = view.world.exact_gradient(view.pool)
    rows = {"up": gradient.expand(8, -1), "down": -gradient.expand(8, -1)}
    found = compare(view, rows, gradient[None], responses(view, 64))
    assert (found["ascends_up"], found["ascends_down"]) == (1, 0)
    assert "kappa_down" not in found


def test_noise_of_a_direction_is_not_counted(cache):
    """Blocks with much noise of their own: kappa of the expectation, where the mean of the blocks would read more."""
    view = view_of("walk", cache, numbers={"responses_per_step": 256})
    gradient, batch = view.world.exact_gradient(view.pool), responses(view)
    noise = torch.randn(200, len(gradient), generator=torch.Generator().manual_seed(2))
    noisy = gradient + 5 * gradient.norm() * noise / len(gradient) ** 0.5
    found = compare(view, {"clean": gradient.expand(200, -1), "noisy": noisy}, gradient[None], batch)
    assert found["kappa_noisy"] == pytest.approx(found["kappa_clean"], rel=0.3)


def test_reaching_a_gain_by_doubling_and_brents_method():
    assert reaching(lambda step: 3 * step, 0.6) == pytest.approx(0.2, rel=1e-3)
    assert reaching(lambda step: step - 5 * step**2, 0.06) is None  # at most 0.05


def test_a_smooth_gain_is_reached_in_few_tries():
    """Each is a backward induction: nine doublings to 0.256, and no step is asked for twice."""
    asked = []

    def gain(step):
        asked.append(step)
        return 0.5 * step - 0.4 * step**2 + step**3

    step = reaching(gain, 0.06)
    assert 0.5 * step - 0.4 * step**2 + step**3 == pytest.approx(0.06, rel=1e-3)
    assert 9 < len(asked) <= 9 + 7
    assert len(set(asked)) == len(asked)


def test_both_credits_are_measured_and_lambda_1_points_along_grad_j(cache):
    view = view_of("walk", cache, numbers={"responses_per_step": 256})
    metrics = PROBES["kl_per_gain"](view).metrics
    assert {f"kl_per_gain/kappa_{r}{c}" for r in ("token", "sequence") for c in ("", "_mc")} <= set(metrics)
    assert metrics["kl_per_gain/log_ratio"] == pytest.approx(
        np.log(metrics["kl_per_gain/kappa_sequence"] / metrics["kl_per_gain/kappa_token"])
    )
    gradient = view.world.exact_gradient(view.pool)
    along = compare(view, {"j": gradient.expand(8, -1)}, gradient[None], responses(view))
    assert metrics["kl_per_gain/kappa_token_mc"] == pytest.approx(along["kappa_j"], rel=0.15)
