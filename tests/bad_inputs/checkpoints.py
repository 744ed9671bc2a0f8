"""Checkpoints that cannot be loaded, or whose templates cannot be rendered."""

import json
import shutil
from pathlib import Path

from tests.bad_inputs.scene import DEEP, Scene

CONFIG = json.dumps({"model_type": "llama", "hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 1})


def _checkpoint(**files: str | bytes) -> Scene:
    """A folder `checkpoint` with these files; __ in a name stands for a dot."""

    def scene(folder: Path, records: Path) -> None:
        (folder / "checkpoint").mkdir()
        for name, content in files.items():
            file = folder / "checkpoint" / name.replace("__", ".")
            file.write_bytes(content if isinstance(content, bytes) else content.encode())

    return scene


def whole(folder: Path, records: Path) -> None:
    """A checkpoint with nothing the matter."""
    shutil.copytree(records.parent / "checkpoint", folder / "checkpoint")


def _damaged(name: str, content: bytes | None) -> Scene:
    """A checkpoint in which one file has that content; its first half for None."""

    def scene(folder: Path, records: Path) -> None:
        whole(folder, records)
        file = folder / "checkpoint" / name
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2] if content is None else content)

    return scene


def _reconfigured(name: str, **fields: object) -> Scene:
    """A checkpoint in which fields of a JSON file are others."""

    def scene(folder: Path, records: Path) -> None:
        whole(folder, records)
        file = folder / "checkpoint" / name
        file.write_text(json.dumps({**json.loads(file.read_text()), **fields}))

    return scene


def _weights(change: str) -> Scene:
    """A checkpoint with weights that are not those that were saved: nan, inf, lost or foreign."""

    def scene(folder: Path, records: Path) -> None:
        from safetensors.torch import load_file, save_file

        whole(folder, records)
        file = folder / "checkpoint" / "model.safetensors"
        tensors = load_file(file)
        first = sorted(name for name in tensors if "layers" in name)[0]
        if change == "lost":
            del tensors[first]
        elif change == "foreign":
            tensors["some.other.weight"] = tensors[first].clone()
        elif change == "shape":
            tensors[first] = tensors[first].flatten()[:3].clone()
        else:
            tensors[first] = tensors[first].fill_(float(change))
        save_file(tensors, file, metadata={"format": "pt"})

    return scene


def _template(text: str) -> Scene:
    """A checkpoint with that chat template."""

    def scene(folder: Path, records: Path) -> None:
        whole(folder, records)
        (folder / "checkpoint" / "chat_template.jinja").write_text(text)

    return scene


SCENES: dict[str, Scene] = {
    "checkpoint-empty": _checkpoint(config__json=""),
    "checkpoint-list": _checkpoint(config__json="[1]"),
    "checkpoint-deep": _checkpoint(config__json='{"a": ' + "[" * DEEP + "]" * DEEP + "}"),
    "checkpoint-binary": _checkpoint(config__json=bytes(range(256))),
    "checkpoint-no-tokenizer": _checkpoint(config__json=CONFIG),
    "checkpoint-no-weights": _checkpoint(config__json=CONFIG, tokenizer_config__json="{}"),
    "checkpoint-kind": _checkpoint(config__json='{"model_type": "no_such_kind"}'),
    "whole": whole,
    "weights-half": _damaged("model.safetensors", None),
    "weights-words": _damaged("model.safetensors", b"no weights" * 99),
    "weights-none": _damaged("model.safetensors", b""),
    "weights-nan": _weights("nan"),
    "weights-inf": _weights("inf"),
    "weights-lost": _weights("lost"),
    "weights-foreign": _weights("foreign"),
    "weights-shape": _weights("shape"),
    "tokenizer-words": _damaged("tokenizer.json", b"no tokenizer"),
    "tokenizer-half": _damaged("tokenizer.json", None),
    "tokenizer-deep": _damaged("tokenizer.json", b"[" * DEEP),
    "tokenizer-none": _damaged("tokenizer.json", b""),
    "tokenizer-list": _damaged("tokenizer.json", b"[1]"),
    "tokenizer-large": _reconfigured("config.json", vocab_size=100),
    "config-more-layers": _reconfigured("config.json", num_hidden_layers=7),
    "config-layers-word": _reconfigured("config.json", num_hidden_layers="two"),
    "config-layers-negative": _reconfigured("config.json", num_hidden_layers=-1),
    "config-width": _reconfigured("config.json", hidden_size=33),
    "config-heads-null": _reconfigured("config.json", num_attention_heads=None),
    "config-vocabulary-list": _reconfigured("config.json", vocab_size=[1]),
    "template-raises": _template("{{ raise_exception('no') }}"),
    "template-open": _template("{% for m in messages %}"),
    "template-name": _template("{{ nothing.within }}"),
    "template-divides": _template("{{ 1 / 0 }}"),
    "template-calls": _template("{{ messages[0]() }}"),
    "identity-number": _checkpoint(config__json=CONFIG, identity__json="3"),
    "identity-without-task": _checkpoint(config__json=CONFIG, identity__json="{}"),
    "identity-task": _checkpoint(config__json=CONFIG, identity__json='{"task": "nosuch"}'),
    "identity-dials": _checkpoint(config__json=CONFIG, identity__json='{"task": "chain", "dials": 3}'),
    "identity-words": _checkpoint(config__json=CONFIG, identity__json="no json"),
    "identity-deep": _checkpoint(config__json=CONFIG, identity__json="[" * DEEP),
}
