"""Run one spec: records go to `runs/<hash>/`; `row.json`, written last, marks the run as finished."""

import json
import math
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from experiments.records.arrays import ProbeLines
from experiments.records.points import JsonLines, Logger, Memory, read_points
from experiments.runs.exact_run import describe_exact, run_exact
from experiments.runs.inputs import record_inputs, say_changes
from experiments.runs.milestones import milestones
from experiments.runs.model_card import write_cards
from experiments.runs.origin import keep_origin, located
from experiments.runs.repair import clear_damage, curve_damage, mend_spec, points_damage, read_row, whole_row
from experiments.runs.scoring import activities, mean, score
from experiments.runs.source import ROWS, differs, git_commit, set_other_aside
from experiments.services.claims import LONGEST_WAIT_S, claimed
from experiments.specs.exact import AnySpec, ExactSpec
from experiments.specs.plugin import installed, require
from experiments.specs.spec import SCORES, RunSpec
from experiments.tracking.mlflow_run import MLflowRun, Tracking
from vapo_core.files import clear_scratch, dispensable, set_aside, write_whole
from vapo_core.reading import reason_of
from vapo_core.tasks import TASKS, make_task


class Tee:
    """Writes every point to several loggers; a number that is not finite is left out everywhere alike."""

    def __init__(self, loggers: Iterable[Logger]) -> None:
        self.loggers = list(loggers)

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """To each of them."""
        finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
        for logger in self.loggers:
            logger.write(step, finite)


def finished_row(spec: AnySpec, runs: Path) -> dict[str, Any] | None:
    """The row of a finished run, or None if there is none that can be read, or another source computed it."""
    return None if differs(runs / spec.hash) else read_row(runs / spec.hash)


def run_one(
    spec: AnySpec,
    runs: Path,
    study: str,
    tracking: Tracking | None = None,
    wait_s: float = LONGEST_WAIT_S,
    ranks: Any = None,
) -> dict[str, Any]:
    """Run a spec unless it is finished, continuing from its checkpoint if there is one.

    Damaged files of an earlier attempt are set aside with one warning and made again. What another source computed is set
    aside, too; callers say so for all their runs together.

    Args:
        spec: what to run.
        runs: folder of all records and caches.
        study: name recorded with the row.
        tracking: where to write to MLflow, None for records only.
        wait_s: seconds to wait for another process that holds this run.
        ranks: the processes that share it, of which this is number 0 and the others `follow`; None for this one alone.

    Returns:
        The row of `row.json`.

    Raises:
        Busy: if another process still holds it then.
    """
    run_dir = runs / spec.hash
    with claimed(run_dir, wait_s):
        clear_scratch(run_dir)
        set_other_aside(run_dir)
        clear_damage(spec, run_dir)
        row = whole_row(spec, run_dir)
        if row is not None:
            mend_spec(spec, run_dir)
            say_changes([spec], runs)
            return row
        record_inputs(spec, runs)
        attempts = _count_attempt(run_dir)
        write_whole(run_dir / "spec.json", spec.model_dump_json(indent=2))
        keep_origin(run_dir)
        ROWS.record(run_dir, runs)
        if plugin := installed():
            write_whole(run_dir / "plugin.py", plugin.text)  # for a reader; it is never run from there
        mlflow = None if tracking is None else MLflowRun(tracking, spec, tags_of(spec, study), run_dir, attempts > 1)
        try:
            outcome = _outcome(spec, runs, run_dir, mlflow, ranks)
        except BaseException:
            if mlflow is not None:
                mlflow.abandon()
            raise
        row = {
            **describe(spec, study),
            **outcome,
            "attempts": attempts,
            "git_commit": git_commit(),
            "source": ROWS.hash,
        }
        if lost := curve_damage(spec, row, run_dir):
            raise FileNotFoundError(f"{run_dir / 'metrics.jsonl'} {lost}: it disappeared during the run")
        if isinstance(spec, RunSpec):
            with dispensable("the model card", run_dir / "checkpoint"):
                write_cards(run_dir / "checkpoint", spec, row)
        write_whole(run_dir / "row.json", json.dumps(row, indent=2))
        (run_dir / "failure.json").unlink(missing_ok=True)
        if mlflow is not None:
            mlflow.finish(row)
        return row


def follow(spec: RunSpec, runs: Path, ranks: Any) -> None:
    """Share a run that rank 0 leads, from its checkpoint if rank 0 found it good; nothing is written here.

    Args:
        spec, runs: as given to rank 0's `run_one`; all ranks must see the same files there.
        ranks: this process among those that share the run.

    Raises:
        LostRank: if another of them is gone.
    """
    from vapo_core.distributed.ranks import LostRank
    from vapo_core.training.update import Diverged

    try:
        ranks.first(lambda: None)
    except LostRank:  # rank 0 has found the run finished, or says itself why it cannot be
        return
    trainer, checkpoint = build_trainer(spec, runs, ranks), runs / spec.hash / "checkpoint"
    if ranks.first(lambda: None) >= 0:
        trainer.resume(checkpoint)
    with suppress(Diverged):  # rank 0 notices it at the same step, and records it
        trainer.run(lambda step, metrics: None, checkpoint, CHECKPOINT_EVERY[spec.world])


def _outcome(spec: AnySpec, runs: Path, run_dir: Path, mlflow: MLflowRun | None, ranks: Any) -> dict[str, Any]:
    """What a run adds to its description."""
    if isinstance(spec, ExactSpec):
        return run_exact(spec, run_dir, mlflow)
    return _train(spec, runs, run_dir, mlflow, ranks)


