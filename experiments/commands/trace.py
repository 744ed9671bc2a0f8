"""`vapo trace RUN`: credit assignment, token by token, as a table and as a page."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, model_validator
from tyro.conf import Positional

from experiments.runs.inventory import RunFolder, find
from experiments.specs import plugin
from experiments.specs.options import parse
from vapo_core import bounds
from vapo_core.files import ensure_writable
from vapo_core.settings import Frozen

if TYPE_CHECKING:
    import pandas as pd


class TraceConfig(Frozen):
    """Sample answers of a run and write a table with one row per token, and a page that shows it.

    Per token: log-probability, entropy, the critic's value, the true value (expected reward from here on), TD error, and
    the advantage under the run's own rule and under others.
    """

    run: Positional[str] = Field(description="prefix of the run's name, as shown by `vapo ls`, or its folder")
    problems: int = Field(8, ge=1, le=bounds.RESPONSES, description="problems")
    answers: int = Field(4, ge=1, le=bounds.RESPONSES, description="answers per problem")
    split: str = Field("held_out", description="split of the task")
    step: int | None = Field(None, ge=0, le=bounds.STEPS, description="retrain to this RL step and trace the run there")
    truth: int = Field(
        8,
        ge=0,
        le=bounds.RESPONSES,
        description="answers whose true values are measured, by 16 continuations per token; in world walk all have exact ones",
    )
    seed: int = Field(0, ge=0, le=bounds.SEED, description="seed for problems and answers")
    plugin: str = Field("", description="FILE.py: the plugin with which the run was made, if any")
    runs: Path = Field(Path("runs"), description="folder of records")
    out: Path | None = Field(None, description="folder for trace.parquet and trace.html; the run's own by default")

    @model_validator(mode="after")
    def _countable(self) -> Self:
        bounds.check_product(
            "problems and answers", {"problems": self.problems, "answers": self.answers}, bounds.RESPONSES
        )
        return self


def run(words: Sequence[str]) -> int:
    """Parse, find, recover, trace, write."""
    from experiments.runs.tracing import locate, recover

    config = parse(TraceConfig, None, plugin.from_words(words, {}), "trace")
    entry = find(*locate(config.run, config.runs))
    plugin.require(entry.trained.plugin, entry.spec.hash)
    _check(config, entry)
    out = config.out or entry.run_dir
    ensure_writable(out)
    recovered = recover(entry, config.step)
    table = _table(config, entry, recovered.trainer)
    _write(table, _facts(config, entry, recovered.step, table), out)
    return 0


def _check(config: TraceConfig, entry: RunFolder) -> None:
    """Refuse what this run cannot do, before anything is trained."""
    from vapo_core.tasks import make_task
    from vapo_core.tasks.base import check_split

    spec = entry.trained
    check_split(config.split, make_task(spec.task.name, spec.task.dials).splits)
    if config.step is not None and config.step > spec.steps:
        raise ValueError(f"step = {config.step}: allowed is 0 to {spec.steps}, the steps of this run")
    if config.answers < 2 and spec.variants.get("credit") == "group_relative":
        raise ValueError("answers = 1: the credit of this run compares answers to one prompt, allowed is 2 or more")


def _table(config: TraceConfig, entry: RunFolder, trainer: Any) -> "pd.DataFrame":
    """One row per token."""
    import numpy as np
    import pandas as pd

    from vapo_core.seeds import child
    from vapo_core.training.trace import trace

    problems = trainer.world.task.sample(np.random.default_rng(child(config.seed, 0)), config.problems, config.split)
    truths = {"walk": config.problems * config.answers, "lm": config.truth}[entry.trained.world]
    seed = child(config.seed, 1)
    return pd.DataFrame(trace(trainer.world, trainer.recipe, trainer.settings, problems, config.answers, truths, seed))


def _facts(config: TraceConfig, entry: RunFolder, step: int, table: "pd.DataFrame") -> list[tuple[str, str]]:
    """What the page's head says."""
    spec = entry.trained
    first = table.groupby("response").first()
    size = f"{config.problems} problems x {config.answers} answers"
    return [
        ("Run", f"{spec.hash}: {spec.arm}, seed {spec.seed}, after {step} of {spec.steps} RL steps"),
        ("Task", f"{spec.task.name} ({spec.world}), {config.split}, {size}"),
        ("Right", f"{int(first['correct'].sum())} of {len(first)}"),
        ("α and length", f"α = {spec.settings.alpha:g}, mean response length {first['length'].mean():.1f} tokens"),
        ("Reward", f"{spec.settings.reward_low:g} wrong, {spec.settings.reward_high:g} right"),
    ]


def _write(table: "pd.DataFrame", facts: list[tuple[str, str]], out: Path) -> None:
    """Write both files atomically."""
    import io

    from analysis.report.trace_page import render
    from vapo_core.files import write_whole, write_whole_bytes

    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    write_whole_bytes(out / "trace.parquet", buffer.getvalue())
    write_whole(out / "trace.html", render(table, facts))
    print(f"{table['response'].nunique()} responses, {len(table)} tokens")
    print(f"written: {out / 'trace.parquet'} and {out / 'trace.html'}")
