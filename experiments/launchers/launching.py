"""Options of every command that runs a grid: where runs execute and how many at a time. They are not part of a spec."""

import os
import re
from collections.abc import Iterable
from typing import Literal, NamedTuple, TypeVar

from pydantic import Field, field_validator

from experiments.specs.exact import AnySpec
from vapo_core import bounds
from vapo_core.settings import Frozen

Spec = TypeVar("Spec", bound=AnySpec)


class Shard(NamedTuple):
    """One part of a plan."""

    number: int
    """From 1 to `of`."""
    of: int


class Launching(Frozen):
    """Options that say where runs are executed."""

    launcher: Literal["local", "ray"] = Field("local", description="processes of this machine, or a Ray cluster")
    workers: int | None = Field(
        None,
        ge=1,
        le=bounds.WORKERS,
        description="runs at a time, one thread each; by default one per core, with ray as many as the cluster can hold",
    )
    address: str = Field("auto", description="Ray cluster as HOST:PORT; auto: the cluster this machine belongs to")
    cpus_per_run: float = Field(1.0, gt=0, description="CPUs that Ray reserves per run")
    gpus_per_run: float = Field(0.0, ge=0, description="GPUs that Ray reserves per run; 0.25: four runs share one")
    shard: str = Field("", description="I/N: run only the I-th of N parts of the plan, such as 3/16; writes no tables")

    @field_validator("shard", mode="after")
    @classmethod
    def _is_a_shard(cls, value: str) -> str:
        shard_of(value)
        return value

    @property
    def at_once(self) -> int | None:
        """Runs at a time, None if the cluster decides."""
        return self.workers if self.workers or self.launcher == "ray" else cores()


PLACES: frozenset[str] = frozenset(Launching.model_fields)
"""Names of the options above: left out wherever a configuration names an outcome."""


def cores() -> int:
    """CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def shard_of(text: str) -> Shard:
    """The part named by I/N; everything if the text is empty.

    Raises:
        ValueError: if it is none.
    """
    if not text:
        return Shard(1, 1)
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if found is None:
        raise ValueError(f"shard {text!r}: expected I/N, such as 3/16")
    number, of = map(int, found.groups())
    if not 1 <= number <= of:
        raise ValueError(f"shard {text}: parts are numbered from 1 to N (a Slurm array from 1: --array=1-{max(of, 1)})")
    return Shard(number, of)


def part_of(specs: Iterable[Spec], text: str) -> list[Spec]:
    """The runs of a shard, in the plan's order.

    Runs are dealt out in the order of their hashes: which part has a run follows from the plan alone, never from what is
    finished, and parts differ by one run at most.
    """
    distinct, shard = list(dict.fromkeys(specs)), shard_of(text)
    selected = set(sorted(spec.hash for spec in distinct)[shard.number - 1 :: shard.of])
    return [spec for spec in distinct if spec.hash in selected]
