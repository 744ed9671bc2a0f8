"""A device that is not there: tensors that say they live on another one, are computed on the CPU, and refuse to mix.

With it, code for a GPU is tested without one: where a tensor of the CPU meets one of the other device in an operation that
a GPU would refuse, `Mixed` is raised. It says nothing of speed, memory or a GPU's own rounding.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

PLACE = torch.device("meta")
"""What the tensors say; torch lets any build of it be named."""


class Mixed(RuntimeError):
    """Tensors of two devices in one operation."""


class Far(torch.Tensor):
    """A tensor of the pretended device around one of the CPU."""

    inner: torch.Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> "Far":
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=PLACE,
        )
        made.inner = inner
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        return _computed(func, args, kwargs or {})


def _computed(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """The operation on the CPU; its outcome lives where torch would put it."""
    name = func.name().split(".")[0].removeprefix("aten::")
    tensors = [x for x in tree_flatten((args, kwargs))[0] if isinstance(x, torch.Tensor)]
    far = [x for x in tensors if isinstance(x, Far)]
    near = [x for x in tensors if not isinstance(x, Far) and x.dim()]
    moves, indexes = name in ("copy_", "_to_copy"), name.startswith("index") and isinstance(args[0], Far)
    if far and near and not moves and not indexes:
        raise Mixed(f"{func.name()}: {[tuple(x.shape) for x in far]} there, {[tuple(x.shape) for x in near]} here")
    found = func(*tree_map(_here, tuple(args)), **tree_map(_here, dict(kwargs)))
    if name in ("_local_scalar_dense", "equal"):
        return found
    if name.endswith("_") and isinstance(args[0], torch.Tensor):
        return args[0]
    there = _is_place(kwargs["device"]) if kwargs.get("device") is not None else bool(far)
    return tree_map(_there, found) if there else found


def _here(x: Any) -> Any:
    return x.inner if isinstance(x, Far) else torch.device("cpu") if isinstance(x, torch.device) else x


def _there(x: Any) -> Any:
    return Far(x) if isinstance(x, torch.Tensor) and not isinstance(x, Far) else x


def _is_place(device: Any) -> bool:
    return torch.device(device).type == PLACE.type


class _Everywhere(TorchDispatchMode):
    """Catches what makes tensors there without having any."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        every = tree_flatten((args, given))[0]
        if any(isinstance(x, Far) or (isinstance(x, torch.device) and _is_place(x)) for x in every):
            return _computed(func, args, given)
        return func(*args, **given)


@contextmanager
def pretended(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Within it, models go to the device that is not there; what torch does outside its dispatcher is stood in for."""
    tensor, tolist, adamw = torch.tensor, torch.Tensor.tolist, torch.optim.AdamW

    def new(data: Any, *rest: Any, device: Any = None, **named: Any) -> torch.Tensor:
        made = tensor(data, *rest, **named)
        return Far(made) if device is not None and _is_place(device) else made

    def as_new(data: Any, dtype: Any = None, device: Any = None) -> torch.Tensor:
        if isinstance(data, torch.Tensor):
            return data.to(device=device or data.device, dtype=dtype or data.dtype)
        return new(data, device=device, dtype=dtype)

    stand_ins: Mapping[str, Callable[..., Any]] = {
        "torch.tensor": new,
        "torch.as_tensor": as_new,
        "torch.Tensor.tolist": lambda x: tolist(x.inner if isinstance(x, Far) else x),
        "torch.is_autocast_enabled": lambda device="cpu": False,
        "torch.optim.AdamW": lambda *given, fused=None, **named: adamw(*given, foreach=False, **named),
        "vapo_core.worlds.language.device": lambda: PLACE,
        "vapo_core.rollout.transformers.generator": lambda seed, where: torch.Generator().manual_seed(seed),
    }
    for name, stand_in in stand_ins.items():
        monkeypatch.setattr(name, stand_in)
    with _Everywhere():
        yield
