"""`--plugin FILE`: a researcher's own variants, tasks and probes, from one Python file that the command line names.

    VARIANTS = {"length_adaptive_gae": {"quarter": quarter}}     slot -> name -> function of the settings
    TASKS = {"reverse": FunctionTask(...)}                       name -> task on text
    PROBES = {"entropy_gap": entropy_gap}                        name -> function of a View: number, numbers by name, Measurement

The file is code. It is run only because somebody names it on the command line, never because data or a checkpoint mentions it;
worker processes and Ray nodes are given its text by the command. Its hash is part of every run's spec where one is given.
"""

import hashlib
import importlib.abc
import importlib.util
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from experiments.specs.options import peek, refuse_repeated, without
from vapo_core.frozen import Frozen
from vapo_core.reading import reading
from vapo_core.suggest import nearest

MODULE = "vapo_plugin"
"""Name under which the file is imported."""

TABLES = ("VARIANTS", "TASKS", "PROBES")
"""What a plugin may define."""

LARGEST = 2**20
"""Bytes of a plugin that are read."""


class Plugin(NamedTuple):
    """A plugin's file, as text, so that it can be handed to other processes."""

    path: str
    text: str
    only: str = ""
    """The one name that is taken from the file; all if empty."""

    @property
    def hash(self) -> str:
        """First 16 hex digits of the SHA-256 of the file's text."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]


class NoDials(Frozen):
    """Dials of a task from a plugin: it has none."""


_installed: list[tuple[Plugin, ExitStack]] = []


def installed() -> Plugin | None:
    """The plugin of this process."""
    return _installed[0][0] if _installed else None


def identity() -> str:
    """What a spec says of the plugin: its hash, "" without one."""
    plugin = installed()
    return plugin.hash if plugin else ""


def path() -> str:
    """The plugin's file as the command named it, "" without one."""
    plugin = installed()
    return f"{plugin.path}:{plugin.only}" if plugin and plugin.only else plugin.path if plugin else ""


def from_words(words: Sequence[str], over: Mapping[str, Any]) -> list[str]:
    """The words less `--plugin`, and the plugin it names installed; a command without one has none.

    Args: over, options of a file given as --config.

    Raises:
        ValueError: if the file cannot be read or used, or only an options file names it.
    """
    refuse_repeated(words, ["plugin"])
    rest, word = without(words, "plugin"), peek(words, "plugin", "")
    named = len(rest) < len(words)
    if over.get("plugin") and not named:
        raise ValueError("plugin: a plugin is code, so --config does not load it; add --plugin FILE to the command")
    install(read(word) if named else None)
    return rest


def read(word: str) -> Plugin:
    """The plugin that FILE or FILE:NAME stands for.

    Raises:
        ValueError: if it is no Python file, or cannot be read.
        FileNotFoundError: if there is none.
    """
    file, colon, name = word.rpartition(":")
    path, only = (Path(file), name) if colon and name.isidentifier() and not Path(word).exists() else (Path(word), "")
    if path.suffix != ".py":
        raise ValueError(f"plugin = {word!r}: allowed is a Python file, as FILE.py or FILE.py:NAME")
    with path.open("rb") as handle:
        content = handle.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError(f"plugin {path}: larger than {LARGEST} bytes")
    with reading(f"plugin {path}", "not Python in UTF-8"):
        return Plugin(str(path), content.decode("utf-8-sig"), only)


def install(plugin: Plugin | None) -> None:
    """Run the file and add what it defines to the variants, tasks and probes of this process, in place of an earlier one.

    Raises:
        ValueError: naming the file, if it fails or defines something that cannot be used.
    """
    if plugin == installed():
        return
    while _installed:
        _installed.pop()[1].close()
    if plugin is None:
        return
    with ExitStack() as added:
        module = _imported(plugin, added)
        for table, entries in _entries(plugin, module).items():
            for name, value in entries.items():
                _ADD[table](f"plugin {plugin.path}: {table}", added, name, value)
        _installed.append((plugin, added.pop_all()))


def require(hash: str, run: str = "") -> None:
    """See that the plugin with which a run was made is there, with the same content.

    Raises:
        ValueError: saying what to add to the command.
    """
    if hash == identity():
        return
    if not hash:
        raise ValueError(f"plugin: run {run} was made without one; leave --plugin out")
    plugin = installed()
    there = f"plugin {plugin.path}: other content (hash {plugin.hash}) than that of" if plugin else "plugin: needed for"
    raise ValueError(
        f"{there} run {run} (hash {hash}); give that file with --plugin (a copy is plugin.py in the run's folder)"
    )


class _Text(importlib.abc.InspectLoader):
    """Imports a plugin's text."""

    def __init__(self, plugin: Plugin) -> None:
        self._plugin = plugin

    def get_source(self, fullname: str) -> str:
        """The file as it was read."""
        return self._plugin.text

    def get_code(self, fullname: str) -> Any:
        """Compiled under the file's name, for tracebacks."""
        return self.source_to_code(self._plugin.text, self._plugin.path)


