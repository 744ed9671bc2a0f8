"""What stands in the folder of a bad input before its command is given: `plant(names, folder, records)`."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

DEEP = 2000

FILES: dict[str, str | bytes] = {
    # options
    "empty.yaml": "",
    "null.yaml": "null\n",
    "list.yaml": "- 1\n- 2\n",
    "word.yaml": "steps\n",
    "number.yaml": "3\n",
    "binary.yaml": bytes(range(256)),
    "latin1.yaml": "recipe: vapö\n".encode("latin-1"),
    "utf16.yaml": "steps: 3\n".encode("utf-16"),
    "zero.yaml": "steps: 3\0\n",
    "open.yaml": "steps: [\n",
    "tab.yaml": "settings:\n\t- 1\n",
    "two.yaml": "steps: 1\n---\nsteps: 2\n",
    "object.yaml": "steps: !!python/object/apply:os.system [ls]\n",
    "brackets.yaml": "[" * DEEP,
    "braces.yaml": "settings: " + "{a: " * DEEP + "1" + "}" * DEEP + "\n",
    "brackets.json": '{"settings": ' + "[" * DEEP + "]" * DEEP + "}\n",
    "dashes.yaml": "- " * DEEP + "1\n",
    "keys.yaml": "? " * DEEP + "1\n",
    "twice.yaml": "steps: 3\nseed: 1\nsteps: 4\n",
    "twice-within.yaml": "settings:\n  alpha: 1\n  mu: 0\n  alpha: 2\n",
    "twice-flow.yaml": "base: {chat: on, chat: off}\n",
    "twice-quoted.yaml": "seed: 1\n'seed': 2\n",
    "twice.json": '{"steps": 1,\n "steps": 2}\n',
    "bomb.yaml": "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10) if i else 1}]\n" for i in range(12)),
    "bomb-of-maps.yaml": "a0: &a0 {x: 1}\n"
    + "".join(f"a{i}: &a{i} {{{', '.join(f'k{j}: *a{i - 1}' for j in range(10))}}}\n" for i in range(1, 12)),
    "itself.yaml": "settings: &s {alpha: *s}\n",
    "itself-in-list.yaml": "vary: &v [alpha, *v]\n",
    "no-anchor.yaml": "settings: *nothing\n",
    "digits.yaml": "steps: " + "9" * 5000 + "\n",
    "large.yaml": "# " + "x" * 3_000_000 + "\n",
    "key-of-list.yaml": "? [a, b]\n: 1\n",
    "key-of-number.yaml": "1: 2\n",
    "base-number.yaml": "base: 3\n",
    "base-word.yaml": "base: tiny\n",
    "base-list.yaml": "base: [tiny]\n",
    "settings-null.yaml": "settings:\n",
    "settings-list.yaml": "settings: [1]\n",
    "dials-number.yaml": "dials: 3\n",
    "toggles-word.yaml": "toggles: {clip_higher: maybe}\n",
    "variants-list.yaml": "variants: [1]\n",
    "probes-word.yaml": "probes: {value_error: often}\n",
    "probes-list.yaml": "probes: [value_error]\n",
    "steps-list.yaml": "steps: [1]\n",
    "steps-null.yaml": "steps:\n",
    "steps-inf.yaml": "steps: .inf\n",
    "steps-half.yaml": "steps: 1.5\n",
    "steps-yes.yaml": "steps: yes\n",
    "alpha-nan.yaml": "settings: {alpha: .nan}\n",
    "seed-minutes.yaml": "seed: 1:30\n",
    "recipe-date.yaml": "recipe: 2024-05-01\n",
    "recipe-number.yaml": "recipe: 3\n",
    "world-no.yaml": "world: no\n",
    "task-list.yaml": "task: [walk]\n",
    "chat-no.yaml": "base: {chat: no}\n",
    "chat-false.yaml": "base: {chat: false}\n",
    "lora-key.yaml": "base: {lora: {off: true}}\n",
    "lora-word.yaml": "base: {lora: {on: perhaps}}\n",
    "yes-key.yaml": "yes: 1\n",
    "dashed-key.yaml": "log-every: 2\n",
    "runs-empty.yaml": "runs: ''\n",
    "vary-number.yaml": "vary: 3\n",
    "vary-words.yaml": "vary: [alpha, 1, 2]\n",
    "seeds-word.yaml": "seeds: many\n",
    "baselines-word.yaml": "baselines: 3\n",
    "range-number.yaml": "range: 3\n",
    "range-word.yaml": "range: [low, high]\n",
    "along-map.yaml": "along: {size: 3}\n",
    "names-number.yaml": "names: 3\n",
    "trials-inf.yaml": "trials: .inf\n",
    # places
    "file": "a file, no folder\n",
    "table.csv": "some,other\n1,2\n",
}
"""Files by name; a plant of that name writes it."""


def plant(names: Sequence[str], folder: Path, records: Path) -> None:
    """Make what these names stand for.

    Args:
        names: of `FILES` or `SCENES`.
        folder: where the command is given.
        records: a folder of finished runs to copy from, its table under `ablate-x`.
    """
    for name in names:
        if name.startswith("without-"):
            continue  # a package that the test hides
        if name in SCENES:
            SCENES[name](folder, records)
        else:
            content = FILES[name]
            (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def _folder(folder: Path, records: Path) -> None:
    (folder / "folder").mkdir()


def _runs(folder: Path, records: Path) -> None:
    shutil.copytree(records, folder / "runs")


def _store(content: bytes | None) -> Callable[[Path, Path], None]:
    """An MLflow store with that content; a folder for None."""

    def scene(folder: Path, records: Path) -> None:
        (folder / "runs").mkdir(exist_ok=True)
        file = folder / "runs" / "mlflow.db"
        file.mkdir() if content is None else file.write_bytes(content)

    return scene


def _edited(table: str, old: str, new: str) -> Callable[[Path, Path], None]:
    """The table of an ablation, one thing in it replaced everywhere."""

    def scene(folder: Path, records: Path) -> None:
        shutil.copytree(records / "ablate-x", folder / "ablate-x")
        file = folder / "ablate-x" / table
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    return scene


def _tables(name: str, content: bytes | None) -> Callable[[Path, Path], None]:
    """An ablation's tables, one of them with that content, or gone."""

    def scene(folder: Path, records: Path) -> None:
        shutil.copytree(records / "ablate-x", folder / "ablate-x")
        file = folder / "ablate-x" / name
        file.unlink() if content is None else file.write_bytes(content)

    return scene


