"""Identity of a task in cache keys: its dials for built-in tasks, its code for a user's own."""

import functools
import hashlib
import json
import re
import sys
from collections.abc import Mapping, Sequence, Set
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from vapo_core.types import Problem


def task_identity(name: str, task: Any) -> dict[str, Any]:
    """JSON content that determines what a task asks for and how it grades; its problems are known by `problems_hash`.

    Dials are those that differ from the defaults, paths left out: what counts is what stands in the files.
    """
    if not is_ours(task):
        return {"task": name, "max_tokens": task.max_tokens, "code": code_hash(task)}
    dials = task.dials.model_dump(mode="json", exclude_defaults=True, exclude=set(places_of(task.dials)))
    return {"task": name, "dials": dials}


def is_ours(task: Any) -> bool:
    """Whether a task is one of `TASKS`, which its dials say everything about, its data aside."""
    return hasattr(task, "dials") and type(task).__module__.startswith("vapo_core.")


def places_of(dials: Any) -> tuple[str, ...]:
    """Dials that name a file or a folder."""
    return tuple(getattr(dials, "places", ()))


def problems_hash(problems: Sequence[Problem]) -> str:
    """16 hex digits of problems, in their order, with what their verifier compares answers with."""
    parts = _Parts()
    return _hash([[p.prompt, parts.of(p.answer), p.kind, p.difficulty] for p in problems])


def code_hash(task: Any) -> str:
    """16 hex digits of a user's own task: its class, its values, and the functions these are made of.

    A user's functions are followed into what they call; those of installed packages are known by name.
    """
    parts = _Parts()
    return _hash([parts.of(type(task)), parts.of(vars(task))])


def _hash(content: Any) -> str:
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


class _Parts:
    """Takes Python objects apart into JSON content that is the same in every process."""

    def __init__(self) -> None:
        self._begun: dict[int, Any] = {}  # objects that contain the present one
        self._done: dict[int, tuple[Any, str]] = {}  # classes and functions, each taken apart once

    def of(self, value: Any) -> Any:
        """What an object is made of."""
        if isinstance(value, (bool, int, str, type(None))):
            return value
        if id(value) in self._begun:
            return ["within itself", list(self._begun).index(id(value))]
        if id(value) in self._done:
            return self._done[id(value)][1]
        self._begun[id(value)] = value
        found = self._taken_apart(value)
        del self._begun[id(value)]
        if isinstance(value, (FunctionType, type)):
            self._done[id(value)] = value, found
        return found

    def _taken_apart(self, value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return [self.of(item) for item in value]
        if isinstance(value, (Mapping, Set)):
            return self._unordered(value)
        if isinstance(value, (FunctionType, type)):
            return self._defined(value)
        if hasattr(value, "dtype") and hasattr(value, "tolist"):  # an array would print itself cut short
            return [str(value.dtype), self.of(value.tolist())]
        if isinstance(value, CodeType):
            return [value.co_code.hex(), list(value.co_names), self.of(value.co_consts)]
        members = next((names for kind, names in _MEMBERS.items() if isinstance(value, kind)), None)
        return self._thing(value) if members is None else [self.of(getattr(value, name)) for name in members]

    def _unordered(self, value: Any) -> list[Any]:
        """Items of a set, or keys with values, by their text."""
        items = value.items() if isinstance(value, Mapping) else value
        return ["unordered", *sorted(json.dumps(self.of(item), sort_keys=True) for item in items)]

    def _defined(self, value: Any) -> str:
        """A function by its code and the globals it names, a class by what stands in it; an installed one by its name."""
        name = f"{value.__module__}.{value.__qualname__}"
        if _is_installed(value.__module__):
            return name
        if isinstance(value, type):
            inner = {k: x for k, x in vars(value).items() if k not in _OF_EVERY_CLASS}
            return _hash([value.__qualname__, self.of(inner), self.of(value.__bases__)])
        used = {k: value.__globals__[k] for k in _names(value.__code__) if k in value.__globals__}
        held = [cell.cell_contents for cell in value.__closure__ or () if cell != CellType()]
        own = (value.__code__, value.__defaults__, value.__kwdefaults__, held, vars(value), used)
        return _hash([self.of(part) for part in own])

    def _thing(self, value: Any) -> list[Any]:
        """Any other object: its class with its values, or with what it says of itself where the class is an installed one."""
        kind = type(value)
        if _is_installed(kind.__module__) and kind.__repr__ is not object.__repr__:
            return [self.of(kind), re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))]
        slots = [name for base in kind.__mro__ for name in getattr(base, "__slots__", ()) if hasattr(value, name)]
        held = {**getattr(value, "__dict__", {}), **{name: getattr(value, name) for name in slots}}
        return [self.of(kind), self.of(held)]


_MEMBERS: dict[type, tuple[str, ...]] = {
    MethodType: ("__func__", "__self__"),
    ModuleType: ("__name__",),
    functools.partial: ("func", "args", "keywords"),
    functools.cached_property: ("func",),
    property: ("fget",),
    classmethod: ("__func__",),
    staticmethod: ("__func__",),
    re.Pattern: ("pattern", "flags"),
}
"""Of what an object of these types is made."""

_OF_EVERY_CLASS = ("__dict__", "__weakref__", "__doc__", "__module__", "__annotations__", "__firstlineno__")


def _names(code: CodeType) -> list[str]:
    """Globals and attributes that a function names, functions within it included."""
    inner = [name for part in code.co_consts if isinstance(part, CodeType) for name in _names(part)]
    return sorted({*code.co_names, *inner})


@functools.cache
def _is_installed(module: str | None) -> bool:
    """Whether code comes with Python, with this project or with an installed package, so that its name says enough."""
    root = (module or "").partition(".")[0]  # a function that `exec` made may have no module
    origin = getattr(sys.modules.get(root), "__file__", None) or ""
    return root in sys.stdlib_module_names or root == "vapo_core" or "site-packages" in origin
