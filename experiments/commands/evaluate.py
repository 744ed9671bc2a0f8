"""`vapo evaluate`: a checkpoint on a split of a task, as a table and as JSON."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Self

from pydantic import Field, model_validator
from tyro.conf import Positional, arg

from experiments.runs.origin import check_found, located_dials
from experiments.specs import plugin
from experiments.specs.asked import dial_flags
from experiments.specs.engines import EngineName, require
from experiments.specs.exact import read_spec
from experiments.specs.options import known, parse, peek, with_task_dials
from experiments.specs.spec import DEFAULT_TASK, RunSpec
from vapo_core import bounds
from vapo_core.reading import reading
from vapo_core.settings import Frozen
from vapo_core.tasks import TASKS, make_task

if TYPE_CHECKING:
    from vapo_core.training.evaluation_report import Bin, EvaluationReport


class Trained(NamedTuple):
    """What a checkpoint learned from, and how it was asked."""

    task: str = DEFAULT_TASK["lm"]
    dials: Mapping[str, Any] = {}
    """Those that differ from the defaults."""
    asked: Mapping[str, Any] = {}
    """Options of `EvaluateConfig` that are the run's own."""
    run_dir: Path | None = None
    """The run's folder."""
    plugin: str = ""
    """Hash of the plugin it was made with."""


def _own(otherwise: str) -> Any:
    """A default that help describes in words: it follows the run of the checkpoint."""
    return arg(help_behavior_hint=f"(default: the run's own, else {otherwise})")


class EvaluateConfig(Frozen):
    """Sample answers from a checkpoint and grade them.

    A checkpoint in a run's folder is evaluated as it was trained: task, dials, chat, temperature and dtype are the run's
    own unless a flag says otherwise.
    """

    checkpoint: Positional[Path] = Field(
        description="folder that `from_pretrained` loads, such as RUN/checkpoint/policy"
    )
    task: Annotated[str, _own(DEFAULT_TASK["lm"])] = Field(DEFAULT_TASK["lm"], description="task name")
    split: str = Field("held_out", description="split of the task")
    problems: int = Field(256, ge=2, le=bounds.RESPONSES, description="number of problems")
    answers: int = Field(32, ge=1, le=bounds.RESPONSES, description="answers per problem: pass@1 is avg@answers")
    k: tuple[Annotated[int, Field(ge=1, le=bounds.RESPONSES)], ...] = Field(
        (4, 16), description="values of k for pass@k, each at most answers / 2"
    )
    engine: EngineName = Field("transformers", description="engine that samples the answers")
    temperature: Annotated[float, _own("1.0")] = Field(1.0, gt=0, description="sampling temperature")
    chat: Annotated[Literal["auto", "on", "off"], _own("auto")] = Field(
        "auto", description="wrap the prompt as a user message in the chat template; auto: if the tokenizer has one"
    )
    dtype: Annotated[Literal["float32", "bfloat16"], _own("float32")] = Field("float32", description="compute dtype")
    seed: int = Field(0, ge=0, le=bounds.SEED, description="seed for problems and answers")
    plugin: str = Field(
        "", description="FILE.py or FILE.py:NAME with your own task; one with which the run was made is needed"
    )
    out: Path = Field(Path("runs/evaluation.json"), description="JSON file to write")

    @model_validator(mode="after")
    def _countable(self) -> Self:
        bounds.check_product(
            "problems and answers", {"problems": self.problems, "answers": self.answers}, bounds.SAMPLES
        )
        return self


def run(words: Sequence[str]) -> int:
    """Parse, load, sample, print, write."""
    config = configure(words)
    if not (config.checkpoint / "config.json").is_file():
        raise FileNotFoundError(f"no checkpoint in {config.checkpoint}: config.json is missing")
    if config.out.is_dir():
        raise IsADirectoryError(f"out = {config.out}: is a folder, allowed is a file")
    require(config.engine)
    report = _examine(config, make_task(config.task, config.dials.model_dump()))
    _show(config, report)
    _write(config, report)
    return 0


def configure(words: Sequence[str]) -> Any:
    """The configuration, its defaults those of the task, and of the run that the checkpoint is of.

    Raises:
        ValueError: for a task that is not on text, or a word that cannot be.
    """
    words = plugin.from_words(words, {})
    trained = next((found for word in words if (found := trained_on(Path(word)))), Trained())
    if trained.plugin:
        plugin.require(trained.plugin, trained.run_dir.name if trained.run_dir else "")
    on_text = [name for name, entry in TASKS.items() if entry.world == "lm"]
    task = known("task", peek(words, "task", trained.task), on_text)
    dials = TASKS[task].dials(**(trained.dials if trained.task == task else {}))
    model = with_task_dials(EvaluateConfig, TASKS[task].dials)
    default = model(checkpoint=Path(), task=task, dials=dials, **trained.asked)
    config: Any = parse(model, default, dial_flags(words, EvaluateConfig, TASKS[task].dials), "evaluate")
    if trained.run_dir is not None and trained.task == task:
        check_found(config.dials.model_dump(), trained.run_dir)
    return config


