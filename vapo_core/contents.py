"""Content hashes of files: names and dates do not show whether a checkpoint or data file has changed."""

import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

READ = ("*.safetensors", "*.bin", "*.json", "*.jinja", "*.model", "*.tiktoken", "vocab.txt", "merges.txt",
        "additional_chat_templates/*")  # fmt: skip
"""What a checkpoint is made of: weights, configurations, tokenizers, chat templates; not a README or an optimiser."""


def content_of(file: Path) -> str:
    """16 hex digits of a file's content, read once per process unless the file is replaced meanwhile."""
    file = file.resolve()
    state = file.stat()
    return _digest(file, (state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns))


def checkpoint_files(folder: Path) -> dict[str, str]:
    """Name -> content of every file of a checkpoint; empty if there is no such folder."""
    return _contents(folder, (file for pattern in READ for file in folder.glob(pattern)))


def data_files(path: Path) -> dict[str, str]:
    """Name -> content of a data file, or of every file under a folder; empty if there is neither."""
    return {path.name: content_of(path)} if path.is_file() else _contents(path, path.rglob("*"))


def fingerprint(folder: Path) -> str:
    """16 hex digits of a whole checkpoint; empty if there is no such folder."""
    files = checkpoint_files(folder)
    return hashlib.blake2b(repr(files).encode(), digest_size=8).hexdigest() if files else ""


def _contents(folder: Path, files: Iterable[Path]) -> dict[str, str]:
    there = sorted(file for file in files if file.is_file() and not file.name.startswith("."))
    return {file.relative_to(folder).as_posix(): content_of(file) for file in there}


@cache
def _digest(file: Path, state: tuple[int, ...]) -> str:
    digest = hashlib.blake2b(digest_size=8)
    with file.open("rb") as handle:
        while block := handle.read(1 << 24):
            digest.update(block)
    return digest.hexdigest()
