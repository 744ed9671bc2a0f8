"""--config FILE.yaml: options from a YAML file. Values mean the same as on the command line: `off` is a string, 010 is ten."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from vapo_core.reading import Unreadable, reading

LARGEST = 2 * 1024 * 1024
"""Maximum size of the file in bytes; a plan of thousands of runs takes half a megabyte."""

MOST_VALUES = 100_000
"""Maximum number of values in the file; an alias counts each time it is used."""


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML mapping, with the scalars of YAML 1.2 (true and false alone are booleans; no dates, no base 60 or 8).

    Raises:
        OSError: if there is no such file, or it may not be read.
        ValueError: naming the file, if it is too large, not YAML, not a mapping, or has a key twice.
    """
    with path.open("rb") as handle:
        content = handle.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError(f"{path}: larger than {LARGEST} bytes, too large for an options file")
    with reading(path, "not YAML in UTF-8"):
        loader = _Loader(content.decode("utf-8-sig"))
        node = loader.get_single_node()
    _check(path, node)
    with reading(path, "not YAML in UTF-8"):
        options = None if node is None else loader.construct_document(node)
    if not isinstance(options, dict):
        raise ValueError(f"{path}: expected a mapping of options, got {_kind(options)}")
    wrong = [key for key in options if not isinstance(key, str)]
    if wrong:
        raise ValueError(f"{path}: option name {wrong[0]!r} is not text")
    return options


def _kind(options: Any) -> str:
    return "nothing" if options is None else type(options).__name__


def _check(path: Path, top: yaml.Node | None) -> None:
    """Refuse duplicate keys, and aliases that expand to too many values or contain themselves."""
    sizes: dict[int, int] = {}

    def size(node: yaml.Node) -> int:
        if id(node) not in sizes:
            sizes[id(node)] = MOST_VALUES + 1  # within itself
            sizes[id(node)] = 1 + sum(map(size, _parts(path, node)))
        return sizes[id(node)]

    with reading(path, "not YAML in UTF-8"):
        if top is not None and size(top) > MOST_VALUES:
            raise Unreadable(f"{path}: its aliases expand to more than {MOST_VALUES} values")


def _parts(path: Path, node: yaml.Node) -> list[yaml.Node]:
    """The children of a node."""
    if isinstance(node, yaml.SequenceNode):
        return list(node.value)
    if not isinstance(node, yaml.MappingNode):
        return []
    lines: dict[str, int] = {}
    for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
        line = key.start_mark.line + 1
        if key.value in lines:
            raise Unreadable(f"{path}: {key.value!r} is given twice, in lines {lines[key.value]} and {line}")
        lines[key.value] = line
    return [part for pair in node.value for part in pair]


class _Loader(yaml.SafeLoader):
    """A safe loader with fewer scalar types: anything but a number, true, false or null is a string."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - add_implicit_resolver below fills it


def _resolve(tag: str, pattern: str, first: Sequence[str]) -> None:
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(rf"(?:{pattern})\Z"), first)


_resolve("bool", "true|True|TRUE|false|False|FALSE", "tTfF")
_resolve("null", "~|null|Null|NULL|", ["~", "n", "N", ""])
_resolve("int", "[-+]?[0-9]+", "-+0123456789")
_resolve("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+.0123456789")
_resolve("float", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", "-+.")
_resolve("merge", "<<", "<")
_Loader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(node.value))