def trained_on(checkpoint: Path) -> Trained | None:
    """What a run's checkpoint, or a base model made here, was trained on; None if nothing tells.

    The engine is not taken over: it need not be installed here, and samples from the same policy.

    Raises:
        ValueError: if the file that tells cannot be read.
    """
    run_dir, base = checkpoint.resolve().parent.parent, checkpoint / "identity.json"
    run = run_dir / "spec.json"
    if not (checkpoint / "config.json").is_file():
        return None
    if run.is_file():
        with reading(run):
            spec = read_spec(run.read_text(encoding="utf-8"))
        return _trained_in(spec, run_dir) if isinstance(spec, RunSpec) else None
    if base.is_file():
        with reading(base, "does not name its task"):
            content = json.loads(base.read_text(encoding="utf-8"))
            return Trained(str(content["task"]), dict(content.get("dials", {})))
    return None


def _trained_in(spec: RunSpec, run_dir: Path) -> Trained:
    asked = {"chat": spec.base.chat, "dtype": spec.base.dtype, "temperature": spec.settings.temperature}
    return Trained(spec.task.name, located_dials(spec.task.dials, run_dir), asked, run_dir, spec.plugin)


def _examine(config: Any, task: Any) -> "EvaluationReport":
    import numpy as np
    import torch
    from transformers.utils import logging

    from vapo_core.devices import device
    from vapo_core.models.checkpoints import read_policy
    from vapo_core.models.text import uses_template
    from vapo_core.rollout.asking import check_problems
    from vapo_core.rollout.engines import ENGINES
    from vapo_core.seeds import child
    from vapo_core.training.evaluation_report import detailed_evaluation

    logging.disable_progress_bar()
    tokenizer, model = read_policy("checkpoint", str(config.checkpoint))
    model.to(device())
    chat = uses_template(config.chat, tokenizer)
    engine = ENGINES[config.engine](
        model, tokenizer, config.temperature, task.max_tokens, chat=chat, dtype=getattr(torch, config.dtype)
    )
    problems = task.sample(np.random.default_rng(child(config.seed, 0)), config.problems, config.split)
    check_problems(engine, config.split, problems)
    return detailed_evaluation(engine, task, problems, config.answers, config.k, child(config.seed, 1))


def _show(config: Any, report: "EvaluationReport") -> None:
    from rich.console import Console
    from rich.table import Table

    dials = "".join(f", {name} {value}" for name, value in config.dials.model_dump(exclude_defaults=True).items())
    asked = f"{report.problems} problems" + (
        f" ({report.distinct_problems} distinct)" if report.distinct_problems < report.problems else ""
    )
    table = Table(title=f"{config.checkpoint} on {config.task}{dials}, {config.split}: {asked} x {report.answers}")
    table.add_column("measure")
    table.add_column("value", justify="right")
    table.add_row(f"pass@1 (avg@{report.answers})", f"{report.pass_at_1:.3f} ± {1.96 * report.pass_at_1_se:.3f}")
    for k, value in report.pass_at_k.items():
        table.add_row(f"pass@{k}", f"{value:.3f}")
    table.add_row("could be read", f"{report.parsed:.3f}")
    table.add_row("cut off", f"{report.truncated:.3f}")
    table.add_row("mean length, tokens", f"{report.mean_length:.1f}")
    table.add_row("right by reasoning", f"{report.reasoned:.3f}")
    table.add_row("distinct correct answers", f"{report.distinct_correct:.2f}")
    for mode, share in report.modes.items():
        table.add_row(f"answers of kind {mode}", f"{share:.3f}")
    for place in report.by_length:
        table.add_row(f"accuracy at {_range(place)} tokens (n = {place.responses})", f"{place.accuracy:.3f}")
    for place in report.by_difficulty:
        table.add_row(f"accuracy at difficulty {_range(place)} (n = {place.responses})", f"{place.accuracy:.3f}")
    Console(width=100).print(table)


def _range(place: "Bin") -> str:
    return f"{place.low:g}" if place.low == place.high else f"{place.low:g}-{place.high:g}"


def _write(config: Any, report: "EvaluationReport") -> None:
    from vapo_core.files import write_whole

    content = {
        "checkpoint": str(config.checkpoint), "task": config.task, "dials": config.dials.model_dump(exclude_defaults=True),
        "split": config.split, "engine": config.engine, "temperature": config.temperature,
        "chat": config.chat, "dtype": config.dtype, "seed": config.seed,
        **report._asdict(),
        "by_length": [item._asdict() for item in report.by_length],
        "by_difficulty": [item._asdict() for item in report.by_difficulty],
    }  # fmt: skip
    write_whole(config.out, json.dumps(content, indent=2))
    print(f"written: {config.out}")
