"""A policy and a critic small enough to check updates by hand: tables over token ids, in doubles."""

from dataclasses import replace

import torch
from torch import nn

from vapo_core.recipe import Settings, Toggles, assemble
from vapo_core.training.learner import Learner
from vapo_core.training.update import assign_credit, update
from vapo_core.types import Batch

VOCABULARY, T, B = 5, 7, 16
BASE = Settings(
    responses_per_step=B,
    group_size=4,
    mini_batches=1,
    policy_lr=0.05,
    critic_lr=0.05,
    alpha=0.4,
    mu=0.7,
    max_grad_norm=1e9,
)


class TablePolicy(nn.Module):
    """Logits of the next token by present token; padding is read like any other token, so a leak would show."""

    def __init__(self):
        super().__init__()
        self.logits = nn.Parameter(torch.randn(VOCABULARY, VOCABULARY, generator=seeded(1), dtype=torch.float64))

    def forward(self, batch):
        rows = torch.log_softmax(self.logits[batch.inputs["seen"]], -1)
        logp = rows.gather(2, batch.inputs["next"][:, :, None]).squeeze(2)
        return logp, -(rows.exp() * rows).sum(2)


class TableCritic(nn.Module):
    """Value by present token."""

    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.randn(VOCABULARY, generator=seeded(2), dtype=torch.float64))

    def forward(self, batch):
        return self.table[batch.inputs["seen"]]


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def make_batch(seed=0, correct=None, drift=0.3):
    """B responses of 2 to T tokens; `drift` moves the sampling policy away, so that ratios leave 1 and clips act."""
    g = seeded(seed)
    inputs = {name: torch.randint(VOCABULARY, (B, T), generator=g) for name in ("seen", "next")}
    mask = torch.arange(T) < torch.randint(2, T + 1, (B, 1), generator=g)
    correct = torch.rand(B, generator=g) < 0.4 if correct is None else correct
    each = torch.arange(T).expand(B, T)
    zeros = torch.zeros(B, T)
    batch = Batch(inputs, mask, zeros, zeros, correct.double(), correct, torch.arange(B) // 4, each)
    logp = TablePolicy()(batch)[0].detach()
    noise = torch.randn(B, T, generator=g, dtype=torch.float64)
    return replace(batch, logp_old=(logp + drift * noise).where(mask, 0.0), logp_ref=(logp - 0.2).where(mask, 0.0))


def run(batch, toggles=None, settings=BASE, variants=None, policy=None, critic=None, seed=0):
    """One update from fresh tables; returns everything that may have moved."""
    recipe = assemble(toggles or Toggles(), settings, variants)
    learners = [
        Learner(policy or TablePolicy(), settings.policy_lr, settings, 10),
        Learner(critic or TableCritic(), settings.critic_lr, settings, 10),
    ]
    with torch.no_grad():
        values = learners[1].module(batch)
    credited = assign_credit(batch, values, recipe)
    trace = update(batch, credited, recipe, settings, *learners, seeded(seed))
    weights = [torch.cat([p.detach().flatten() for p in learner.module.parameters()]) for learner in learners]
    return weights, trace, credited


def having(**changes):
    return BASE.model_copy(update=changes)


def assert_same_update(one, two, tolerance=1e-9):
    """Weights, losses and gradient norms: Adam hides a wrong scale of the gradient, the norms do not."""
    for a, b in zip(one[0], two[0], strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=max(tolerance, 1e-6))
    for name in ("policy_loss", "value_loss", "policy_grad_norm", "critic_grad_norm"):
        left, right = torch.tensor(getattr(one[1], name)), torch.tensor(getattr(two[1], name))
        torch.testing.assert_close(left, right, rtol=1e-5, atol=1e-6)
