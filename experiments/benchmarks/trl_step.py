"""One RL step of recipe grpo against TRL's GRPOTrainer: same model, prompts, groups, lengths and update. Extra `bench`."""

import tempfile
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from experiments.benchmarks.models import ALPHABET
from experiments.benchmarks.rl_step import GROUP, LENGTHS, RESPONSES, Step
from experiments.benchmarks.timing import TimingRow, rows

TURNS, STEPS = 4, 3
"""Blocks of steps, ours and TRL's in turn; the first step of a block warms up and is not kept."""


def measure(quick: bool) -> list[TimingRow]:
    """Width 128, 3 layers; answers of one length, then of two.

    Raises:
        ModuleNotFoundError: without the extra `bench`.
    """
    found = []
    for case, lengths in LENGTHS.items():
        ours, theirs = Step("w128", lengths), TRLStep(lengths)
        seconds: dict[str, list[float]] = {"TRL": [], "vapo-lab": [], "floor": []}
        for turn in range(2 if quick else TURNS):
            blocks: dict[str, Callable[[], list[float]]] = {
                "TRL": theirs.block,
                "vapo-lab": partial(_block, ours.full_step),
                "floor": partial(_block, partial(ours.floor, lean=False)),
            }
            for name in list(blocks) if turn % 2 else reversed(list(blocks)):
                seconds[name] += blocks[name]()
        kept = {name: np.array(x) for name, x in seconds.items()}
        found += rows("rl step beside TRL", f"w128, {case}", kept, "vapo-lab", sum(lengths), "tokens")
    return found


def _block(work: Any) -> list[float]:
    """Seconds of STEPS steps after one that is not kept."""
    times = []
    for _ in range(STEPS + 1):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return times[1:]


class TRLStep:
    """TRL's trainer on a model of the same shape; stop tokens are written where the script says."""

    def __init__(self, lengths: list[int]) -> None:
        from datasets import Dataset

        from experiments.benchmarks.models import model_of

        self.model, self.tokenizer = model_of("w128")
        self.lengths = lengths
        self.model.generate = self._scripted(self.model.generate)
        texts = [ALPHABET[i % 20 : i % 20 + 12] for i in range(RESPONSES // GROUP)]
        self.data = Dataset.from_dict({"prompt": texts * 64})

    def _scripted(self, generate: Any) -> Any:
        def with_stops(*arguments: Any, **named: Any) -> Any:
            found = generate(*arguments, **named)
            start = found.shape[1] - max(self.lengths)
            for row, length in enumerate(self.lengths):
                found[row, start + length - 1] = self.tokenizer.eos_token_id
            return found

        return with_stops

    def block(self) -> list[float]:
        """Seconds of STEPS steps after one that is not kept."""
        from transformers import TrainerCallback
        from trl import GRPOConfig, GRPOTrainer

        ends: list[float] = []

        class Watch(TrainerCallback):
            """Notes when steps end."""

            def on_step_end(self, *arguments: Any, **named: Any) -> None:
                ends.append(time.perf_counter())

        with tempfile.TemporaryDirectory() as folder:
            settings = GRPOConfig(
                output_dir=folder, use_cpu=True, bf16=False, per_device_train_batch_size=RESPONSES, num_generations=GROUP,
                max_completion_length=max(self.lengths), max_steps=STEPS + 2, learning_rate=1e-4, beta=0.0, temperature=1.0,
                top_k=0, report_to=[], save_strategy="no", logging_strategy="no", gradient_checkpointing=False,
                lr_scheduler_type="constant", disable_tqdm=True, shuffle_dataset=False,
                generation_kwargs={"min_new_tokens": max(self.lengths)},
            )  # fmt: skip
            GRPOTrainer(
                model=self.model, reward_funcs=_reward, args=settings, train_dataset=self.data,
                processing_class=self.tokenizer, callbacks=[Watch()],
            ).train()  # fmt: skip
        return np.diff(ends)[1:].tolist()


def _reward(completions: list[str], **named: Any) -> list[float]:
    """The rule our own step is graded by."""
    return [float(text.count("a") > len(text) // 30) for text in completions]
