"""One of two processes that share runs; `test_ranks.py` starts both and compares what they leave with one process's.

`python -m tests.support.two_ranks shared FOLDER CACHE`, or `sharded FOLDER CACHE`, or `dying FOLDER`.
"""

import json
import os
import sys
from collections.abc import Sequence
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from experiments.cli import main
from experiments.runs import run as runs
from experiments.tracking import mlflow_run as track
from tests.support.worlds import run, small_spec, untimed
from vapo_core import trainer
from vapo_core.distributed import accelerated
from vapo_core.distributed.ranks import Ranks
from vapo_core.settings import Base, Lora
from vapo_core.training.update import Diverged

RECIPES = ("vapo", "ppo", "grpo", "dapo")
PATIENCE = timedelta(seconds=120)

UNEVEN = {
    "responses_per_step": 20, "mini_batches": 3, "micro_batches": 3, "kl_coef": 0.01, "tokens_per_micro_batch": 200,
    "warmup_steps": 1, "critic_lr": 4e-4,
}  # fmt: skip
"""5 prompts and mini-batches of 6 or 7 rows for two ranks, each in slices of unequal number and length. The rate is low since
Adam's first steps are a rate long in whatever direction, also where a gradient is rounding and little else."""
EVALUATION = {"every": 2, "problems": 5, "k": 1, "k_problems": 1}

SHARED = {
    **{f"lm-{recipe}": small_spec("lm", recipe, steps=2, numbers=UNEVEN, evaluation=EVALUATION) for recipe in RECIPES},
    "walk-vapo": small_spec("walk", "vapo", numbers=UNEVEN),
}
if find_spec("peft"):
    ADAPTED = Base(lora=Lora(on=True, rank=4))
    SHARED["lm-adapters"] = small_spec("lm", "vapo", steps=2, numbers=UNEVEN, evaluation=EVALUATION, base=ADAPTED)
RECORDED = small_spec("walk", "dapo", steps=3, numbers=UNEVEN)
DIVERGING = small_spec("walk", steps=5, numbers={"policy_lr": 1e38, "warmup_steps": 0})


def weights(of: Any) -> dict[str, torch.Tensor]:
    """Policy's and critic's, by name."""
    nets = {"policy": of.world.policy, "critic": of.world.critic}
    with of.ranks.unsharded(*nets.values()):
        return {f"{net}.{name}": x.detach().clone() for net, one in nets.items() for name, x in one.named_parameters()}


def endings(of: Any) -> list[list[int]]:
    """Continuations of a place per problem, as Monte-Carlo values ask for them: three prefixes, two samples each."""
    problems = of.pool[:3]
    prefixes = of.world.engine.text.prompts([problem.prompt for problem in problems])
    return of.world.engine.endings(prefixes, [5, 30, 9], 7, 2)


def kept(of: Any, points: Any, folder: Path, name: str) -> None:
    """What a run came to, for another process."""
    save_file(weights(of), folder / f"{name}.safetensors")
    (folder / f"{name}.json").write_text(json.dumps(points))


def shared(folder: Path, cache: Path, ranks: Ranks) -> None:
    """Every case, one after the other, in the same two processes."""
    for name, spec in SHARED.items():
        one = runs.build_trainer(spec, cache, ranks)
        if name == "lm-vapo":
            (folder / f"endings-{ranks.number}.json").write_text(json.dumps(endings(one)))
        kept(one, untimed(run(one)), folder, f"{name}-{ranks.number}")
    recorded(folder / "recorded", ranks, RECORDED.steps)
    recorded(folder / "resumed", ranks, 2)
    recorded(folder / "resumed", ranks, RECORDED.steps)
    try:
        run(runs.build_trainer(DIVERGING, cache, ranks))
    except Diverged as reason:
        (folder / f"diverged-{ranks.number}.json").write_text(json.dumps(str(reason)))


def sharded(folder: Path, cache: Path, ranks: Ranks) -> None:
    """One case with weights in pieces, cut off after a step and continued from its checkpoint."""
    first, second = (runs.build_trainer(SHARED["lm-vapo"], cache, ranks) for _ in range(2))
    first.steps = 1
    first.run(lambda step, metrics: None, folder / "checkpoint", 1)
    second.resume(folder / "checkpoint")
    kept(second, untimed(run(second)), folder, f"sharded-{ranks.number}")


def recorded(home: Path, ranks: Ranks, until: int) -> None:
    """A run with its records, or its first steps, after which it is cut off; it goes on where an earlier call stopped."""
    runs.CHECKPOINT_EVERY["walk"] = 1
    whole = trainer.Trainer._step

    def cut(self: Any, progress: Any, write: Any) -> Any:
        if progress.step == until:
            raise KeyboardInterrupt
        return whole(self, progress, write)

    trainer.Trainer._step = cut  # type: ignore[method-assign]
    try:
        if ranks.number:
            runs.follow(RECORDED, home, ranks)
        else:
            runs.run_one(RECORDED, home, "test", ranks=ranks)
    except KeyboardInterrupt:
        pass
    finally:
        trainer.Trainer._step = whole  # type: ignore[method-assign]


def dying(folder: Path) -> int:
    """`vapo train`, in which process 1 is gone after a step without a word."""
    whole = trainer.Trainer._step

    def step(self: Any, progress: Any, write: Any) -> Any:
        if progress.step == 1 and self.ranks.number == 1:
            os._exit(9)
        return whole(self, progress, write)

    trainer.Trainer._step = step  # type: ignore[method-assign]
    track.open_tracking = lambda *_: None  # type: ignore[assignment]
    return main(["train", "--world", "walk", "--steps", "3", "--runs", str(folder)])


def as_fsdp() -> None:
    """Let accelerate take this machine for one with GPUs and FSDP2 asked for: it offers that for no CPU, where it works."""
    whole = accelerated.accelerator_of

    def asked(timeout: timedelta) -> Any:
        from accelerate.state import AcceleratorState
        from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin

        found = whole(timeout)
        wrap = FullyShardedDataParallelPlugin(fsdp_version=2, auto_wrap_policy="transformer_based_wrap")
        AcceleratorState._shared_state.update({"distributed_type": DistributedType.FSDP, "fsdp_plugin": wrap})
        return found

    accelerated.accelerator_of = asked


def work(words: Sequence[str]) -> int:
    """What this process was started for."""
    torch.set_num_threads(1)
    if words[0] == "dying":
        return dying(Path(words[1]))
    if words[0] == "sharded":
        as_fsdp()
    ranks = accelerated.join(timeout=PATIENCE)
    assert ranks.is_sharded == (words[0] == "sharded")
    {"shared": shared, "sharded": sharded}[words[0]](Path(words[1]), Path(words[2]), ranks)
    ranks.leave()
    return 0


if __name__ == "__main__":
    raise SystemExit(work(sys.argv[1:]))
