"""From words on a command line to a typed, frozen configuration: a YAML file under, dotted flags (tyro) over it."""

import contextlib
import difflib
import io
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import tyro
import yaml
from pydantic import BaseModel, ValidationError, create_model

from experiments.expansion import check_expansion, read_bounded
from vapo_core.settings import TRUNCATIONS, no_truncation
from vapo_core.suggest import nearest

Config = TypeVar("Config", bound=BaseModel)


def parse(model: type[Config], default: Config | None, words: Sequence[str], command: str) -> Config:
    """Typed flags over a default instance.

    Raises:
        ValueError: for an unknown flag (the nearest one is named) or a value that cannot be.
        SystemExit: 0 after --help.
    """
    spoken = io.StringIO()
    try:
        with contextlib.redirect_stderr(spoken):
            given: dict[str, Any] = {} if default is None else {"default": default}
            parsed = tyro.cli(model, args=list(words), prog=f"vapo {command}", return_unknown_args=True, **given)
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        raise ValueError(_one_line(spoken.getvalue())) from None
    config, unknown = parsed
    if unknown:
        raise ValueError(f"{_unknown(unknown[0], model)}; `vapo {command} --help` lists all")
    return config


def _unknown(word: str, model: type[BaseModel]) -> str:
    """What to say of a word no option takes; the nearest option is named."""
    if not word.startswith("-"):
        return f"unexpected {word!r}"
    flag = word.split("=")[0].lstrip("-").replace("-", "_")
    if flag.split(".")[-1] in TRUNCATIONS:
        return no_truncation(flag)
    close = difflib.get_close_matches(flag, flag_names(model), n=1)
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


def _one_line(message: str) -> str:
    """The first paragraph of tyro's framed message, unframed."""
    lines = [re.sub(r"[│╭╮╰╯]", " ", line).strip() for line in message.splitlines()]
    body: list[str] = []
    for line in lines[1:]:
        if not line or set(line) <= set("─ "):
            break
        body.append(line)
    text = " ".join(body)
    found = _PYDANTIC.search(text)
    if found is None:
        return text
    place, field, message, value = found.groups()
    return f"{place}.{field} = {value}: {message[0].lower()}{message[1:]}" if field else f"{place}: {message}"


_PYDANTIC = re.compile(
    r"Error parsing (\S+): \d+ validation errors? for \w+ (?:([a-z_0-9.]+) )?(?:Value error, )?(.*?)"
    r" \[type=\w+, input_value=(.*?), input_type"
)
"""A pydantic error inside tyro's: where, field (none for a whole-model check), message, value."""


def known(field: str, value: str, allowed: Collection[str]) -> str:
    """The value, if it is allowed.

    Raises:
        ValueError: naming the nearest allowed value.
    """
    if value not in allowed:
        raise ValueError(f"{field}: no {field} {value!r}{nearest(value, allowed)}")
    return value


def peek(words: Sequence[str], flag: str, otherwise: str) -> str:
    """The value of a flag that other defaults depend on, read before everything is parsed.

    Raises:
        ValueError: if the flag stands last, without a value.
    """
    for i, word in enumerate(words):
        if word == f"--{flag}":
            if i + 1 == len(words):
                raise ValueError(f"--{flag} needs a value")
            return words[i + 1]
        if word.startswith(f"--{flag}="):
            return word.split("=", 1)[1]
    return otherwise


def without(words: Sequence[str], flag: str) -> list[str]:
    """The words less one flag and its value."""
    kept, skip = [], False
    for word in words:
        if skip:
            skip = False
        elif word == f"--{flag}":
            skip = True
        elif not word.startswith(f"--{flag}="):
            kept.append(word)
    return kept


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML mapping.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not YAML or not a mapping.
    """
    try:
        content = yaml.safe_load(read_bounded(path))
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected a mapping of options, got {type(content).__name__}")
    check_expansion(path, content)
    return content


def overlay(default: Config, over: Mapping[str, Any]) -> Config:
    """The default with a nested mapping laid over it, checked.

    Raises:
        ValidationError: for unknown keys or impossible values.
    """
    return type(default).model_validate(_merge(default.model_dump(), over))


def _merge(below: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        inner = merged.get(key)
        merged[key] = _merge(inner, value) if isinstance(inner, dict) and isinstance(value, Mapping) else value
    return merged


def validation_line(error: ValidationError, model: type[BaseModel] | None = None) -> str:
    """A pydantic error as one line; for an unknown key the nearest valid one."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        known = _siblings(first["loc"], model or _MODELS.get(error.title))
        return f"unknown key {where!r}{nearest(str(first['loc'][-1]), known)}"
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "value_error":
        return f"{where}: {message}" if where else message
    return f"{where} = {first['input']!r}: {message.lower()}"


_MODELS: dict[str, type[BaseModel]] = {}


def with_task_dials(model: type[Config], dials: type[BaseModel]) -> Any:
    """The model with one more field, `dials`, of the chosen task's own type."""
    extended = create_model(model.__name__, __base__=model, __doc__=model.__doc__, dials=(dials, dials()))
    _MODELS[model.__name__] = extended
    return extended


def _siblings(place: Sequence[Any], model: type[BaseModel] | None) -> list[str]:
    """Field names beside an unknown key."""
    for part in place[:-1]:
        info = model.model_fields.get(str(part)) if model else None
        inner = info.annotation if info else None
        model = inner if isinstance(inner, type) and issubclass(inner, BaseModel) else None
    return list(model.model_fields) if model else []
