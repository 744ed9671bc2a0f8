"""Which toggles, settings and variants go together."""

from collections.abc import Mapping

from vapo_core.settings import COMPONENTS, Settings, Toggles


def check_combination(toggles: Toggles, settings: Settings, variants: Mapping[str, str]) -> None:
    """Refuse combinations that are not meaningful. Apart from `recipe.assemble`, only this function reads toggles.

    Raises:
        ValueError: a variant of a component that is off, value replay without a critic, a value error that the critic
            would learn, or group-relative credit with a single answer per prompt.
    """
    for slot in variants:
        if slot in COMPONENTS and not getattr(toggles, slot):
            raise ValueError(f"variants.{slot}: {variants[slot]!r} is a variant of {slot}, whose toggle is off")
    if "rehearsal" in variants and variants.get("credit") in ("group_relative", "vine"):
        raise ValueError(f"variants.rehearsal: credit {variants['credit']} has no critic to train on replayed places")
    apart = toggles.decoupled_gae and settings.lambda_critic == 1.0 and settings.value_clip == float("inf")
    if variants.get("values", "").endswith("_error") and not apart:
        raise ValueError(
            f"variants.values: {variants['values']} must affect advantages only, so it needs decoupled_gae on,"
            " lambda_critic 1 and no value_clip; otherwise the critic would learn the error"
        )
    if "horizon" in variants and not toggles.length_adaptive_gae:
        raise ValueError(f"variants.horizon: {variants['horizon']} adapts lambda, so it needs length_adaptive_gae on")
    answers = settings.group_size if toggles.group_sampling else 1
    if variants.get("values") == "tether" and answers < 2:
        raise ValueError(
            "variants.values: tether needs other answers to the prompt: group_sampling, group_size 2 or more"
        )
    if variants.get("credit") == "group_relative" and answers < 2:
        raise ValueError(
            "credit group_relative compares answers to one prompt, so it needs group_sampling on"
            f" and group_size of at least 2, got {answers} answer per prompt"
        )
