"""The gradient of every response by itself, from one forward and one backward pass.

Weights enter a layer linearly, so a response's gradient is what the layer read times what came back to it: for a linear
layer dL_b/dW = sum_n g_bn x_bn' (arXiv:1510.01799). Shapes: B responses, D parameters, N places of a layer per response.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from vapo_core.types import Batch


class Layer(NamedTuple):
    """One call of one layer within the forward pass."""

    module: Any
    read: Tensor
    """[B, N, width in] its input (indices, for an embedding)."""
    gradient: Tensor
    """[B, N, width out] gradient by its output of the sum over responses; row b comes from response b alone."""


def per_response_gradients(policy: nn.Module, batch: Batch, weights: Tensor) -> Tensor:
    """[B, D] gradient of sum_t w_t log pi_t for every response, trainable parameters in their order. Reads only.

    A network with weights in layers other than those of `_RULES`, or whose layers mix responses, takes one backward pass
    per response instead.

    Args:
        policy: batch -> (log-probabilities, entropy), both [B, T] and finite on padding too.
        batch: B responses.
        weights: [B, T]; not read on masked tokens.
    """
    layers = layer_gradients(policy, batch, weights)
    return loop_gradients(policy, batch, weights) if layers is None else add_up(policy, layers)


def add_up(policy: nn.Module, layers: Sequence[Layer]) -> Tensor:
    """[B, D] gradients by response from what `layer_gradients` found."""
    found: dict[nn.Parameter, Tensor] = {}
    for layer in layers:
        for parameter, share in _RULES[_kind(layer.module)](layer):
            if parameter is not None and parameter.requires_grad:  # a tied weight has a share from each of its uses
                found[parameter] = found[parameter] + share if parameter in found else share
    size = len(layers[0].gradient)
    wanted = [p for p in policy.parameters() if p.requires_grad]
    return torch.cat([found[p].reshape(size, -1) if p in found else p.new_zeros(size, p.numel()) for p in wanted], 1)


def loop_gradients(policy: nn.Module, batch: Batch, weights: Tensor) -> Tensor:
    """The same by one backward pass per response: slow, and right for any network."""
    wanted = [p for p in policy.parameters() if p.requires_grad]
    rows = []
    for number in range(len(batch.mask)):
        part = batch.take(torch.tensor([number]))
        loss = (weights[number] * policy(part)[0]).where(part.mask, 0.0).sum()
        found = torch.autograd.grad(loss, wanted, allow_unused=True)
        shares = [torch.zeros_like(p) if g is None else g for p, g in zip(wanted, found, strict=True)]
        rows.append(torch.cat([g.flatten() for g in shares]))
    return torch.stack(rows)


def layer_gradients(policy: nn.Module, batch: Batch, weights: Tensor) -> list[Layer] | None:
    """Every call of a layer with weights, in order, with the gradient of sum w log pi at its output. Reads only.

    All tokens count as valid on the way through, and every response as the answer to a prompt of its own, so that each takes
    the same number of places in every layer, whatever the policy would leave out or read once; padding has weight 0. None
    where a layer is not known or mixes responses.
    """
    owners = [m for m in policy.modules() if any(p.requires_grad for p in m.parameters(recurse=False))]
    if any(_kind(m) not in _RULES for m in owners):
        return None
    calls: list[tuple[nn.Module, Tensor, Tensor]] = []
    hooks = [m.register_forward_hook(lambda m, read, put: calls.append((m, read[0].detach(), put))) for m in owners]
    try:
        apart = torch.arange(len(batch.group), device=batch.group.device)
        logp, _ = policy(replace(batch, mask=torch.ones_like(batch.mask), group=apart))
    finally:
        for hook in hooks:
            hook.remove()
    if any(len(read) % len(batch.mask) for _, read, _ in calls):
        return None
    loss = (weights.where(batch.mask, 0.0) * logp).sum()
    found = torch.autograd.grad(loss, [put for _, _, put in calls], allow_unused=True)
    layers = []
    for (module, read, _), gradient in zip(calls, found, strict=True):
        if gradient is not None:
            by_response = gradient.reshape(len(batch.mask), -1, gradient.shape[-1])
            layers.append(Layer(module, read.reshape(*by_response.shape[:2], -1), by_response))
    return layers


Shares = Iterable[tuple[nn.Parameter | None, Tensor]]
"""A layer's parameters with their gradients by response, [B, *shape]."""


def _linear(layer: Layer) -> Shares:
    yield layer.module.weight, layer.gradient.mT @ layer.read
    yield layer.module.bias, layer.gradient.sum(1)


def _embedding(layer: Layer) -> Shares:
    """Also the bag, whose output is the sum of its k rows. Padding's row is never trained (torch's rule)."""
    size, _, k = layer.read.shape
    rows, width = layer.module.weight.shape
    index, gradient = layer.read.flatten(1), layer.gradient.repeat_interleave(k, dim=1)
    if layer.module.padding_idx is not None:
        gradient = gradient * (index != layer.module.padding_idx)[:, :, None]
    place = index + rows * torch.arange(size, device=index.device)[:, None]
    share = gradient.new_zeros(size * rows, width).index_add_(0, place.flatten(), gradient.flatten(0, 1))
    yield layer.module.weight, share.view(size, rows, width)


def _rms_norm(layer: Layer) -> Shares:
    scale = torch.rsqrt(layer.read.square().mean(-1, keepdim=True) + layer.module.variance_epsilon)
    yield layer.module.weight, (layer.gradient * layer.read * scale).sum(1)


_RULES: dict[str, Callable[[Layer], Shares]] = {
    "Linear": _linear,
    "Embedding": _embedding,
    "EmbeddingBag sum": _embedding,
    "LlamaRMSNorm": _rms_norm,
    "Qwen3RMSNorm": _rms_norm,
}
"""By class name, so that a subclass that computes something else is not taken for its parent."""


def _kind(module: nn.Module) -> str:
    return " ".join(filter(None, (type(module).__name__, getattr(module, "mode", None))))
