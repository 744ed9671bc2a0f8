"""The files beside a checkpoint's weights, repaired and tried before a run, as a failure at the end would cost hours."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from vapo_core.reading import reading, reason_of


def mend_generation_config(model: Any) -> None:
    """Give a model a generation_config that can be written; nothing in training reads it but its stop tokens.

    Published ones name a temperature without `do_sample`, which transformers reads and refuses to write. They mean
    sampling, as vLLM reads them. If the file still cannot be written, only its special tokens are kept, with a warning.
    """
    config = getattr(model, "generation_config", None)
    if config is None or not (fault := _fault(config)):
        return
    if not config.do_sample and config.temperature != 0:
        before, config.do_sample = config.do_sample, True
        if not _fault(config):
            return
        config.do_sample = before
    kept = {name: getattr(config, name, None) for name in ("bos_token_id", "eos_token_id")}
    model.generation_config = type(config)(**kept)
    print(
        f"warning: generation_config.json cannot be written ({fault}); only its start and stop tokens are kept",
        file=sys.stderr,
    )


def _fault(config: Any) -> str:
    """Why a generation_config cannot be written, "" if it can."""
    try:
        config.validate(strict=True)
    except Exception as error:  # whatever a library says of somebody's file
        return reason_of(error)
    return ""


def try_saving(name: str, model: Any, tokenizer: Any, critic: Any) -> None:
    """Write a checkpoint without its weights into a temporary folder.

    Args:
        name: of the policy's checkpoint, for the message.
        model, tokenizer: the policy.
        critic: the critic's model, None if there is none.

    Raises:
        ValueError: if some of it cannot be written.
    """
    with (
        TemporaryDirectory(prefix="vapo-trial-") as scratch,
        reading(f"base.model = {name!r}", "a checkpoint of it could not be written"),
    ):
        model.save_pretrained(Path(scratch) / "policy", state_dict={})
        tokenizer.save_pretrained(Path(scratch) / "policy")
        if critic is not None:
            critic.save_pretrained(Path(scratch) / "critic", state_dict={})