def _train(spec: RunSpec, runs: Path, run_dir: Path, mlflow: MLflowRun | None, ranks: Any) -> dict[str, Any]:
    """Train, writing points as they come; a divergence is an outcome like any other."""
    from vapo_core.distributed.ranks import Single
    from vapo_core.training.update import Diverged

    ranks = ranks or Single()
    ranks.first(lambda: "go")
    (trainer, done), started = _start(spec, runs, run_dir, ranks), time.perf_counter()
    ranks.first(lambda: done)
    memory = Memory()
    record = JsonLines(run_dir / "metrics.jsonl", keep_through=done)
    memory.points[:] = read_points(run_dir / "metrics.jsonl")
    log = Tee([memory, record])
    trainer.keep_arrays = ProbeLines(run_dir / "probes.jsonl", keep_through=done).write
    if mlflow is not None:
        for step, metrics in memory.points:
            mlflow.write(step, metrics)
        log.loggers.append(mlflow)
    state, reason = "finished", ""
    try:
        trainer.run(log.write, run_dir / "checkpoint", CHECKPOINT_EVERY[spec.world])
    except Diverged as error:
        state, reason = "diverged", str(error)
    finally:
        record.close()
    last = memory.points[-1][1] if memory.points else {}
    return {
        "state": state,
        "reason": reason,
        **score(spec, memory.points, state),
        **activities(memory.points),
        **milestones(memory.points),
        "mean_length": mean(memory.points, "response_length/mean"),
        "tokens": last.get("tokens/generated", 0.0),
        **warm_columns(trainer),
        "seconds": time.perf_counter() - started,
    }


def _start(spec: RunSpec, runs: Path, run_dir: Path, ranks: Any) -> tuple[Any, int]:
    """A trainer and the last step whose points are kept: at the checkpoint if there is a good one, else before step 0."""
    trainer, checkpoint = build_trainer(spec, runs, ranks), run_dir / "checkpoint"
    if not checkpoint.exists():
        return trainer, -1
    try:
        done = trainer.resume(checkpoint).step
        damage = points_damage(spec, read_points(run_dir / "metrics.jsonl"), done)
    except MemoryError:
        raise
    except Exception as error:  # whatever a reader of damaged bytes may raise
        damage = f"it cannot be read ({reason_of(error)})"
    else:
        if not damage:
            return trainer, done
        damage = f"metrics.jsonl {damage}"
    set_aside(checkpoint, damage, "the run restarts")
    return build_trainer(spec, runs, ranks), -1


def build_trainer(spec: RunSpec, runs: Path, ranks: Any = None) -> Any:
    """World, recipe and trainer of a spec; bases and warm critics are cached in `runs`; `ranks` share the run.

    Raises:
        ValueError: if its data or base model cannot be found or read.
    """
    import torch

    from vapo_core.recipe import assemble
    from vapo_core.seeds import seeds_of
    from vapo_core.trainer import Trainer
    from vapo_core.worlds import build_world

    require(spec.plugin, spec.hash)
    torch.set_num_threads(1)
    spec = located(spec, runs / spec.hash)
    task = make_task(spec.task.name, spec.task.dials)
    seeds = seeds_of(spec.seed)
    world = build_world(spec.world, task, spec.task.name, spec.base, spec.settings, seeds, runs, spec.engine)
    if ranks is not None:
        world.join(ranks)
    recipe = assemble(spec.toggles, spec.settings, spec.variants)
    return Trainer(
        world, recipe, spec.settings, spec.evaluation, spec.seed, spec.steps, runs, spec.log_every, spec.probes
    )


def describe(spec: AnySpec, study: str) -> dict[str, Any]:
    """The columns of a row that are known before the run."""
    if isinstance(spec, ExactSpec):
        return describe_exact(spec, study)
    return {
        "spec": spec.hash,
        "study": study,
        "world": spec.world,
        "task": spec.task.name,
        **{f"dials.{k}": v for k, v in TASKS[spec.task.name].dials(**spec.task.dials).model_dump().items()},
        "recipe": spec.recipe,
        "arm": spec.arm,
        "seed": spec.seed,
        "base": f"{spec.base.model}:{spec.base.init}",
        "steps": spec.steps,
        "protocol": spec.protocol,
        **spec.toggles.model_dump(),
        **{f"settings.{k}": v for k, v in spec.settings.model_dump(mode="python").items()},
        "variants": as_text(spec.variants),
        "probes": as_text(spec.probes),
        **({"plugin": spec.plugin} if spec.plugin else {}),
        "metric": SCORES[spec.world],
    }


def as_text(named: Mapping[str, object]) -> str:
    """`name=value`, sorted, one space between."""
    return " ".join(f"{name}={named[name]}" for name in sorted(named))


def tags_of(spec: AnySpec, study: str) -> dict[str, str]:
    """Tags every MLflow run carries; a run of the exact level has no recipe, but what it measures."""
    what = {"measure": spec.plan.measure} if isinstance(spec, ExactSpec) else {"recipe": spec.recipe}
    return {"study": study, **what, "seed": str(spec.seed), "spec": spec.hash, "git_commit": git_commit()}


def warm_columns(trainer: Any) -> dict[str, Any]:
    """What the critic's start cost, once the trainer has got that far."""
    warm = trainer.warm
    return {"warm_key": warm.key, "warm_tokens": warm.tokens}


CHECKPOINT_EVERY = {"walk": 0, "lm": 10}
"""RL steps between checkpoints; a walk run is over in seconds and starts again instead."""


def _count_attempt(run_dir: Path) -> int:
    """How often this run was begun, this time included."""
    path = run_dir / "attempts"
    text = path.read_text(errors="replace").strip() if path.exists() else ""
    number = int(text) + 1 if text.isdecimal() else 1
    write_whole(path, str(number))
    return number
