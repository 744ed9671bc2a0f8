"""The processes (ranks) that train one run together, and how they divide the rows of a batch.

Every rank holds the whole graded batch and computes the same credit, loss weights and mini-batches from it. Sampling,
grading and passes through the networks are shared out by rows, and gradients are summed before a step. So a run does not
depend on the number of ranks, but for rounding. A process by itself is `Single`, and all of this is the identity.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from vapo_core.settings import Settings
from vapo_core.types import Batch

Reader = Callable[[Batch], Tensor | tuple[Tensor, ...]]
"""A network: batch -> numbers [B, T], or several of them."""


class LostRank(ConnectionError):
    """Another process of the run has ended or no longer answers, so this one cannot go on."""


class Ranks(ABC):
    """One process among those that share a run. Every method is called by all of them, in the same order."""

    number: int
    """From 0; number 0 writes what is written."""
    size: int
    """How many there are."""
    is_sharded = False
    """Whether weights are spread over the ranks, so that gradients can be had for training alone."""

    @abstractmethod
    def all_gather(self, mine: bytes) -> list[bytes]:
        """The bytes of every rank, in rank order.

        Raises:
            LostRank: if another process has ended.
        """

    @abstractmethod
    def prepare(self, module: nn.Module, optimizer: torch.optim.Optimizer) -> nn.Module:
        """What to call in place of the module where gradients are wanted; the optimiser then steps what it trains."""

    @abstractmethod
    def collecting(self, last: bool, *prepared: nn.Module) -> AbstractContextManager[Any]:
        """Around a pass and its backward: gradients are kept here, and summed over the ranks with the last pass."""

    @abstractmethod
    def backward(self, loss: Tensor) -> None:
        """Add the gradient of this rank's part of a loss, the loss being the sum of the parts."""

    @abstractmethod
    def clip(self, parameters: Sequence[nn.Parameter], most: float) -> float:
        """Scale summed gradients to a global norm of at most `most`; returns the norm before."""

    @abstractmethod
    def broadcast(self, module: nn.Module) -> None:
        """Copy rank 0's weights of a network to all ranks; before `prepare`."""

    @abstractmethod
    def unsharded(self, *modules: nn.Module) -> AbstractContextManager[Any]:
        """Within it every rank can read all weights of these networks, even if they are sharded."""

    @abstractmethod
    def leave(self) -> None:
        """Leave the process group at the end of the run."""

    @abstractmethod
    def whole_state(self, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        """An optimiser's state as if there were one rank."""

    def check(self, settings: Settings, probes: Mapping[str, int]) -> None:
        """Check that every rank has a row of every mini-batch and that probes can read whole weights.

        Raises:
            ValueError: if there are too many ranks for that, or if weights are sharded and there are probes.
        """
        if self.is_sharded and probes:
            raise ValueError(
                f"probes: {next(iter(probes))} reads weights that FSDP spreads over processes; use DDP, or none"
            )
        rows = settings.responses_per_step // settings.mini_batches
        if rows < self.size:
            raise ValueError(
                f"settings.mini_batches {settings.mini_batches}: {settings.responses_per_step} responses per step leave"
                f" {rows} per mini-batch for {self.size} processes, at least one each is needed"
            )

    def even(self, slices: list[Tensor]) -> list[Tensor]:
        """This rank's rows in the slices in which they are passed through networks: as they are, or as the others need them."""
        return slices

    def first(self, work: Callable[[], Any]) -> Any:
        """The JSON value of work that rank 0 does, while the others wait for it."""
        mine = work() if self.number == 0 else None
        return json.loads(self.all_gather(json.dumps(mine).encode())[0])

    def held(self, lock: AbstractContextManager[Any]) -> AbstractContextManager[Any]:
        """A lock that rank 0 holds for all; the others wait at what it does `first` within."""
        return lock if self.number == 0 else nullcontext()

    def share(self, rows: int) -> slice:
        """This rank's consecutive part of so many rows; parts differ by one row at most."""
        return slice(rows * self.number // self.size, rows * (self.number + 1) // self.size)

    def together(self, mine: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Every rank's tensors, one after the other along the first dimension, on the CPU; other dimensions agree."""
        pieces = [load(piece) for piece in self.all_gather(packed(mine))]
        return {name: torch.cat([piece[name] for piece in pieces]) for name in mine}

    def padded(self, mine: Mapping[str, tuple[Tensor, float]]) -> dict[str, Tensor]:
        """As `together`, from tensors [b, t] whose t may differ between ranks, and what rows are filled up with."""
        pieces = [load(piece) for piece in self.all_gather(packed({name: x for name, (x, _) in mine.items()}))]
        found = {}
        for name, (_, fill) in mine.items():
            widest = max(piece[name].shape[1] for piece in pieces)
            found[name] = torch.cat(
                [nn.functional.pad(x[name], (0, widest - x[name].shape[1]), value=fill) for x in pieces]
            )
        return found

    def lists(self, mine: Mapping[str, list[Tensor]]) -> dict[str, list[Tensor]]:
        """What all entries of all ranks' lists come to, one after the other, as lists of one entry."""
        found = self.together({name: torch.cat(entries) for name, entries in mine.items()})
        return {name: [whole] for name, whole in found.items()}

    def total(self, mine: Tensor) -> Tensor:
        """The sum over ranks, added up in the same order by all of them."""
        return self.together({"": mine[None]})[""].sum(0)

    def read(self, module: Reader, batch: Batch) -> tuple[Tensor, ...]:
        """A network's outputs [B, T] for a whole batch, without gradients; each rank reads its share of the rows."""
        rows = torch.arange(len(batch.mask))[self.share(len(batch.mask))]
        found = self.together({str(number): x for number, x in enumerate(outputs(module, batch.take(rows)))})
        return tuple(x.to(batch.mask.device) for x in found.values())

    def shared_out(self, rows: int, work: Callable[[slice], Sequence[Any]]) -> list[Any]:
        """JSON values of so many rows, each rank working on its share; one value per row."""
        pieces = self.all_gather(json.dumps(list(work(self.share(rows)))).encode())
        return [value for piece in pieces for value in json.loads(piece)]


class Single(Ranks):
    """The only process of a run."""

    number, size = 0, 1

    def all_gather(self, mine: bytes) -> list[bytes]:
        """Its own."""
        return [mine]

    def prepare(self, module: nn.Module, optimizer: torch.optim.Optimizer) -> nn.Module:
        """The module itself."""
        return module

    def collecting(self, last: bool, *prepared: nn.Module) -> AbstractContextManager[Any]:
        """No-op."""
        return nullcontext()

    def backward(self, loss: Tensor) -> None:
        """The part is the whole."""
        loss.backward()

    def clip(self, parameters: Sequence[nn.Parameter], most: float) -> float:
        """As torch does it."""
        return float(nn.utils.clip_grad_norm_(parameters, most))

    def broadcast(self, module: nn.Module) -> None:
        """No-op."""

    def unsharded(self, *modules: nn.Module) -> AbstractContextManager[Any]:
        """No-op."""
        return nullcontext()

    def leave(self) -> None:
        """No-op."""

    def whole_state(self, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        """Its state."""
        return optimizer.state_dict()

    def first(self, work: Callable[[], Any]) -> Any:
        """The work."""
        return work()

    def together(self, mine: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Its own."""
        return dict(mine)

    def padded(self, mine: Mapping[str, tuple[Tensor, float]]) -> dict[str, Tensor]:
        """Its own."""
        return {name: x for name, (x, _) in mine.items()}

    def lists(self, mine: Mapping[str, list[Tensor]]) -> dict[str, list[Tensor]]:
        """Its own, entry by entry."""
        return dict(mine)

    def total(self, mine: Tensor) -> Tensor:
        """Its own."""
        return mine

    def read(self, module: Reader, batch: Batch) -> tuple[Tensor, ...]:
        """The whole batch at once."""
        return outputs(module, batch)

    def shared_out(self, rows: int, work: Callable[[slice], Sequence[Any]]) -> list[Any]:
        """All the work."""
        return list(work(slice(rows)))


@torch.no_grad()
def outputs(module: Reader, batch: Batch) -> tuple[Tensor, ...]:
    """A network's outputs, always as a tuple."""
    output = module(batch)
    return output if isinstance(output, tuple) else (output,)


def packed(tensors: Mapping[str, Tensor]) -> bytes:
    """Tensors as safetensors, which execute nothing when they are read."""
    return save({name: x.detach().cpu().contiguous() for name, x in tensors.items()})
