"""Batches of continuations that outlive a killed job: one line each in a file named after all that they depend on."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from vapo_core.files import naming, write_whole
from vapo_core.types import Batch, Problem, Rollout


class Continued(NamedTuple):
    """What continuing places gave and cost."""

    returns: np.ndarray
    """[N, K] results of K continuations at N places, in verifier units."""
    tokens: int
    """Tokens sampled."""


class Kept(dict[int, Continued]):
    """Finished batches by number. Setting one appends a line; a line that a kill cut short is forgotten."""

    def __init__(self, path: Path) -> None:
        """Read what is there.

        Raises:
            OSError: if the file cannot be read or written.
        """
        super().__init__()
        self._path = path
        text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        lines = [line for line in text.splitlines() if _readable(line)]
        for line in lines:
            entry = json.loads(line)
            super().__setitem__(entry["batch"], Continued(np.array(entry["returns"]), entry["tokens"]))
        write_whole(path, "".join(f"{line}\n" for line in lines))  # so that the next line starts on a line of its own

    def __setitem__(self, number: int, found: Continued) -> None:
        super().__setitem__(number, found)
        entry = {"batch": number, "returns": found.returns.tolist(), "tokens": found.tokens}
        with naming(self._path), self._path.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(entry) + "\n")


def job_name(
    world: Any, responses: Rollout | Batch, problems: Sequence[Problem], places: np.ndarray, numbers: Sequence[int]
) -> str:
    """16 hex digits of a SHA-256 over the world, its policy's weights, the problems, the responses, places and numbers."""
    asked = [(problem.prompt, repr(problem.answer)) for problem in problems]
    digest = hashlib.sha256(json.dumps([dict(world.identity), asked, [int(n) for n in numbers]]).encode())
    tensors = [*world.policy.state_dict().values(), *responses.inputs.values(), responses.mask, torch.as_tensor(places)]
    for tensor in tensors:
        digest.update(tensor.detach().cpu().reshape(-1).contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def _readable(line: str) -> bool:
    """Whether a line is a whole one of ours."""
    try:
        return {"batch", "returns", "tokens"} <= set(json.loads(line))
    except (ValueError, TypeError):
        return False
