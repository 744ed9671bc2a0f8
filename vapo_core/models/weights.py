"""Weights that are all there: none missing, none too many, none of another shape, none that is not a number.

A library that reads a damaged checkpoint draws what it lacks at random and goes on; here that is an error.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

DERIVED = ("rotary_emb.inv_freq", ".masked_bias", "attn.bias", "attention.bias", ".position_ids")
"""Endings of what old checkpoints keep although it follows from their config.json: angles, masks and positions."""

_SHOWN = 3
"""Names of weights in a message."""


def from_checkpoint(kind: Any, name: str, field: str, spare: Iterable[str] = (), **how: Any) -> Any:
    """A model with float32 weights, every one of them read from the checkpoint.

    Args:
        kind: class of transformers with `from_pretrained`.
        name: folder, or name on the hub.
        field: which field names it.
        spare: beginnings of names that may be missing, or be there in vain.
        how: more for `from_pretrained`.

    Raises:
        ValueError: naming the field, the checkpoint and the weights.
    """
    model, report = kind.from_pretrained(
        name,
        trust_remote_code=False,
        dtype=torch.float32,
        output_loading_info=True,
        ignore_mismatched_sizes=True,
        **how,
    )
    named = tuple(spare)
    found = {
        "missing": [key for key in report["missing_keys"] if not key.startswith(named)],
        "unknown to its config.json": [
            key for key in report["unexpected_keys"] if not key.startswith(named) and not key.endswith(DERIVED)
        ],
        "of another shape than its config.json says": [key for key, *_ in report["mismatched_keys"]],
        "not finite": not_finite(model.state_dict()),
    }
    for problem, keys in found.items():
        if keys:
            raise Damaged(f"{field}: {name!r} has {counted(keys)} {problem}")
    return model


class Damaged(ValueError):
    """Weights that cannot be those that were saved."""


def not_finite(weights: Mapping[str, Tensor]) -> list[str]:
    """Names of tensors with a number that is infinite or none."""
    return [name for name, x in weights.items() if x.is_floating_point() and not x.isfinite().all()]


def counted(names: Iterable[str]) -> str:
    """How many weights, and the first few names."""
    first, *more = listed = sorted(names)
    shown = ", ".join([first, *more[: _SHOWN - 1]])
    return f"{len(listed)} weight{'s' * (len(listed) > 1)} ({shown}{', ...' * (len(listed) > _SHOWN)})"


def load_exactly(module: nn.Module, file: Path) -> None:
    """Read the weights of a module from a safetensors file; the module stays as it was if they are not all good.

    Raises:
        ValueError: naming the file and the weights.
    """
    found, own = load_file(str(file)), module.state_dict()
    kept = {own[name].data_ptr() for name in found if name in own}  # of tensors that share memory one is saved
    lost = [name for name, x in own.items() if name not in found and x.data_ptr() not in kept]
    other = [name for name, x in found.items() if name not in own or x.shape != own[name].shape]
    for problem, names in (("missing", lost), ("of another model", other), ("not finite", not_finite(found))):
        if names:
            raise Damaged(f"{file}: {counted(names)} {problem}")
    module.load_state_dict(found, strict=False)
