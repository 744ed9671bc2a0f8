"""The model card of a trained checkpoint: a README whose front matter the hub reads, made from a run's spec and row."""

import re
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from experiments.specs.spec import RunSpec
from vapo_core.files import write_whole
from vapo_core.settings import BASE_SIZES

LIBRARIES = ("vapo-lab", "torch", "transformers", "tokenizers", "safetensors", "peft", "vllm")
"""Whose versions a card names, as far as they are installed."""

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")

_USE = {
    "policy": "Load it with `AutoModelForCausalLM.from_pretrained(FOLDER)`, or serve it with `vllm serve FOLDER`.",
    "critic": "Load it with `AutoModelForTokenClassification.from_pretrained(FOLDER)`: one value per token, in reward units."
    " Where transformers has no token classifier for an architecture, the backbone loads with `AutoModel`, and the head is"
    " in value_head.safetensors.",
}


def write_cards(checkpoint: Path, spec: RunSpec, row: Mapping[str, Any]) -> None:
    """Put a README beside the weights of policy and critic, where a run has kept them."""
    for part in ("policy", "critic"):
        if (checkpoint / part / "config.json").exists():
            write_whole(checkpoint / part / "README.md", card(part, spec, row))


def card(part: str, spec: RunSpec, row: Mapping[str, Any]) -> str:
    """The text of a card.

    Args:
        part: `policy` or `critic`.
        spec: the run.
        row: its row, as in `row.json`.
    """
    import yaml  # here: only checkpoints have a card

    front = yaml.safe_dump(front_matter(part, spec, row), sort_keys=False, allow_unicode=True)
    changed = {f"settings.{name}": value for name, value in _changed(spec.settings).items()}
    changed |= {f"base.{name}": value for name, value in _changed(spec.base).items() if name != "model"}
    toggles = {name: "on" if chosen else "off" for name, chosen in spec.toggles.model_dump().items()}
    return "\n".join([
        f"---\n{front}---",
        f"# {row['arm']}, {part}\n",
        f"One run of the recipe `{spec.recipe}` on the task `{spec.task.name}` with seed {spec.seed}: a single seed, so no"
        " interval can be given.\n",
        f"{_USE[part]}\n",
        _table("Run", {
            "base": _base_name(spec), "task dials": _words(spec.task.dials) or "defaults", "RL steps": spec.steps,
            "seed": spec.seed, "engine": spec.engine, "spec": spec.hash, "commit": row["git_commit"] or "unknown",
            "state": row["state"], **({"reason": row["reason"]} if row["reason"] else {}),
        }),
        _table("Result", {
            f"{row['metric']} before": row["first"], f"{row['metric']} after": row["last"],
            "area under the curve over RL steps": row["auc"], "mean response length, tokens": row["mean_length"],
            "tokens generated": int(row["tokens"]), "evaluated on, held-out problems": spec.evaluation.problems,
        }),
        _table("Components", toggles),
        _table("Variants", spec.variants) if spec.variants else "",
        _table("Differs from the defaults", changed) if changed else "",
        _table("Libraries", _versions()),
        "Weights are float32. The spec's hash is the SHA-256 of its canonical JSON without defaults, first 16 digits.",
        "",
    ])  # fmt: skip


def front_matter(part: str, spec: RunSpec, row: Mapping[str, Any]) -> dict[str, Any]:
    """What the hub reads: names and one evaluation, in its own terms."""
    hub = {"base_model": spec.base.model} if _on_hub(spec) else {}
    plain = {
        **hub,
        "library_name": "transformers",
        "pipeline_tag": "text-generation" if part == "policy" else "token-classification",
        "tags": ["reinforcement-learning", "vapo-lab", spec.recipe, *([] if part == "policy" else ["value-model"])],
    }
    if part == "critic":
        return plain
    metric = {"type": row["metric"], "value": float(row["last"]), "name": f"{row['metric']}, seed {spec.seed}"}
    result = {
        "task": {"type": "text-generation"},
        "dataset": {"name": f"{spec.task.name}, held out", "type": spec.task.name},
        "metrics": [metric],
    }
    return {**plain, "model-index": [{"name": f"{row['arm']} {spec.hash}", "results": [result]}]}


def _on_hub(spec: RunSpec) -> bool:
    name = spec.base.model
    return _HUB_NAME.fullmatch(name) is not None and not Path(name).exists()


def _base_name(spec: RunSpec) -> str:
    """The base in words; of a folder only its last part, since the rest says where somebody keeps files."""
    base = spec.base
    if base.model in BASE_SIZES:
        return f"{base.model} {base.architecture}, initialisation {base.init}, pretrained on the task's demonstrations"
    return f"{base.model}, revision {base.revision}" if _on_hub(spec) else f"a local folder, {Path(base.model).name}"


def _changed(model: Any) -> dict[str, Any]:
    """Fields that differ from their defaults, inner ones by dotted names."""
    found: dict[str, Any] = {}
    for name, value in model.model_dump(mode="json", exclude_defaults=True).items():
        inner = value.items() if isinstance(value, dict) else ()
        found |= {f"{name}.{key}": x for key, x in inner} or {name: value}
    if "/" in str(found.get("critic", "")) and not _HUB_NAME.fullmatch(str(found["critic"])):
        found["critic"] = Path(found["critic"]).name
    return found


def _versions() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _words(named: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in named.items())


def _table(title: str, rows: Mapping[str, Any]) -> str:
    """A heading and a table of two columns."""
    lines = [f"| {name} | {_cell(value)} |" for name, value in rows.items()]
    return "\n".join([f"## {title}", "", f"| {title.lower()} | |", "|---|---|", *lines, ""])


def _cell(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return " ".join(text.replace("|", "\\|").split())