def _component(value: str) -> Callable[[Path, Path], None]:
    """An ablation's table with that value for clip_higher in every row."""

    def scene(folder: Path, records: Path) -> None:
        import pandas as pd

        shutil.copytree(records / "ablate-x", folder / "ablate-x")
        file = folder / "ablate-x" / "runs.csv"
        rows = pd.read_csv(file, dtype=str, keep_default_na=False)
        rows.assign(clip_higher=value).to_csv(file, index=False)

    return scene


def _column(name: str, value: str) -> Callable[[Path, Path], None]:
    """An ablation's table with that value in every row of a column."""

    def scene(folder: Path, records: Path) -> None:
        import pandas as pd

        shutil.copytree(records / "ablate-x", folder / "ablate-x")
        file = folder / "ablate-x" / "runs.csv"
        rows = pd.read_csv(file, dtype=str, keep_default_na=False)
        rows.assign(**{name: value}).to_csv(file, index=False)

    return scene


def _checkpoint(**files: str | bytes) -> Callable[[Path, Path], None]:
    """A folder `checkpoint` with these files; __ in a name stands for a dot."""

    def scene(folder: Path, records: Path) -> None:
        (folder / "checkpoint").mkdir()
        for name, content in files.items():
            file = folder / "checkpoint" / name.replace("__", ".")
            file.write_bytes(content if isinstance(content, bytes) else content.encode())

    return scene


def _whole(folder: Path, records: Path) -> None:
    """A checkpoint with nothing the matter."""
    shutil.copytree(records.parent / "checkpoint", folder / "checkpoint")


def _damaged(name: str, content: bytes | None) -> Callable[[Path, Path], None]:
    """A checkpoint in which one file has that content; its first half for None."""

    def scene(folder: Path, records: Path) -> None:
        _whole(folder, records)
        file = folder / "checkpoint" / name
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2] if content is None else content)

    return scene


def _reconfigured(name: str, **fields: object) -> Callable[[Path, Path], None]:
    """A checkpoint in which fields of a JSON file are others."""

    def scene(folder: Path, records: Path) -> None:
        _whole(folder, records)
        file = folder / "checkpoint" / name
        file.write_text(json.dumps({**json.loads(file.read_text()), **fields}))

    return scene


def _weights(change: str) -> Callable[[Path, Path], None]:
    """A checkpoint with weights that are not those that were saved: nan, inf, lost or foreign."""

    def scene(folder: Path, records: Path) -> None:
        from safetensors.torch import load_file, save_file

        _whole(folder, records)
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


def _template(text: str) -> Callable[[Path, Path], None]:
    """A checkpoint with that chat template."""

    def scene(folder: Path, records: Path) -> None:
        _whole(folder, records)
        (folder / "checkpoint" / "chat_template.jinja").write_text(text)

    return scene


def _data(content: str | bytes) -> Callable[[Path, Path], None]:
    """A whole checkpoint, and data.jsonl with that content."""

    def scene(folder: Path, records: Path) -> None:
        _whole(folder, records)
        (folder / "data.jsonl").write_bytes(content if isinstance(content, bytes) else content.encode())

    return scene


def _record(name: str, content: bytes) -> Callable[[Path, Path], None]:
    """Finished runs; in each, one file has that content."""

    def scene(folder: Path, records: Path) -> None:
        _runs(folder, records)
        for home in (folder / "runs").glob("*/spec.json"):
            (home.parent / name).write_bytes(content)

    return scene


