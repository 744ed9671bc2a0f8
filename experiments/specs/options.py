"""From command-line words to a typed, frozen configuration: values from a YAML file, overridden by dotted flags (tyro)."""

import contextlib
import difflib
import io
import os
import re
import reprlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import dropwhile, takewhile
from pathlib import Path
from typing import Any, TypeVar

import tyro
from pydantic import BaseModel, ValidationError, create_model
from tyro.conf import UseAppendAction

from vapo_core.settings import TRUNCATIONS, Frozen, no_truncation
from vapo_core.suggest import nearest

Config = TypeVar("Config", bound=BaseModel)


def parse(model: type[Config], default: Config | None, words: Sequence[str], command: str) -> Config:
    """Parse flags on top of a default instance.

    Raises:
        ValueError: for an unknown flag (the message suggests the nearest), a repeated flag, or an invalid value.
        SystemExit: 0 after --help.
    """
    refuse_repeated(words, single_flags(model))
    _refuse_empty(words, path_names(model))
    output = io.StringIO()
    try:
        with contextlib.redirect_stderr(output), _unbroken(words):
            given: dict[str, Any] = {} if default is None else {"default": default}
            parsed = tyro.cli(model, args=list(words), prog=f"vapo {command}", return_unknown_args=True, **given)
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        raise ValueError(_one_line(output.getvalue(), model.__name__)) from None
    config, unknown = parsed
    if unknown:
        raise ValueError(f"{_unknown(unknown[0], model)}; `vapo {command} --help` lists all")
    return config


@contextlib.contextmanager
def _unbroken(words: Sequence[str]) -> Iterator[None]:
    """Keep tyro from wrapping error messages; help text still wraps at the terminal's width."""
    kept = os.environ.get("COLUMNS")
    if {"-h", "--help"}.isdisjoint(words):
        os.environ["COLUMNS"] = str(WIDE)
    try:
        yield
    finally:
        os.environ.pop("COLUMNS", None)
        os.environ.update({} if kept is None else {"COLUMNS": kept})


WIDE = 1_000_000
"""Columns, wider than any message."""


def _unknown(word: str, model: type[BaseModel]) -> str:
    """The error message for an unrecognised word, with the nearest option."""
    if not word.startswith("-"):
        return f"unexpected {word!r}"
    flag = word.split("=")[0].lstrip("-").replace("-", "_")
    if flag.split(".")[-1] in TRUNCATIONS:
        return no_truncation(flag)
    names = [name for name in flag_names(model) if name != flag]  # the same one stands for a word without a flag
    close = difflib.get_close_matches(flag, names, n=1)
    return f"unknown option {word.split('=')[0]}" + (f"; did you mean '--{close[0]}'?" if close else "")


def flag_names(model: type[BaseModel], prefix: str = "") -> list[str]:
    """Dotted names of every field, nested models included."""
    names = []
    for name, info in model.model_fields.items():
        inner = info.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            names += flag_names(inner, f"{prefix}{name}.")
        else:
            names.append(prefix + name)
    return names


def path_names(model: type[BaseModel]) -> list[str]:
    """Names of the options whose value is a path."""
    return [name for name, info in model.model_fields.items() if info.annotation in (Path, Path | None)]


def _refuse_empty(words: Sequence[str], paths: Collection[str]) -> None:
    """Refuse empty paths: an unset shell variable would otherwise silently mean the current folder."""
    for i, word in enumerate(words):
        name, sign, value = word.partition("=")
        if _flag(word, paths) and (value if sign else words[i + 1 : i + 2]) in ("", [""]):
            raise ValueError(f"{name.lstrip('-')} = '': allowed is a path, such as . for the current folder")


def single_flags(model: type[BaseModel]) -> list[str]:
    """Names of the flags that may appear only once: all but those whose values accumulate."""
    many = [name for name, info in model.model_fields.items() if UseAppendAction in info.metadata]
    return [name for name in flag_names(model) if name not in many]


def _one_line(message: str, model: str) -> str:
    """The first paragraph of tyro's framed message, unframed; fields of the model itself go by their bare names."""
    lines = [line.strip("│|╭╮╰╯+ ") for line in message.splitlines()[1:]]
    body = list(dropwhile(_is_rule, lines))
    text = " ".join(takewhile(lambda line: line and not _is_rule(line), body)).removeprefix("Error parsing ")
    found = _PYDANTIC.search(text)
    if found is None:
        return text
    place, field, message, value = found.groups()
    if not field:
        return message if place == model else f"{place}: {message}"
    where = field if place == model else f"{place}.{field}"
    return f"{where} = {value}: {message[0].lower()}{message[1:]}"


def _is_rule(line: str) -> bool:
    return bool(line) and set(line) <= set("─-")


_PYDANTIC = re.compile(
    r"^(\S+): \d+ validation errors? for \w+ (?:([a-z_0-9.]+) )?(?:Value error, )?(.*?)"
    r" \[type=\w+, input_value=(.*?), input_type"
)
"""A pydantic error inside tyro's: where, field (absent for a check of the whole model), message, value."""


