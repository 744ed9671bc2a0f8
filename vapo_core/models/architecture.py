"""Architectures whose computation is known here, so that it may be arranged in another way."""

from typing import Any


def is_known(config: Any) -> bool:
    """Whether a configuration is of a plain Llama-like decoder: rotary positions, full attention, no bias but Qwen2's."""
    plain = config.model_type in ("llama", "qwen2", "qwen3") and config.hidden_act == "silu"
    rotary = getattr(config, "rope_parameters", None) or {}
    return (
        plain
        and rotary.get("rope_type") == "default"
        and not getattr(config, "attention_bias", False)
        and not getattr(config, "mlp_bias", False)
        and not getattr(config, "use_sliding_window", False)
    )
