"""Ranks that keep weights, gradients and optimiser in pieces (FSDP2), for models that do not fit on every GPU.

Each pass of one rank is also a meeting of all, where pieces are put together layer by layer. So passes must be as many on
every rank: a micro-batch is one pass here, and ranks cut their shares into equally many.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor, distribute_tensor

from vapo_core.distributed.accelerated import Accelerated
from vapo_core.distributed.ranks import Reader, outputs
from vapo_core.models.ragged import micro_batches
from vapo_core.types import Batch


class Sharded(Accelerated):
    """One of several processes under `accelerate launch --use_fsdp --fsdp_version 2`."""

    is_sharded = True

    def prepare(self, module: nn.Module, optimizer: torch.optim.Optimizer) -> nn.Module:
        """The module, in pieces from now on; the optimiser and what it knows go with them."""
        group = optimizer.param_groups[0]
        states = [optimizer.state.pop(parameter, {}) for parameter in group["params"]]
        if module not in self._prepared:
            with self._watching():
                self._prepared[module] = self._cut(module)
        for unit in _units(module):
            unit.reshard()  # after a pass without gradients its weights may still be whole, and those are not trained
        group["params"] = [parameter for parameter in module.parameters() if parameter.requires_grad]
        for parameter, state in zip(group["params"], states, strict=True):
            if state:
                optimizer.state[parameter] = {name: _like(x, parameter) for name, x in state.items()}
        return self._prepared[module]

    def _cut(self, module: nn.Module) -> nn.Module:
        if not isinstance(getattr(module, "passes", None), tuple):
            return module  # NoCritic
        named = (getattr(inner, "_no_split_modules", None) for inner in module.modules())
        module._no_split_modules = next((list(names) for names in named if names), [])  # type: ignore[assignment]
        self._budgets[module], module.passes = module.passes.most_tokens, module.passes.at_once()  # type: ignore
        stand_in = torch.optim.SGD([p for p in module.parameters() if p.requires_grad], lr=0.0)
        return self.accelerator.prepare(module, stand_in)[0]

    @contextmanager
    def collecting(self, last: bool, *prepared: nn.Module) -> Iterator[None]:
        """Around a pass and its backward, which ends with every rank keeping its piece of the sum."""
        with self._watching():
            yield

    def clip(self, parameters: Sequence[nn.Parameter], most: float) -> float:
        """Scale gradients to a global norm of at most `most`; returns the norm before."""
        norm = nn.utils.clip_grad_norm_(parameters, most)
        return float(norm.full_tensor() if isinstance(norm, DTensor) else norm)

    @contextmanager
    def unsharded(self, *modules: nn.Module) -> Iterator[None]:
        """Within it every rank has all weights of these networks to read."""
        roots = [root for root in self._prepared if any(m in set(root.modules()) for m in modules)]
        units = [(unit, unit is root) for root in roots for unit in _units(root)]
        with self._watching(), ExitStack() as stack:
            for root in roots:
                stack.enter_context(_saved_as_is(root))
            for unit, _ in units:
                unit.set_reshard_after_forward(False, recurse=False)
                unit.unshard()
            try:
                yield
            finally:
                for unit, is_root in units:
                    unit.reshard()
                    unit.set_reshard_after_forward(not is_root, recurse=False)

    def whole_state(self, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        """An optimiser's state as if there were one rank, on the CPU."""
        found = optimizer.state_dict()
        state = {number: {name: _full(x) for name, x in own.items()} for number, own in found["state"].items()}
        return {**found, "state": state}

    def even(self, slices: list[Tensor]) -> list[Tensor]:
        """The same rows in as many slices as every other rank: the most that any has, as far as all have rows for it."""
        counts = self.together({"": torch.tensor([[len(slices), sum(map(len, slices))]])})[""]
        wanted = min(int(counts[:, 0].max()), int(counts[:, 1].min()))
        slices = sorted(slices, key=len)
        while len(slices) > wanted:
            slices = sorted([torch.cat(slices[:2]), *slices[2:]], key=len)
        while len(slices) < wanted:
            slices = sorted([*slices[:-1], *slices[-1].tensor_split(2)], key=len)
        return slices

    def read(self, module: Reader, batch: Batch) -> tuple[Tensor, ...]:
        """A network's outputs [B, T] for a whole batch, without gradients, in equally many passes on every rank."""
        rows = torch.arange(len(batch.mask))[self.share(len(batch.mask))]
        budget = min(self._budgets.values(), default=float("inf"))
        slices = self.even(micro_batches(batch.take(rows), 1, budget))
        with self._watching():
            read = [outputs(module, batch.take(rows[part])) for part in slices]
        back = torch.cat(slices).argsort()
        own = {
            str(number): torch.cat(parts)[back.to(parts[0].device)]
            for number, parts in enumerate(zip(*read, strict=True))
        }
        return tuple(x.to(batch.mask.device) for x in self.together(own).values())


def _units(root: nn.Module) -> list[FSDPModule]:
    """What is put together and taken to pieces as one."""
    return [unit for unit in root.modules() if isinstance(unit, FSDPModule)]


@contextmanager
def _saved_as_is(root: nn.Module) -> Iterator[None]:
    """`state_dict` as of a network in one piece: it is not taken to pieces first, and weights come as copies on the CPU.

    The weights themselves are views of what was gathered, which savers refuse.
    """
    copies: dict[int, Tensor] = {}

    def copied(module: nn.Module, found: dict[str, Tensor], prefix: str, _: Any) -> None:
        for name, parameter in module.named_parameters(recurse=False):
            if id(parameter) not in copies:
                copies[id(parameter)] = parameter.detach().to("cpu", copy=True)
            found[prefix + name] = copies[id(parameter)]  # tied weights stay tied

    kept = [(module, dict(module._state_dict_pre_hooks)) for module in root.modules()]
    handles = [module._register_state_dict_hook(copied) for module, _ in kept]
    for module, _ in kept:
        module._state_dict_pre_hooks.clear()
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        for module, hooks in kept:
            module._state_dict_pre_hooks.update(hooks)


def _full(x: Any) -> Any:
    return x.full_tensor().cpu() if isinstance(x, DTensor) else x


def _like(x: Any, parameter: Tensor) -> Any:
    """A number of the optimiser's per weight, cut as the weight is; others as they are."""
    fits = isinstance(x, Tensor) and isinstance(parameter, DTensor) and x.shape == parameter.shape
    return distribute_tensor(x.to(parameter.device), parameter.device_mesh, parameter.placements) if fits else x  # type: ignore[attr-defined]