def _imported(plugin: Plugin, added: ExitStack) -> ModuleType:
    """The file as a module; it may import what is installed, but no file beside it, of which the hash would not know."""
    spec = importlib.util.spec_from_loader(MODULE, _Text(plugin))
    assert spec is not None
    assert spec.loader is not None
    module, before = importlib.util.module_from_spec(spec), set(sys.modules)
    sys.modules[MODULE] = module
    added.callback(sys.modules.pop, MODULE, None)
    with reading(f"plugin {plugin.path}", "failed"):
        spec.loader.exec_module(module)
    folder = Path(plugin.path).resolve().parent
    for name in sorted(set(sys.modules) - before):
        file = Path(getattr(sys.modules[name], "__file__", None) or "/")
        ours = name.partition(".")[0] in (MODULE, "vapo_core", "experiments", "analysis")
        if not ours and "site-packages" not in file.parts and file.is_relative_to(folder):
            raise ValueError(
                f"plugin {plugin.path} imports {file.name} beside it; a plugin is one file, known by its content"
            )
    return module


def _entries(plugin: Plugin, module: ModuleType) -> dict[str, dict[Any, Any]]:
    """Table -> entries; of a variant (slot, name) -> function."""
    where = f"plugin {plugin.path}"
    found = {table: getattr(module, table, {}) for table in TABLES}
    for table, entries in found.items():
        nested = entries.values() if table == "VARIANTS" and isinstance(entries, Mapping) else ()
        if not isinstance(entries, Mapping) or not all(isinstance(inner, Mapping) for inner in nested):
            raise ValueError(f"{where}: {table} is not a dictionary{' of dictionaries' if table == 'VARIANTS' else ''}")
    flat = {
        "VARIANTS": {(slot, name): value for slot, inner in found["VARIANTS"].items() for name, value in inner.items()},
        "TASKS": dict(found["TASKS"]),
        "PROBES": dict(found["PROBES"]),
    }
    names = [key[1] if table == "VARIANTS" else key for table, entries in flat.items() for key in entries]
    if not names:
        raise ValueError(f"{where}: defines nothing; expected {', '.join(TABLES)}: a dictionary each")
    wrong = [name for name in names if not (isinstance(name, str) and re.fullmatch(r"[A-Za-z]\w*", name))]
    if wrong:
        raise ValueError(f"{where}: {wrong[0]!r} is no name; allowed are letters, digits and _")
    if plugin.only and plugin.only not in names:
        raise ValueError(f"{where}: defines no {plugin.only!r}{nearest(plugin.only, names)}")
    return {
        table: {
            key: value for key, value in entries.items() if plugin.only in ("", key if table != "VARIANTS" else key[1])
        }
        for table, entries in flat.items()
    }


def _add_variant(where: str, added: ExitStack, key: tuple[str, str], value: Any) -> None:
    from vapo_core.recipe import VARIANTS

    slot, name = key
    if slot not in VARIANTS:
        raise ValueError(f"{where}: no slot {slot!r}{nearest(str(slot), VARIANTS)}")
    if name in ("on", "off", "default"):
        raise ValueError(f"{where}: {slot}: {name!r} already means something; rename it")
    _put(f"{where}: {slot}", added, VARIANTS[slot], name, _called(where, name, value))


def _add_task(where: str, added: ExitStack, name: str, value: Any) -> None:
    from vapo_core.tasks import TASKS, TaskEntry

    lacking = [
        part for part in ("sample", "verify", "demonstration", "alphabet", "max_tokens") if not hasattr(value, part)
    ]
    if lacking:
        raise ValueError(f"{where}: {name} has no {lacking[0]!r}; expected a task on text, such as a FunctionTask")
    _put(where, added, TASKS, name, TaskEntry(NoDials, lambda dials: value, "lm"))


def _add_probe(where: str, added: ExitStack, name: str, value: Any) -> None:
    from vapo_core.probes import PROBES
    from vapo_core.probes.base import named_by
    from vapo_core.settings import PROBES as NAMES

    _put(where, added, PROBES, name, named_by(name, _called(where, name, value)))
    NAMES.append(name)
    added.callback(NAMES.remove, name)


_ADD: dict[str, Callable[[str, ExitStack, Any, Any], None]] = {
    "VARIANTS": _add_variant,
    "TASKS": _add_task,
    "PROBES": _add_probe,
}


def _put(where: str, added: ExitStack, table: Any, name: str, value: Any) -> None:
    if name in table:
        raise ValueError(f"{where}: {name!r} is already one of ours; rename it")
    table[name] = value
    added.callback(table.pop, name, None)


def _called(where: str, name: str, value: Any) -> Any:
    if not callable(value):
        raise ValueError(f"{where}: {name} is not a function")
    return value
