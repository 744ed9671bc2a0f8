"""Small token trees, every complete response enumerated: what estimators do to them is exact.

A tree is all prefixes over a small vocabulary in which token 0 stops; each prefix has logits of its own, so the
gradient of the expected reward is exact. All estimators are the package's own, fed with the enumerated responses.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from vapo_core.functional.advantages import gae
from vapo_core.functional.losses import clipped_surrogate

SEEDS = range(4)
LAMBDAS = (0.0, 0.5, 0.9, 1.0)


@dataclass
class Tree:
    """N outcomes (complete response and reward) of one prompt, at most D tokens long; S prefixes, K tokens."""

    logits: Tensor
    """[S, K], one row of parameters per prefix."""
    prefix: Tensor
    """[N, D] prefix before each token."""
    token: Tensor
    """[N, D]."""
    mask: Tensor
    """[N, D]."""
    reward: Tensor
    """[N] in [0, 1]."""
    luck: Tensor
    """[N] probability of the reward given the response."""

    def logp(self):
        rows = torch.log_softmax(self.logits, -1)[self.prefix, self.token]
        return rows.where(self.mask, 0.0)

    def probability(self):
        return self.luck * self.logp().sum(1).exp()

    def expected_reward(self):
        return (self.probability() * self.reward).sum()

    @property
    def lengths(self):
        return self.mask.sum(1).double()

    def mean_at(self, x, what):
        """E[x | what] for every token, x and what [N, D]: the mean over outcomes that share the label `what`."""
        weight = (self.probability().detach()[:, None] * self.mask).flatten()
        label = what.flatten()
        total = torch.zeros(int(label.max()) + 1, dtype=torch.float64)
        mean = total.index_add(0, label, weight * x.flatten()) / total.index_add(0, label, weight)
        return mean[what].where(self.mask, 0.0)

    def values(self):
        """[N, D] exact V of the prefix before each token."""
        return self.mean_at(self.reward[:, None].expand(self.mask.shape), self.prefix)

    @property
    def action(self):
        """[N, D] a label for (prefix, token)."""
        return self.prefix * self.logits.shape[1] + self.token

    def rewards(self):
        """[N, D] the reward on the last token."""
        last = self.mask & ~torch.nn.functional.pad(self.mask[:, 1:], (0, 1))
        return self.reward[:, None] * last

    def gae(self, values, lam):
        return gae(self.rewards(), values, self.mask, lam)

    def gradient(self, x):
        """[S, K] gradient of a scalar."""
        return torch.autograd.grad(x, self.logits)[0]

    def policy_gradient(self, advantages):
        """sum_t E[psi_t A_t]."""
        return self.gradient((self.probability().detach()[:, None] * self.logp() * advantages).sum())


def grow(seed, tokens=3, depth=4, can_stop=True, lucky=False):
    """A random tree: logits N(0, 1), rewards uniform; with `lucky` each response has two rewards at odds of its own."""
    generator = torch.Generator().manual_seed(seed)
    prefixes, responses, frontier = {}, [], [()]
    while frontier:
        here = frontier.pop(0)
        prefixes[here] = len(prefixes)
        for token in range(tokens):
            after = (*here, token)
            ended = len(after) == depth or (can_stop and token == 0)
            (responses if ended else frontier).append(after)
    prefix, token = torch.zeros(2, len(responses), depth, dtype=torch.long)
    mask = torch.zeros(len(responses), depth, dtype=torch.bool)
    for i, response in enumerate(responses):
        for t, chosen in enumerate(response):
            prefix[i, t], token[i, t], mask[i, t] = prefixes[response[:t]], chosen, True
    logits = torch.randn(len(prefixes), tokens, generator=generator, dtype=torch.float64).requires_grad_()
    share = torch.rand(len(responses), generator=generator, dtype=torch.float64) if lucky else None
    luck = torch.ones(len(responses), dtype=torch.float64) if share is None else torch.cat([share, 1 - share])
    again = 1 if share is None else 2
    reward = torch.rand(again * len(responses), generator=generator, dtype=torch.float64)
    return Tree(logits, *(x.repeat(again, 1) for x in (prefix, token, mask)), reward, luck)


def grow_batch(seed, binary=False, depth=4):
    """A tree and a finite batch that holds every response exactly as often as the policy expects.

    Counts are drawn and the policy is set to them, so that batch means are exact expectations and the package's
    reductions, which divide by what the batch holds, can be compared with gradients of J without sampling noise.
    """
    tree = grow(seed, depth=depth)
    counts = torch.randint(1, 5, (len(tree.reward),), generator=torch.Generator().manual_seed(seed + 100))
    visits = torch.zeros(tree.logits.shape, dtype=torch.float64)
    visits.view(-1).index_add_(0, tree.action.flatten(), (tree.mask * counts[:, None]).double().flatten())
    tree.logits = visits.log().requires_grad_()
    if binary:
        tree.reward = (tree.reward > 0.6).double()
    copies = torch.arange(len(counts)).repeat_interleave(counts)
    batch = Tree(tree.logits, *(x[copies] for x in (tree.prefix, tree.token, tree.mask, tree.reward, tree.luck)))
    torch.testing.assert_close(tree.probability().detach()[copies], counts[copies] / counts.sum().double())
    return tree, batch


def batch_gradient(batch, reduce, baseline=0.0):
    """Minus the gradient of the package's surrogate at ratio 1, lambda 1 and a constant baseline, over the batch."""
    advantages = batch.gae(torch.full(batch.mask.shape, baseline, dtype=torch.float64), 1.0)
    logp = batch.logp()
    loss = clipped_surrogate((logp - logp.detach()).exp(), advantages, 0.2, 0.28)
    return -batch.gradient(reduce(loss, batch.mask))


def error_like(tree, seed=7):
    """[N, D] a frozen error per prefix."""
    noise = torch.randn(len(tree.logits), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return noise[tree.prefix].where(tree.mask, 0.0)


def cosine(a, b):
    return float((a * b).sum() / (a.norm() * b.norm()))


def shifted(x):
    """x one token later, 0 after the last."""
    return torch.nn.functional.pad(x[:, 1:], (0, 1))


def close(a, b, tolerance=1e-12):
    torch.testing.assert_close(a, b, rtol=0, atol=tolerance)
