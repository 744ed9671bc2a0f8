"""The two engines side by side: tokens per second, and what the same recipe learns on the same seeds with either."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from experiments.benchmarks.models import model_of, prompts_of
from experiments.benchmarks.timing import TimingRow, number, rows, take_turns
from experiments.runs.run import run_one
from experiments.specs.engines import require
from experiments.specs.spec import RunSpec, spec_for
from vapo_core.settings import Base, Evaluation

NAMES = ("transformers", "vllm")
SEEDS, STEPS, BASES = 48, 30, 3
EVALUATION = Evaluation(every=10, problems=1024, k=2, k_problems=4)
CASES = ((64, 32), (256, 32), (256, 128))


def measure(quick: bool) -> list[TimingRow]:
    """Speed, then learning.

    Raises:
        ValueError: if vLLM is not installed.
    """
    require("vllm")
    found = [row for case in CASES[: 1 if quick else None] for row in _speed(*case, quick)]
    with tempfile.TemporaryDirectory() as folder:
        seeds, steps = (2, 2) if quick else (SEEDS, STEPS)
        return [*found, *compared(Path(folder), range(seeds), steps)]


def _speed(answers: int, tokens: int, quick: bool) -> list[TimingRow]:
    """Answers of a random model, which end at a stop token now and then; both engines write as many but for chance."""
    from vapo_core.rollout.engines import ENGINES

    model, tokenizer = model_of("w128")
    prompts = prompts_of(tokenizer, answers)
    engines = {name: ENGINES[name](model, tokenizer, 1.0, tokens) for name in NAMES}
    written = int(engines["transformers"].complete(prompts, tokens, 0).mask.sum())
    ways: dict[str, Any] = {
        name: lambda engine=engine: engine.complete(prompts, tokens, 0) for name, engine in engines.items()
    }
    seconds = take_turns(ways, 3 if quick else 5)
    return rows("engines", f"w128, {answers} answers of up to {tokens}", seconds, "transformers", written, "tokens")


def spec_of(engine: str, seed: int, steps: int) -> RunSpec:
    """A run of full VAPO on text_walk; its twin differs in the engine alone."""
    base = Base(model="tiny32", init=seed % BASES)
    return spec_for("vapo", "lm", seed, steps=steps, engine=engine, base=base, evaluation=EVALUATION)


def compared(runs: Path, seeds: range, steps: int) -> list[TimingRow]:
    """Pass@1 after the last step and on average over the curve, of either engine, and the mean of paired differences."""
    from scipy.stats import t

    case, found = f"vapo on text_walk, tiny32, {steps} steps, {len(seeds)} paired seeds", []
    made = {name: [run_one(spec_of(name, seed, steps), runs, "bench") for seed in seeds] for name in NAMES}
    for column, meaning in (("last", "pass@1 at the end"), ("auc", "area under pass@1")):
        score = {name: 100 * np.array([row[column] for row in made[name]]) for name in NAMES}
        found += [number("engines", f"{case}, {meaning}", name, score[name], "points") for name in NAMES]
        gain = score["vllm"] - score["transformers"]
        half = t.ppf(0.975, len(gain) - 1) * gain.std(ddof=1) / len(gain) ** 0.5
        mean, unit = float(gain.mean()), "points, mean and 95 % interval"
        found.append(
            TimingRow(
                "engines",
                f"{case}, {meaning}",
                "vllm less transformers",
                mean,
                mean - half,
                mean + half,
                unit,
                len(gain),
            )
        )
    return found
