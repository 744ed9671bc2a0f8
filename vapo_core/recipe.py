"""A recipe is what the trainer calls: seven slots, one per VAPO component, and a few more.

Toggles become behaviour only here (`assemble`); `combinations.check_combination` reads them too, to refuse combinations.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from torch import Tensor

from vapo_core.combinations import check_combination
from vapo_core.components import (
    clip_higher,
    decoupled_gae,
    group_sampling,
    length_adaptive_gae,
    positive_lm_loss,
    token_level_loss,
    value_pretraining,
)
from vapo_core.functional.losses import Reduction
from vapo_core.settings import RECIPES, Settings, Toggles
from vapo_core.slots import (
    credit,
    horizon,
    importance,
    mixed_values,
    replay,
    select_groups,
    shape_reward,
    value_noise,
    values,
    whiten,
)
from vapo_core.slots.credit import CreditRule
from vapo_core.slots.values import ValueEstimates
from vapo_core.suggest import nearest

__all__ = ["COMPONENTS", "RECIPES", "VARIANTS", "Recipe", "Settings", "Toggles", "assemble"]

COMPONENTS: dict[str, ModuleType] = {
    "value_pretraining": value_pretraining,
    "decoupled_gae": decoupled_gae,
    "length_adaptive_gae": length_adaptive_gae,
    "token_level_loss": token_level_loss,
    "clip_higher": clip_higher,
    "positive_lm_loss": positive_lm_loss,
    "group_sampling": group_sampling,
}

SLOTS: dict[str, ModuleType] = {
    "credit": credit,
    "values": values,
    "select_groups": select_groups,
    "shape_reward": shape_reward,
    "whiten": whiten,
    "horizon": horizon,
    "rehearsal": replay,
    "importance": importance,
}
"""The other slots by name: each module has a `default(settings)` and VARIANTS, as a component has `on` and `off`."""

VARIANTS: dict[str, dict[str, Callable[[Settings], Any]]] = {
    **{name: dict(module.VARIANTS) for name, module in (COMPONENTS | SLOTS).items()},
    "values": {**values.VARIANTS, **value_noise.VARIANTS, **mixed_values.VARIANTS},
}
"""Slot -> variant -> function of the settings; a plugin may add its own."""


@dataclass(frozen=True)
class Recipe:
    """What the trainer calls. The first seven fields carry the components' names; each module states its slot's type."""

    value_pretraining: int
    decoupled_gae: Callable[[Tensor], Tensor]
    length_adaptive_gae: Callable[[Tensor], Tensor]
    token_level_loss: Reduction
    clip_higher: clip_higher.Clip
    positive_lm_loss: Callable[[Tensor, Tensor, Tensor], Tensor]
    group_sampling: group_sampling.SamplingPlan
    credit: CreditRule
    values: Callable[..., ValueEstimates]
    select_groups: Callable[[Tensor], Tensor]
    shape_reward: Callable[[Tensor, int], Tensor]
    whiten: Callable[[Tensor, Tensor], Tensor]
    horizon: horizon.Slot
    rehearsal: replay.Replay
    importance: importance.Weigh


def assemble(toggles: Toggles, settings: Settings, variants: Mapping[str, str] | None = None) -> Recipe:
    """Fill every slot: each component's on or off version, then the named variants.

    Args:
        toggles: which components are on.
        settings: the numbers they use.
        variants: slot name -> variant name, from `VARIANTS`.

    Raises:
        ValueError: for an unknown slot or variant (the nearest valid one is named) or a combination that is not meaningful.
    """
    chosen = dict(variants or {})
    check_combination(toggles, settings, chosen)
    slots: dict[str, Any] = {name: slot.default(settings) for name, slot in SLOTS.items()}
    for name, component in COMPONENTS.items():
        choose = component.on if getattr(toggles, name) else component.off
        slots[name] = choose(settings)
    for slot, variant in chosen.items():
        slots[slot] = _variant(slot, variant)(settings)
    return Recipe(**slots)


def _variant(slot: str, name: str) -> Callable[[Settings], Any]:
    """Look a named variant up."""
    if slot not in VARIANTS:
        raise ValueError(f"variants: no slot {slot!r}{nearest(slot, VARIANTS)}")
    if name not in VARIANTS[slot]:
        raise ValueError(f"variants.{slot}: no variant {name!r}{nearest(name, VARIANTS[slot])}")
    return VARIANTS[slot][name]
