"""Language models with one number per token: built, read from a causal, reward or value checkpoint, written."""

import copy
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from vapo_core.models.adapters import merged
from vapo_core.models.checkpoints import check_size, load_back, naming, read_config, without_dropout
from vapo_core.models.weights import from_checkpoint, load_exactly

HEAD = "value_head.safetensors"

UNUSED = ("lm_head.",)
"""Weights of a causal checkpoint that its critic does without."""


class Headed(nn.Module):
    """A backbone with a linear head, for architectures that transformers has no token classifier for."""

    def __init__(self, backbone: Any) -> None:
        super().__init__()
        self.base_model, self.config = backbone, backbone.config
        self.score = nn.Linear(backbone.config.get_text_config().hidden_size, 1)

    def save_pretrained(self, folder: Path, state_dict: dict[str, Tensor]) -> None:
        """The backbone as a folder that AutoModel loads, the head in a file of its own."""
        begin = "base_model."
        own = {name.removeprefix(begin): x for name, x in state_dict.items() if name.startswith(begin)}
        self.base_model.save_pretrained(folder, state_dict=own)
        save_file({k: x.detach().contiguous() for k, x in self.score.state_dict().items()}, str(folder / HEAD))


def value_model(config: Any) -> Any:
    """A value model, weights not yet set, for a language model's configuration."""
    from transformers import MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING, AutoModel, AutoModelForTokenClassification

    own = copy.deepcopy(config)
    own.num_labels = 1
    own.classifier_dropout = 0.0  # the default of 0.1 would make values random
    if type(own) in MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING:
        return without_dropout(AutoModelForTokenClassification.from_config(own))
    return without_dropout(Headed(AutoModel.from_config(own)))


def head_of(model: Any) -> nn.Linear:
    """The last layer of a value or reward model.

    Raises:
        ValueError: if it has none that is linear.
    """
    for name in ("score", "classifier", "v_head"):
        head = getattr(model, name, None)
        if isinstance(head, nn.Linear):
            return head
    raise ValueError(f"base.critic: {type(model).__name__} has no linear head, so no value per token")


def fresh_head(model: Any, bias: float) -> None:
    """Draw the head's weights from torch's global stream; its output starts around `bias`, in reward units."""
    head = head_of(model)
    nn.init.normal_(head.weight, std=0.02)
    if head.bias is not None:
        nn.init.constant_(head.bias, bias)


def on_backbone(policy_model: Any, bias: float) -> Any:
    """A value model with a fresh head on a copy of a causal model's backbone, its adapters added in."""
    model = value_model(policy_model.config)
    model.base_model.load_state_dict(merged(policy_model.base_model))
    fresh_head(model, bias)
    return model


def read_values(name: str, bias: float) -> Any:
    """A value model from a checkpoint: causal (fresh head), reward model (its head on every token) or value model.

    Args:
        name: folder or name on the hub.
        bias: added by a fresh head, or to a reward model's output, in reward units.

    Raises:
        ValueError: if there is no such checkpoint, or it has more than one output.
    """
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    config = read_config("base.critic", name)
    kind = next(iter(config.architectures or ()), "")
    valued = kind.endswith("ForTokenClassification") or (Path(name) / HEAD).exists()
    ranked = kind.endswith("ForSequenceClassification")
    if (valued or ranked) and config.num_labels != 1:
        raise ValueError(f"base.critic: {name!r} has {config.num_labels} outputs, a value model has one")
    check_size("base.critic", name, value_model)
    with naming("base.critic", name, "weights"):
        if valued:
            model = value_model(config)
            load_values(model, name, "base.critic")
            return model
        auto, spare = (AutoModelForSequenceClassification, ()) if ranked else (AutoModelForCausalLM, UNUSED)
        source = from_checkpoint(auto, name, "base.critic", spare)
        model = on_backbone(source, bias)
    if ranked:
        with torch.no_grad():
            head_of(model).weight.copy_(head_of(source).weight)
    return model


def load_values(model: Any, folder: Path | str, field: str = "critic") -> None:
    """Read the weights of a value model from a folder that `save_pretrained` wrote, or from the hub.

    Raises:
        ValueError: if weights are lost or damaged.
    """
    if isinstance(model, Headed):
        load_back(model.base_model, folder, field)
        load_exactly(model.score, Path(folder) / HEAD)
    else:
        load_back(model, folder, field)