def _newer(folder: Path, records: Path) -> None:
    """Finished runs with a field that this version does not know."""
    _runs(folder, records)
    for spec in (folder / "runs").glob("*/spec.json"):
        spec.write_text(json.dumps({**json.loads(spec.read_text()), "novelty": 1}))


ROW = '{"prompt": "1 + 1 =", "answer": "2"}\n'

CONFIG = json.dumps({"model_type": "llama", "hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 1})

BROKEN: dict[str, bytes] = {
    "words": b"no json\n",
    "list": b"[1, 2]\n",
    "deep": b"[" * DEEP + b"\n",
    "null": b"null\n",
    "binary": bytes(range(256)),
    "empty": b"",
}
"""Content of a file that should hold JSON."""

SCENES: dict[str, Callable[[Path, Path], None]] = {
    "folder": _folder,
    "runs": _runs,
    "store-of-words": _store(b"not a database" * 99),
    "store-cut": _store(b"SQLite format 3\0" + bytes(40)),
    "store-folder": _store(None),
    "store-of-zeros": _store(bytes(8192)),
    "component-maybe": _component("maybe"),
    "component-2": _component("2"),
    "seed-word": _column("seed", "first"),
    "auc-word": _column("auc", "high"),
    "auc-missing": _column("auc", ""),
    "world-mars": _column("world", "mars"),
    "same-run": _column("spec", "0123456789abcdef"),
    "no-column": _edited("runs.csv", "clip_higher", "clip_lower"),
    "runs-binary": _tables("runs.csv", bytes(range(256))),
    "runs-empty": _tables("runs.csv", b""),
    "runs-ragged": _tables("runs.csv", b"a,b\n1,2,3,4\n1\n"),
    "runs-latin1": _tables("runs.csv", "spec,arm\n1,vapö\n".encode("latin-1")),
    "curves-empty": _tables("curves.parquet", b""),
    "curves-words": _tables("curves.parquet", b"no parquet" * 50),
    "curves-missing": _tables("curves.parquet", None),
    "checkpoint-empty": _checkpoint(config__json=""),
    "checkpoint-list": _checkpoint(config__json="[1]"),
    "checkpoint-deep": _checkpoint(config__json='{"a": ' + "[" * DEEP + "]" * DEEP + "}"),
    "checkpoint-binary": _checkpoint(config__json=bytes(range(256))),
    "checkpoint-no-tokenizer": _checkpoint(config__json=CONFIG),
    "checkpoint-no-weights": _checkpoint(config__json=CONFIG, tokenizer_config__json="{}"),
    "checkpoint-kind": _checkpoint(config__json='{"model_type": "no_such_kind"}'),
    "whole": _whole,
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
    "data-good": _data(ROW * 20),
    "data-empty": _data(""),
    "data-one": _data(ROW),
    "data-null": _data("null\n" * 3),
    "data-number": _data("3\n" * 3),
    "data-list": _data("[1, 2]\n" * 3),
    "data-deep": _data("[" * 100_000 + "\n"),
    "data-object-deep": _data('{"prompt": ' + "[" * 100_000 + "\n"),
    "data-binary": _data(bytes(range(256))),
    "data-latin1": _data('{"prompt": "ö", "answer": "2"}\n'.encode("latin-1") * 3),
    "data-zero": _data(ROW + "\0\0\n" + ROW),
    "data-words": _data("no json\n" * 3),
    "data-blank-lines": _data("\n\n\n"),
    "data-no-answer": _data('{"prompt": "1 + 1 ="}\n' * 3),
    "data-answer-null": _data('{"prompt": "1 + 1 =", "answer": null}\n' * 3),
    "data-answer-blank": _data('{"prompt": "1 + 1 =", "answer": " "}\n' * 3),
    "data-prompt-empty": _data('{"prompt": "", "answer": "2"}\n' * 3),
    "data-prompt-number": _data('{"prompt": {"a": 1}, "answer": "2"}\n' * 3),
    "data-cut": _data(ROW + ROW[:20]),
    "data-array-file": _data("[" + ROW.strip() + "]"),
    "spec-newer": _newer,
    **{
        f"{file.partition('.')[0]}-{name}": _record(file, content)
        for file in ("spec.json", "row.json", "metrics.jsonl")
        for name, content in BROKEN.items()
    },
    "identity-number": _checkpoint(config__json=CONFIG, identity__json="3"),
    "identity-without-task": _checkpoint(config__json=CONFIG, identity__json="{}"),
    "identity-task": _checkpoint(config__json=CONFIG, identity__json='{"task": "nosuch"}'),
    "identity-dials": _checkpoint(config__json=CONFIG, identity__json='{"task": "chain", "dials": 3}'),
    "identity-words": _checkpoint(config__json=CONFIG, identity__json="no json"),
    "identity-deep": _checkpoint(config__json=CONFIG, identity__json="[" * DEEP),
}
