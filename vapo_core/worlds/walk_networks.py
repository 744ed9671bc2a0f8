"""The walk's policy and critic: small networks on the features of a state and the share of time used."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from vapo_core.tasks.walk import ACTIONS, Walk
from vapo_core.types import Batch


class Trunk(nn.Module):
    """Features of (state, decision) to a hidden vector: one-hot offsets and stage, brokenness, and the share of time used."""

    def __init__(self, walk: Walk, width: int) -> None:
        super().__init__()
        size = walk.dials.size
        stage, goal, hazard, broken = walk.coordinates
        # One embedding row per state feature: the same as a linear layer on one-hot inputs, without building them.
        columns = np.stack([goal, size + hazard, 2 * size + broken, 2 * size + 2 + stage], axis=1)
        self.columns: Tensor
        self.register_buffer("columns", torch.from_numpy(columns), persistent=False)
        self.embedding = nn.EmbeddingBag(2 * size + 3 + walk.dials.sparsity, width, mode="sum")
        self.time = nn.Linear(1, width)
        self.hidden = nn.Linear(width, width)
        self.horizon = walk.dials.horizon
        nn.init.normal_(self.embedding.weight, std=0.5)

    def forward(self, state: Tensor, decision: Tensor) -> Tensor:
        """state, decision: [N] int; returns [N, width]."""
        share = (decision.to(self.time.weight.dtype) / self.horizon).unsqueeze(1)
        first = torch.tanh(self.embedding(self.columns[state]) + self.time(share))
        return torch.tanh(self.hidden(first))


class WalkPolicy(nn.Module):
    """Categorical policy over left, right, stop; the base policy's knowledge is a fixed offset on the logits."""

    def __init__(self, walk: Walk, width: int, temperature: float) -> None:
        super().__init__()
        self.trunk, self.head = Trunk(walk, width), nn.Linear(width, ACTIONS)
        self.temperature = temperature
        self.prior: Tensor
        self.register_buffer("prior", torch.from_numpy(walk.prior).float(), persistent=False)
        nn.init.zeros_(self.head.bias)
        nn.init.normal_(self.head.weight, std=0.01)

    def log_probs(self, state: Tensor, decision: Tensor) -> Tensor:
        """[N] states and decision numbers to [N, 3] log-probabilities in nats, at the sampling temperature."""
        logits = self.head(self.trunk(state, decision)) + self.prior[state]
        return torch.log_softmax(logits / self.temperature, dim=-1)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Log-probability and entropy of every token, both [B, T] nats; 0 on filler and where masked."""
        chosen = places(batch.mask & (batch.inputs["phase"] == 0))
        state, decision, action = at(batch, chosen, "state", "decision", "action")
        rows = self.log_probs(state, decision)
        logp, entropy = rows.gather(1, action[:, None]).squeeze(1), -(rows.exp() * rows).sum(1)
        return spread(logp, chosen, batch.mask), spread(entropy, chosen, batch.mask)


class WalkCritic(nn.Module):
    """Value network with the policy's architecture and a scalar head; starts from the policy's trunk."""

    def __init__(self, policy: WalkPolicy, walk: Walk, width: int, bias: float) -> None:
        super().__init__()
        self.trunk, self.head = Trunk(walk, width), nn.Linear(width, 1)
        self.trunk.load_state_dict(policy.trunk.state_dict())
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.constant_(self.head.bias, bias)
        self.states = walk.states
        self.repeats = walk.dials.filler > 0
        """Whether tokens that follow one another are chosen in the same state at the same decision, as filler is."""

    def values(self, state: Tensor, decision: Tensor) -> Tensor:
        """[N] states and decision numbers to [N] values in reward units."""
        return self.head(self.trunk(state, decision)).squeeze(1)

    def forward(self, batch: Batch) -> Tensor:
        """[B, T] value of the prefix before each token; 0 where masked."""
        first = torch.ones_like(batch.mask)
        if self.repeats:
            first = batch.inputs["phase"] == 1
            first[:, 0] = True
        first &= batch.mask
        values = self.values(*at(batch, places(first), "state", "decision"))
        if not self.repeats:
            return spread(values, places(first), batch.mask)
        number = first.flatten().cumsum(0).view(first.shape).where(batch.mask, 0)
        padded = torch.cat([values.new_zeros(1), values])
        return padded.index_select(0, number.flatten()).view(batch.mask.shape)


def at(batch: Batch, places: Tensor, *names: str) -> list[Tensor]:
    """[N] of each of these inputs at the given places."""
    return [batch.inputs[name].flatten().index_select(0, places) for name in names]


def places(chosen: Tensor) -> Tensor:
    """[N] numbers of the places that are set, row by row. chosen: [B, T] bool."""
    return chosen.flatten().nonzero().squeeze(1)


def spread(values: Tensor, places: Tensor, like: Tensor) -> Tensor:
    """[N] values in their places, 0 elsewhere, in the shape of `like`."""
    return values.new_zeros(like.numel()).index_copy(0, places, values).view(like.shape)


def merge_tokens(batch: Batch, weights: Mapping[str, Tensor]) -> tuple[Batch, dict[str, Tensor]]:
    """Tokens of one state, decision and action as one. Args and returns: as of `World.merged`."""
    chosen = places(batch.mask & (batch.inputs["phase"] == 0))
    triples = torch.stack([batch.inputs[name].flatten()[chosen] for name in ("state", "decision", "action")])
    met, number = torch.unique(triples, dim=1, return_inverse=True)
    size = met.shape[1]
    state, decision, action = met[:, :, None]
    summed = {
        name: w.new_zeros(size, dtype=torch.float64).index_add(0, number, w.flatten()[chosen].double()).to(w)[:, None]
        for name, w in weights.items()
    }
    inputs = {"state": state, "decision": decision, "phase": torch.zeros_like(state), "action": action}
    zeros, each = batch.logp_old.new_zeros(size, 1), batch.logp_old.new_zeros(size)
    mask = torch.ones_like(state, dtype=torch.bool)
    return Batch(inputs, mask, zeros, zeros, each, each.bool(), each.long(), torch.zeros_like(state)), summed
