"""One run on a node of a cluster. The node keeps base models, warm critics and unfinished runs in its own folder."""

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from experiments.launchers.workers import AttemptResult, Job, attempt, one_thread
from experiments.runs.delivery import Piece, pieces
from experiments.specs.exact import read_spec
from experiments.specs.plugin import Plugin, install
from experiments.specs.same_code import difference, fingerprint
from experiments.tracking.mlflow_run import Tracking


class Refusal(NamedTuple):
    """This node cannot do what the others do."""

    reason: str


def run_here(
    text: str, study: str, tracking: Tracking | None, code: dict[str, str], plugin: Plugin | None = None
) -> Iterator[Refusal | AttemptResult | Piece]:
    """Run a spec given as JSON, then yield what came of it and, if there is a row, the files of its folder.

    The command hands its plugin over, if it has one.

    A base or a warm critic is made once per node, under a file lock. An unfinished run stays and is continued here by a
    later attempt; one that was handed over is removed.
    """
    name = socket.gethostname()
    if other := difference(code, fingerprint()):
        yield Refusal(f"node {name} has different code or libraries: {other}; install the same versions there")
        return
    one_thread()
    install(plugin)
    cache = node_cache()
    spec = read_spec(text)
    answer = attempt(spec, Job(cache, study, tracking))
    if answer.row is None:
        reason = f"on node {name}: {answer.reason}"
        yield answer._replace(reason=reason, storage=None)  # a full disk there is no full disk here
        return
    yield answer
    yield from pieces(cache / spec.hash)
    shutil.rmtree(cache / spec.hash, ignore_errors=True)


def node_cache() -> Path:
    """VAPO_NODE_CACHE, else a folder of this user's own among the temporary ones.

    Raises:
        PermissionError: if that folder belongs to somebody else.
    """
    if chosen := os.environ.get("VAPO_NODE_CACHE"):
        return Path(chosen)
    folder = Path(tempfile.gettempdir()) / f"vapo-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to another user; set VAPO_NODE_CACHE")
    return folder / "runs"
