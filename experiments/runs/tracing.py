"""Recover a finished run's policy and critic: from its checkpoint, or by training again from its spec."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from experiments.runs.inventory import RunFolder
from experiments.runs.origin import located
from experiments.runs.run import build_trainer
from experiments.runs.scoring import score
from vapo_core.reading import reason_of


class Recovered(NamedTuple):
    """A trainer that stands where its run stood."""

    trainer: Any
    step: int
    """RL steps finished."""


def recover(entry: RunFolder, step: int | None) -> Recovered:
    """The run after `step` RL steps (None: where its checkpoint stands, or its end).

    Only the latest checkpoint is kept, and a walk run has none: then the run is trained again from its spec, which is
    deterministic, and one line says so.

    Raises:
        ValueError: if the checkpoint cannot be read, or the run diverges on the way.
    """
    if step is None and (entry.run_dir / "checkpoint").exists():
        return _load(entry)
    return _train_again(entry, entry.trained.steps if step is None else step)


def _load(entry: RunFolder) -> Recovered:
    checkpoint = entry.run_dir / "checkpoint"
    trainer = build_trainer(entry.trained, entry.run_dir.parent)
    try:
        return Recovered(trainer, trainer.resume(checkpoint).step)
    except MemoryError:
        raise
    except Exception as error:  # whatever a reader of damaged bytes may raise
        reason = f"cannot be read ({reason_of(error)}); use --step to retrain the run"
        raise ValueError(f"{checkpoint}: {reason}") from None


def _train_again(entry: RunFolder, step: int) -> Recovered:
    from vapo_core.training.update import Diverged

    spec = located(entry.trained, entry.run_dir).model_copy(update={"probes": {}})  # probes only read
    kept = "a walk run keeps no checkpoint" if entry.spec.world == "walk" else "no checkpoint at that step is kept"
    print(f"training {step} of {spec.steps} steps from the spec: {kept}")
    trainer = build_trainer(spec, entry.run_dir.parent)
    trainer.steps = step  # the schedules stay those of the whole run
    points: list[tuple[int, dict[str, float]]] = []

    def keep(at: int, metrics: Mapping[str, float]) -> None:
        points.append((at, dict(metrics)))

    try:
        trainer.run(keep)
    except Diverged as error:
        raise ValueError(
            f"run {entry.spec.hash} diverges before step {step}: {error}; choose an earlier --step"
        ) from None
    if step == spec.steps and entry.row:
        _compare(score(entry.trained, points, "finished")["last"], entry.row)
    return Recovered(trainer, step)


def _compare(last: float, row: Mapping[str, Any]) -> None:
    """Say so if training again did not end where the record says it did."""
    if abs(last - row["last"]) > 1e-6:
        print(
            f"warning: {row['metric']} ends at {last:.6f} this time, at {row['last']:.6f} in the record:"
            " the code or its libraries have changed",
            file=sys.stderr,
        )


def locate(word: str, runs: Path) -> tuple[Path, str]:
    """(folder of records, beginning of the run's name) that a word stands for: a name, a run's folder or its checkpoint.

    Raises:
        ValueError: for a folder that is not part of a run.
    """
    path = Path(word)
    if not path.is_dir():
        return runs, word
    for folder in (path, *path.resolve().parents[:2]):
        if (folder / "spec.json").is_file():
            return folder.resolve().parent, folder.resolve().name
    raise ValueError(f"run = {word!r}: no spec.json in it or above it; allowed are a run's name, folder or checkpoint")
