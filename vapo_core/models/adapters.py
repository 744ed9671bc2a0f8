"""Low-rank adapters (LoRA, arXiv:2106.09685), the only file that uses peft: apply, disable, merge, save."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from vapo_core.models.weights import counted, not_finite
from vapo_core.settings import Lora
from vapo_core.types import Batch

TRAINED = "adapter/trained.safetensors"
"""What a run trains, exactly, within a checkpoint; the merged weights beside the folder are what others load."""


def apply_lora(model: Any, lora: Lora) -> Any:
    """Give the model adapters, in place, and freeze the rest; returns peft's own view of it.

    Raises:
        ValueError: if peft is not installed, or no layer has one of the names.
    """
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError:
        raise ValueError("base.lora.on: needs the package peft; pip install 'vapo-lab[real]'") from None
    targets = "all-linear" if lora.targets == ("all-linear",) else list(lora.targets)
    try:
        return get_peft_model(model, LoraConfig(r=lora.rank, lora_alpha=lora.alpha, target_modules=targets))
    except ValueError as error:
        raise ValueError(f"base.lora.targets = {', '.join(lora.targets)}: {str(error).splitlines()[0]}") from None


def is_adapted(model: nn.Module) -> bool:
    """Whether adapters are trained instead of every weight."""
    return any(hasattr(layer, "get_delta_weight") for layer in model.modules())


def merged(model: nn.Module) -> dict[str, Tensor]:
    """Weights of the plain model, under its own names, with every adapter added to what it adapts."""
    layers = {name: layer for name, layer in model.named_modules() if hasattr(layer, "get_delta_weight")}
    found: dict[str, Tensor] = {}
    for name, value in model.state_dict().items():
        owner, _, inner = name.partition(".base_layer.")
        if owner in layers and inner == "weight":
            found[f"{owner}.weight"] = with_adapters(layers[owner]).detach()
        elif ".lora_" not in name:
            found[name.replace(".base_layer.", ".")] = value
    return found


def with_adapters(layer: Any) -> Tensor:
    """The weight that a layer acts with; its own where it has no adapter or adapters are switched off."""
    active = [] if getattr(layer, "disable_adapters", True) else layer.active_adapters
    weight: Tensor = layer.weight
    for adapter in active:
        weight = weight + layer.get_delta_weight(adapter).to(weight.dtype)
    return weight


@contextmanager
def switched_off(model: nn.Module) -> Iterator[None]:
    """Within it, the model computes what it did before any adapter was trained."""
    layers: list[Any] = [layer for layer in model.modules() if hasattr(layer, "get_delta_weight")]
    trained = [p for p in model.parameters() if p.requires_grad]
    for layer in layers:
        layer.enable_adapters(False)
    try:
        yield
    finally:
        for layer in layers:
            layer.enable_adapters(True)
        for parameter in trained:  # switching off freezes
            parameter.requires_grad_(True)


class Unadapted:
    """A policy as it was before its adapters were trained; it costs no memory of its own."""

    def __init__(self, policy: Any) -> None:
        self.policy = policy

    def __call__(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Log-probability and entropy, both [B, T]."""
        with switched_off(self.policy):
            return self.policy(batch)


def save_trained(model: nn.Module, folder: Path) -> None:
    """Write the weights that a run trains."""
    path = folder / TRAINED
    path.parent.mkdir(parents=True, exist_ok=True)
    trained = {name: p.detach().contiguous() for name, p in model.named_parameters() if p.requires_grad}
    save_file(trained, str(path))


def load_trained(model: nn.Module, folder: Path) -> None:
    """Read what `save_trained` wrote.

    Raises:
        ValueError: if it is of another model, or damaged.
    """
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    found = load_file(str(folder / TRAINED))
    if {name: p.shape for name, p in trained.items()} != {name: x.shape for name, x in found.items()}:
        raise ValueError(f"{folder / TRAINED}: weights of another model")
    if lost := not_finite(found):
        raise ValueError(f"{folder / TRAINED}: {counted(lost)} not finite")
    with torch.no_grad():
        for name, parameter in trained.items():
            parameter.copy_(found[name])
