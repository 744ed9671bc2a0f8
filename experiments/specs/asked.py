"""What the commands that train have in common, read before everything is parsed: plugin, world, task, engine, model, shortcuts.

--model X             --base.model X
--size 20             --dials.size 20, a dial of the task
--task chain          also --world lm, the world of that task
--probes NAME EVERY   these probes alone; --probes.NAME EVERY adds one; --variants SLOT NAME and --variants.SLOT NAME add one
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel

from experiments.specs import plugin
from experiments.specs.engines import DEFAULT_BASE, model_asked_for, spelled_out
from experiments.specs.options import known, overlay, parse, peek, refuse_repeated, with_task_dials
from experiments.specs.spec import DEFAULT_TASK
from vapo_core.settings import DEFAULT_SETTINGS, Base, Evaluation, Frozen, Settings, evaluation_of, settings_of
from vapo_core.tasks import TASKS

Config = TypeVar("Config", bound=BaseModel)

PAIRS: dict[str, str] = {
    "probes": "NAME EVERY pairs, such as --probes value_error 10, or --probes.value_error 10",
    "variants": "SLOT NAME pairs, such as --variants whiten none, or --variants.whiten none",
}
"""Options of pairs -> how they are given."""


class Asked(NamedTuple):
    """What other defaults follow from."""

    words: list[str]
    over: Mapping[str, Any]
    """Options of the file given as --config."""
    world: str
    task: str
    dials: type[Frozen]
    """The model of the task's dials."""
    engine: str
    settings: Settings
    """Defaults of the world and base model."""
    evaluation: Evaluation
    pairs: Mapping[str, Mapping[str, str] | None]
    """Pairs that stand alone, by option; None where none do."""
    added: Mapping[str, Mapping[str, str]]
    """Pairs that are added, by option."""

    @property
    def base(self) -> Base:
        """Base model where none is given."""
        return DEFAULT_BASE[self.engine]

    def choice(self, name: str, otherwise: str, allowed: Any) -> str:
        """An option that other defaults depend on.

        Raises:
            ValueError: naming the nearest allowed value, if it is none.
        """
        return known(name, peek(self.words, name, str(self.over.get(name, otherwise))), allowed)


def asked_for(words: Sequence[str], over: Mapping[str, Any], world: str) -> Asked:
    """Read what other defaults follow from.

    Args:
        words: of the command line.
        over: options of a file.
        world: where neither a world nor a task is named.

    Raises:
        ValueError: for an unknown name, or pairs that are none.
    """
    words = spelled_out(plugin.from_words(words, over))
    pairs, added = {}, {}
    for name in PAIRS:
        words, pairs[name], added[name] = _pairs(words, name)
    task = peek(words, "task", str(over.get("task", "")))
    usual = TASKS[task].world if task in TASKS else world
    world = known("world", peek(words, "world", str(over.get("world", usual))), DEFAULT_SETTINGS)
    task = known("task", task or DEFAULT_TASK[world], TASKS)
    engine = known("engine", peek(words, "engine", str(over.get("engine", "transformers"))), DEFAULT_BASE)
    model = model_asked_for(words, over, engine)
    return Asked(
        words, over, world, task, TASKS[task].dials, engine, settings_of(world, model), evaluation_of(world, model),
        pairs, added,
    )  # fmt: skip


def parsed(model: type[Config], asked: Asked, command: str, **usual: Any) -> Any:
    """The configuration, with a field `dials` of the task's own.

    Args:
        model: what to parse.
        command: its name.
        usual: defaults of this command beside those that are asked for.

    Raises:
        ValueError: for a word that cannot be.
    """
    with_dials = with_task_dials(model, asked.dials)
    fields = {"world": asked.world, "task": asked.task, "engine": asked.engine, "base": asked.base,
              "settings": asked.settings, "evaluation": asked.evaluation, "plugin": plugin.path()}  # fmt: skip
    usual = {**{name: value for name, value in fields.items() if name in model.model_fields}, **usual}
    given = {name: value for name, value in asked.over.items() if name != "plugin"}
    for name in (name for name in PAIRS if name in model.model_fields):
        given |= _with_pairs(name, usual.get(name, {}), given, asked)
        usual[name] = {} if name == "probes" and name in given else usual.get(name, {})
    default = overlay(with_dials(**usual), given)
    words = dial_flags(asked.words, model, asked.dials)
    plain = default.model_copy(update={name: {} for name in PAIRS if name in model.model_fields})
    config = parse(with_dials, plain, words, command)
    return config.model_copy(update={name: getattr(default, name) for name in PAIRS if name in model.model_fields})


def dial_flags(words: Sequence[str], model: type[BaseModel], dials: type[BaseModel]) -> list[str]:
    """The words with `--NAME` and `--no-NAME` of a dial spelled `--dials.NAME`, unless the command has such an option itself."""
    return [_dial_flag(word, model, dials) for word in words]


def _dial_flag(word: str, model: type[BaseModel], dials: type[BaseModel]) -> str:
    flag, sign, value = word.partition("=")
    name = flag.removeprefix("--").replace("-", "_")
    positive = name if name in dials.model_fields else name.removeprefix("no_")
    if not flag.startswith("--") or positive not in dials.model_fields or {name, positive} & set(model.model_fields):
        return word
    return f"--dials.{flag.removeprefix('--')}{sign}{value}"


def _with_pairs(name: str, usual: Mapping[str, Any], given: Mapping[str, Any], asked: Asked) -> dict[str, Any]:
    """The option's value, if flags name one: pairs that stand alone, or those of file or preset, and what is added."""
    alone, added = asked.pairs[name], asked.added[name]
    below = given.get(name, usual)
    if alone is None and (not added or not isinstance(below, Mapping)):
        return {}
    return {name: {**(below if alone is None else alone), **added}}


def _pairs(words: Sequence[str], name: str) -> tuple[list[str], dict[str, str] | None, dict[str, str]]:
    """The words less `--name KEY VALUE ...` and `--name.KEY VALUE`, and the pairs of either spelling."""
    refuse_repeated(words, [name])
    rest, alone, added = list[str](), None, dict[str, str]()
    queue = list(words)
    while queue:
        word = queue.pop(0)
        flag, sign, value = word.partition("=")
        if flag == f"--{name}":
            taken = [value] if sign else []
            while queue and not queue[0].startswith("--"):
                taken.append(queue.pop(0))
            alone = dict(_two_by_two(name, taken))
        elif flag.startswith(f"--{name}."):
            key = flag.removeprefix(f"--{name}.").replace("-", "_")
            if not sign and (not queue or queue[0].startswith("--")):
                raise ValueError(f"--{name}.{key} needs a value")
            if key in added:
                raise ValueError(f"--{name}.{key} is given 2 times, allowed once")
            added[key] = value if sign else queue.pop(0)
        else:
            rest.append(word)
    return rest, alone, added


def _two_by_two(name: str, taken: Sequence[str]) -> list[tuple[str, str]]:
    keys = taken[::2]
    if len(taken) % 2 or len(set(keys)) < len(keys):
        raise ValueError(f"{name}: expected {PAIRS[name]}; each once")
    return list(zip(keys, taken[1::2], strict=True))
