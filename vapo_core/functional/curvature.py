"""Curvature of the policy surrogate at ratio 1: products with its Hessian and their largest eigenvalue.

The surrogate is the loss -sum_t w_t rho_t with rho = pi / pi_old, w_t the token's advantage times its weight in the
reduction. At ratio 1 its gradient is -sum w psi and its Hessian -sum w (psi psi' + grad psi). The first part is the
Gauss-Newton matrix through the log-probabilities; advantages have both signs, so neither is definite.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from vapo_core.types import Batch

Product = Callable[[Tensor], Tensor]
"""v [D] -> H v [D]."""


class Surrogate:
    """One batch of a policy at ratio 1; every product reuses one forward pass. Reads only. D parameters."""

    def __init__(self, policy: nn.Module, batch: Batch) -> None:
        self.parameters = [p for p in policy.parameters() if p.requires_grad]
        with _twice_differentiable(policy):
            logp, _ = policy(batch)
        self.logp = logp.where(batch.mask, 0.0)
        self.ratio = (self.logp - self.logp.detach()).exp()

    def gradient(self, weights: Tensor) -> Tensor:
        """[D]. weights: [B, T]."""
        return self._flat((-weights * self.ratio).sum(), create_graph=False)

    def hessian(self, weights: Tensor) -> Product:
        """Products by differentiating <gradient, v>."""
        gradient = self._flat((-weights * self.ratio).sum(), create_graph=True)
        return lambda v: self._flat(gradient @ v, create_graph=False)

    def gauss_newton(self, weights: Tensor) -> Product:
        """v -> -sum w psi (psi . v)."""
        return lambda v: self._flat((-weights * self.along(v) * self.logp).sum(), create_graph=False)

    def along(self, v: Tensor) -> Tensor:
        """[B, T] psi . v of every token, 0 where masked, by differentiating <sum_t u_t psi_t, v> by u."""
        u, summed = self._tokens
        (found,) = torch.autograd.grad(summed @ v, u, retain_graph=True)
        return found

    @cached_property
    def _tokens(self) -> tuple[Tensor, Tensor]:
        """u [B, T], zero, and sum_t u_t psi_t [D], with its graph."""
        u = torch.zeros_like(self.logp, requires_grad=True)
        return u, self._flat((u * self.logp).sum(), create_graph=True)

    def _flat(self, x: Tensor, create_graph: bool) -> Tensor:
        """[D] gradient of a scalar."""
        found = torch.autograd.grad(
            x, self.parameters, retain_graph=True, create_graph=create_graph, materialize_grads=True
        )
        return torch.cat([g.flatten() for g in found])


@contextmanager
def _twice_differentiable(policy: nn.Module) -> Iterator[None]:
    """Within it, the two kernels that have no second derivative give way to plain ones of equal value."""
    bags = [m for m in policy.modules() if isinstance(m, nn.EmbeddingBag) and m.mode == "sum"]
    hooks = [m.register_forward_hook(lambda m, read, put: m.weight[read[0]].sum(1)) for m in bags]
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        for hook in hooks:
            hook.remove()


def top_eigenvector(product: Product, start: Tensor, steps: int) -> Tensor:
    """[D] unit vector of the largest eigenvalue (not magnitude) of a symmetric product, by Lanczos.

    Every new vector is orthogonalised against all earlier ones, so that no eigenvalue appears twice. It ends early when
    the space that products of `start` span is exhausted.

    Args:
        product: v -> H v.
        start: [D] not orthogonal to what is sought.
        steps: products spent.
    """
    basis = [start / start.norm()]
    images = []
    for _ in range(min(steps, len(start))):
        image = product(basis[-1])
        images.append(image)
        known = torch.stack(basis)
        rest = image - known.mT @ (known @ image)
        if rest.norm() <= 1e-6 * image.norm():
            break
        basis.append(rest / rest.norm())
    span = torch.stack(basis[: len(images)])
    projected = span @ torch.stack(images).mT
    _, vectors = torch.linalg.eigh(0.5 * (projected + projected.mT))
    found = vectors[:, -1] @ span
    return found / found.norm()
