"""Ranks over accelerate and torch.distributed: gradients through DDP, everything else through a gloo group on the CPU."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from datetime import timedelta
from typing import Any
from weakref import WeakKeyDictionary

import torch
import torch.distributed as dist
from torch import Tensor, nn

from vapo_core.distributed.ranks import LostRank, Ranks, Single
from vapo_core.reading import whole_number

TIMEOUT = timedelta(hours=2)
"""Longest wait for a rank that is still there: another may be pretraining a base or grading the longest of answers. A rank
that has ended is noticed at once."""


def join(environment: Mapping[str, str] = os.environ, timeout: timedelta = TIMEOUT) -> Ranks:
    """The ranks that `accelerate launch` or `torchrun` has started this process as one of; `Single` where neither has.

    Args:
        environment: has WORLD_SIZE and the rest of what launchers say.
        timeout: longest wait for another rank.

    Raises:
        ValueError: if there are several and accelerate is not installed, or asked for another way of sharing than offered.
    """
    size = whole_number("WORLD_SIZE", 1, least=1, environment=environment)
    if size == 1:
        return Single()
    _check(size, environment)
    accelerator = accelerator_of(timeout)
    if accelerator.is_fsdp2:
        from vapo_core.distributed.sharded import Sharded

        return Sharded(accelerator, timeout)
    kind = str(accelerator.distributed_type).rpartition(".")[2]
    if not kind.startswith("MULTI_"):
        raise ValueError(
            f"accelerate's configuration asks for {kind}; allowed: DDP (MULTI_GPU), FSDP with fsdp_version 2"
        )
    return Accelerated(accelerator, timeout)


def _check(size: int, environment: Mapping[str, str]) -> None:
    """See that the launcher said who this process is, and where the others meet.

    Raises:
        ValueError: naming the variable.
    """
    rank = whole_number("RANK", 0, least=0, environment=environment)
    if rank >= size:
        raise ValueError(f"RANK = {rank} in the environment: allowed is 0 to {size - 1}, since WORLD_SIZE is {size}")
    whole_number("LOCAL_RANK", 0, least=0, environment=environment)
    whole_number("MASTER_PORT", 29500, least=0, environment=environment)


def accelerator_of(timeout: timedelta) -> Any:
    """accelerate's own object; it finds the other processes and waits until all are there.

    Raises:
        ValueError: if accelerate is not installed.
    """
    try:
        from accelerate import Accelerator
        from accelerate.utils import InitProcessGroupKwargs
    except ImportError:
        raise ValueError("several processes: needs the package accelerate; pip install 'vapo-lab[real]'") from None
    return Accelerator(
        cpu=not torch.cuda.is_available(),
        mixed_precision="no",  # a run's numbers are those of its spec, whatever accelerate's own configuration says
        kwargs_handlers=[InitProcessGroupKwargs(timeout=timeout)],
    )


class Accelerated(Ranks):
    """One of several processes; how networks are spread is what `accelerate config` says."""

    def __init__(self, accelerator: Any, timeout: timedelta) -> None:
        """Args: accelerator, as of `accelerator_of`; timeout, longest wait for another rank."""
        self.accelerator = accelerator
        self.number, self.size = self.accelerator.process_index, self.accelerator.num_processes
        self._talk = dist.new_group(backend="gloo", timeout=timeout)
        self._prepared: WeakKeyDictionary[nn.Module, nn.Module] = WeakKeyDictionary()
        self._budgets: WeakKeyDictionary[nn.Module, float] = WeakKeyDictionary()

    def __deepcopy__(self, memo: dict[int, Any]) -> "Accelerated":
        """Itself: a copy of a learner works among the same processes."""
        return self

    def all_gather(self, mine: bytes) -> list[bytes]:
        """The bytes of every rank, in rank order.

        Raises:
            LostRank: if another process has ended.
        """
        with self._watching():
            length = torch.tensor([len(mine)])
            lengths = [torch.empty_like(length) for _ in range(self.size)]
            dist.all_gather(lengths, length, group=self._talk)
            most = max(int(n) for n in lengths)
            own = torch.zeros(most, dtype=torch.uint8)
            own[: len(mine)] = torch.frombuffer(bytearray(mine), dtype=torch.uint8)
            pieces = [torch.empty_like(own) for _ in range(self.size)]
            dist.all_gather(pieces, own, group=self._talk)
        return [piece[: int(n)].numpy().tobytes() for piece, n in zip(pieces, lengths, strict=True)]

    def prepare(self, module: nn.Module, optimizer: torch.optim.Optimizer) -> nn.Module:
        """The module in DDP, made once; its weights become those of rank 0."""
        if module not in self._prepared:
            with self._watching():
                self._prepared[module] = self.accelerator.prepare_model(module)
        return self._prepared[module]

    @contextmanager
    def collecting(self, last: bool, *prepared: nn.Module) -> Iterator[None]:
        """Around a pass and its backward: gradients are kept here, and summed over the ranks with the last pass."""
        with ExitStack() as stack, self._watching():
            for module in () if last else prepared:
                stack.enter_context(self.accelerator.no_sync(module))
            yield

    def backward(self, loss: Tensor) -> None:
        """Add the gradient of this rank's part of a loss; times the number of ranks, since DDP takes their mean."""
        self.accelerator.backward(loss * self.size)

    def clip(self, parameters: Sequence[nn.Parameter], most: float) -> float:
        """Scale summed gradients to a global norm of at most `most`; returns the norm before."""
        return float(nn.utils.clip_grad_norm_(parameters, most))

    def broadcast(self, module: nn.Module) -> None:
        """Copy rank 0's weights of a network to all ranks; before `prepare`."""
        with self._watching():
            for tensor in [*module.parameters(), *module.buffers()]:
                moved = tensor.detach().to(self.accelerator.device)
                dist.broadcast(moved, src=0)
                tensor.data.copy_(moved)

    def unsharded(self, *modules: nn.Module) -> AbstractContextManager[None]:
        """Every rank has all weights."""
        return nullcontext()

    def whole_state(self, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        """Its state, which every rank has."""
        return optimizer.state_dict()

    def leave(self) -> None:
        """Leave the process group at the end of the run."""
        dist.destroy_process_group()

    @contextmanager
    def _watching(self) -> Iterator[None]:
        """Report in plain words that another process has ended."""
        try:
            yield
        except dist.DistError as error:
            raise LostRank(self._lost(error)) from None
        except RuntimeError as error:
            if not any(sign in str(error) for sign in SIGNS):
                raise
            raise LostRank(self._lost(error)) from None

    def _lost(self, error: Exception) -> str:
        return f"process {self.number} of {self.size}: another process of this run has ended ({str(error).splitlines()[0]})"


SIGNS = ("gloo", "Connection closed", "Connection reset", "Timed out", "NCCL")
"""In what torch says when a connection to another process ends; gloo has no error class of its own."""