def known(field: str, value: str, allowed: Collection[str]) -> str:
    """Return the value if it is allowed.

    Raises:
        ValueError: if not; the message suggests the nearest allowed value.
    """
    if value not in allowed:
        raise ValueError(f"{field}: no {field} {value!r}{nearest(value, filter(None, allowed))}")
    return value


def config_file(words: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
    """Split off --config: the remaining words, and the options read from its file.

    Raises:
        OSError: if the file is missing.
        ValueError: if --config is repeated, has no value, or its file cannot be read.
    """
    if not any(re.match(r"--config(=|$)", word) for word in words):
        return list(words), {}
    refuse_repeated(words, ["config"])
    file = peek(words, "config", "")
    if not file.strip():
        raise ValueError(f"config = {file!r}: allowed is the name of a YAML file")
    from experiments.specs.config_file import read_yaml  # here: most commands read no file

    return without(words, "config"), read_yaml(Path(file))


def refuse_repeated(words: Sequence[str], flags: Collection[str]) -> None:
    """Check that each of these flags is given at most once, in any spelling: --log-every, --log_every, --no-resume.

    Raises:
        ValueError: naming the flag.
    """
    given = Counter(name for word in words if (name := _flag(word, flags)) is not None)
    twice = [name for name, number in given.items() if number > 1]
    if twice:
        raise ValueError(f"--{twice[0]} is given {given[twice[0]]} times, allowed once")


def _flag(word: str, flags: Collection[str]) -> str | None:
    """The flag that a word names, None if it names none."""
    if not word.startswith("--"):
        return None
    name = word[2:].partition("=")[0].replace("-", "_")
    denied = re.sub(r"(^|\.)no_(?=[^.]*$)", r"\1", name)
    return name if name in flags else denied if denied in flags else None


def peek(words: Sequence[str], flag: str, otherwise: str) -> str:
    """Read the value of one flag before parsing, since other defaults depend on it.

    Raises:
        ValueError: if no value follows the flag.
    """
    for i, word in enumerate(words):
        if word == f"--{flag}":
            if i + 1 == len(words) or words[i + 1].startswith("--"):
                raise ValueError(f"--{flag} needs a value")
            return words[i + 1]
        if word.startswith(f"--{flag}="):
            return word.split("=", 1)[1]
    return otherwise


def without(words: Sequence[str], flag: str) -> list[str]:
    """The words without one flag and its value."""
    kept, skip = [], False
    for word in words:
        if skip:
            skip = False
        elif word == f"--{flag}":
            skip = True
        elif not word.startswith(f"--{flag}="):
            kept.append(word)
    return kept


def overlay(default: Config, over: Mapping[str, Any]) -> Config:
    """Update the default with a nested mapping, and validate the result.

    Raises:
        ValidationError: for unknown keys or invalid values.
        ValueError: for an empty path.
    """
    _refuse_empty([f"--{name}={value}" for name, value in over.items()], path_names(type(default)))
    return type(default).model_validate(_merge(default.model_dump(), over))


def _merge(below: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        inner = merged.get(key)
        merged[key] = _merge(inner, value) if isinstance(inner, dict) and isinstance(value, Mapping) else value
    return merged


def validation_line(error: ValidationError, model: type[BaseModel] | None = None) -> str:
    """A pydantic error as one line; for an unknown key it suggests the nearest valid one."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        known = _siblings(first["loc"], model or _MODELS.get(error.title) or _named(error.title))
        return f"unknown key {where!r}{nearest(str(first['loc'][-1]), known)}"
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "value_error":
        return f"{where}: {message}" if where else message
    message = re.sub(r" or instance of \w+$", "", message)
    return f"{where} = {shown(first['input'])}: {message[:1].lower()}{message[1:]}"


def shown(value: Any) -> str:
    """A short repr, truncated for long or deeply nested values."""
    short = reprlib.Repr()
    short.maxlevel, short.maxstring, short.maxother = 2, 80, 80
    return short.repr(value)


_MODELS: dict[str, type[BaseModel]] = {}


def _named(title: str) -> type[BaseModel] | None:
    """The configuration class of that name."""
    kinds = list(Frozen.__subclasses__())
    for kind in kinds:
        kinds += kind.__subclasses__()
    return next((kind for kind in kinds if kind.__name__ == title), None)


def with_task_dials(model: type[Config], dials: type[BaseModel]) -> Any:
    """The model with an extra field `dials` of the task's own type."""
    extended = create_model(model.__name__, __base__=model, __doc__=model.__doc__, dials=(dials, dials()))
    _MODELS[model.__name__] = extended
    return extended


def _siblings(place: Sequence[Any], model: type[BaseModel] | None) -> list[str]:
    """Valid field names at the level of an unknown key."""
    for part in place[:-1]:
        info = model.model_fields.get(str(part)) if model else None
        inner = info.annotation if info else None
        model = inner if isinstance(inner, type) and issubclass(inner, BaseModel) else None
    return list(model.model_fields) if model else []
