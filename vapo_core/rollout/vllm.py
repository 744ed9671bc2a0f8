"""vLLM within this process: a model of fixed shape whose weights are replaced in memory. The only file that imports vllm."""

import copy
import json
import os
import random
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

GPU_SHARE = 0.3
"""Share of a GPU's memory that vLLM takes while it samples; training wants the rest."""

CPU_CACHE = 2**28
"""Bytes of its cache of keys and values on a CPU, unless VLLM_CPU_KVCACHE_SPACE says how many GiB."""

MOST_AT_ONCE = 4096
"""Tokens of prompts that a CPU reads at once, unless a single prompt may have more."""

ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # within one process weights are handed over as they are
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # a core it bound would be the only one for training, too
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
}
"""Set before vLLM is imported, where the user has not set them."""


class SampledAnswer(NamedTuple):
    """One sampled answer."""

    tokens: Sequence[int]
    """Stop token included."""
    logp: Sequence[float]
    """Nats, under the distribution that was sampled from: after the temperature."""


class Server:
    """vLLM with a model of one shape; engines of that shape use it in turn."""

    def __init__(self, shape: str, dtype: str) -> None:
        """Args: as of `server`."""
        self.on_gpu = torch.cuda.is_available()
        place = {"gpu_memory_utilization": GPU_SHARE, "enable_sleep_mode": True} if self.on_gpu else _on_cpu(shape)
        with _undisturbed(), tempfile.TemporaryDirectory() as folder:
            _import()
            from vllm import LLM

            _check_heads(shape, self.on_gpu)
            (Path(folder) / "config.json").write_text(shape)
            self._llm: Any = LLM(
                folder, runner="generate", load_format="dummy", skip_tokenizer_init=True, dtype=dtype, seed=0,
                max_model_len=-1, generation_config="vllm", logprobs_mode="processed_logprobs", disable_log_stats=True,
                **place,
            )  # fmt: skip
        self.room: int = self._llm.llm_engine.model_config.max_model_len
        self.holds: object = None
        """What the engine that was here last says of its weights; None if there are none."""
        self._asleep = False

    def take(self, weights: Mapping[str, Tensor]) -> None:
        """Sample from these weights from now on, and forget what was computed with others."""
        self.holds = None
        if self._asleep:
            self._llm.wake_up(tags=["weights"])
        self._llm.collective_rpc("reload_weights", kwargs={"weights_iterator": iter(weights.items())})
        if self._asleep:
            self._llm.wake_up(tags=["kv_cache"])
        self._asleep = False
        self._llm.reset_prefix_cache()

    def sleep(self) -> None:
        """Drop weights and cache until `take`, where vLLM can: on a GPU."""
        if self.on_gpu and not self._asleep:
            self.holds, self._asleep = None, True
            self._llm.sleep(level=2)

    def answers(
        self,
        prefixes: Sequence[Sequence[int]],
        limits: Sequence[int],
        seeds: Sequence[int],
        temperature: float,
        stops: Sequence[int],
    ) -> list[SampledAnswer]:
        """An answer per prefix, each from a random stream of its own.

        Args: limits, most tokens of each; temperature, at least 0.01, below which vLLM does something else.
        """
        from vllm import SamplingParams

        asked = [{"prompt_token_ids": list(prefix)} for prefix in prefixes]
        params = [
            SamplingParams(
                temperature=temperature, max_tokens=limit, seed=seed, logprobs=0, flat_logprobs=True, detokenize=False,
                ignore_eos=True, stop_token_ids=list(stops),
            )
            for limit, seed in zip(limits, seeds, strict=True)
        ]  # fmt: skip
        # Compiling the function that counts ranks takes a CPU 20 s, and nobody asks for ranks.
        stance = nullcontext() if self.on_gpu else torch.compiler.set_stance("force_eager")
        with stance, _undisturbed():
            done = self._llm.generate(asked, params, use_tqdm=False)
        return [SampledAnswer(one.outputs[0].token_ids, one.outputs[0].logprobs.logprobs) for one in done]


def _on_cpu(shape: str) -> dict[str, Any]:
    """Arguments for a CPU. Prompts are read whole: after half of one, vLLM would rewind a random stream, which CPUs' cannot."""
    longest = json.loads(shape).get("max_position_embeddings") or 0
    return {
        "kv_cache_memory_bytes": CPU_CACHE, "enforce_eager": True, "enable_chunked_prefill": False,
        "max_num_batched_tokens": max(MOST_AT_ONCE, longest),
    }  # fmt: skip


@cache
def server(shape: str, dtype: str) -> Server:
    """The process's vLLM for a shape: built in seconds, kept for the runs that follow.

    None is ever let go: vLLM would then take down what the others of the process stand on.

    Args:
        shape: as from `shape_of`.
        dtype: `float32` or `bfloat16`, of weights and passes.

    Raises:
        ValueError: if vLLM is not installed, or has no kernel for the model.
    """
    return Server(shape, dtype)


def shape_of(model: Any) -> str:
    """A model's config.json, without stop tokens: every question names its own.

    Tied embeddings count as two: handed over as one, vLLM's CPU build keeps its old output layer.
    """
    config = copy.deepcopy(model.config)
    config.name_or_path, config.architectures, config.tie_word_embeddings = "", [type(model).__name__], False
    config.eos_token_id = None
    return config.to_json_string(use_diff=False)


def _check_heads(shape: str, on_gpu: bool) -> None:
    """Refuse, on a CPU, heads that no kernel takes: vLLM would say so only while it samples, and not in one line."""
    from vllm.v1.attention.backends.cpu_attn import CPUAttentionBackend

    config, allowed = json.loads(shape), CPUAttentionBackend.get_supported_head_sizes()
    size = config.get("head_dim") or config.get("hidden_size", 0) // config.get("num_attention_heads", 1)
    if size and not on_gpu and size not in allowed:
        raise ValueError(
            f"base.model: its head dimension is {size}; on a CPU engine vllm supports"
            f" {', '.join(map(str, allowed))}; tiny32 and medium are such base models"
        )


def _import() -> None:
    """Import the package in its environment.

    Raises:
        ValueError: if it is not installed.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        import vllm  # noqa: F401
    except ImportError as error:
        raise ValueError(f"engine = 'vllm': {error}; `make vllm` installs its CPU build") from None


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Random states and torch's threads stay as they were, and warnings unsaid: vLLM seeds, draws and binds."""
    threads, numpy_state, python_state = torch.set_num_threads, np.random.get_state(), random.getstate()  # noqa: NPY002
    try:
        with torch.random.fork_rng(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.set_num_threads = threads
        np.random.set_state(numpy_state)  # noqa: NPY002
        random.setstate(python_state)
