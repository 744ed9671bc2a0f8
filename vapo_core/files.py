"""Files that are either whole or absent: written beside their final name, then renamed into place."""

import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from vapo_core.reading import reason_of


def write_whole(path: Path, text: str) -> None:
    """Write a text file so that no reader, crash or full disk ever sees half of it under its name."""
    write_whole_bytes(path, text.encode("utf-8"))


def write_whole_bytes(path: Path, content: bytes) -> None:
    """Write a binary file in the same way."""
    with whole_file(path) as handle:
        handle.write(content)


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """Yield a file to write that takes the name `path` once the block ends well, and is gone if it does not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        os.chmod(scratch, 0o644)
        os.replace(scratch, path)
    except BaseException as error:
        Path(scratch).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:  # a full disk does not say where
            error.filename = str(path)
        raise


def ensure_writable(folder: Path) -> None:
    """Make the folder if need be.

    Raises:
        OSError: naming the folder, if nothing can be written there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield a scratch folder that takes the name `path`, replacing what stood there, once the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        yield scratch
        for file in scratch.rglob("*"):
            if file.is_file():
                _to_disk(file)
        os.chmod(scratch, 0o755)
        if path.exists():
            old = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.old."))
            os.replace(path, old)
            os.replace(scratch, path)
            shutil.rmtree(old)
        else:
            os.replace(scratch, path)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


@contextmanager
def dispensable(what: str, path: Path) -> Iterator[None]:
    """What cannot be written within the block is one warning line, for the work goes on without it.

    Raises:
        OSError: naming the path, if the disk is full: then nothing else could be written either.
    """
    try:
        yield
    except Exception as error:
        if is_full_disk(error):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        print(f"warning: {path}: {what} could not be written ({reason_of(error)}); the run goes on", file=sys.stderr)


def is_full_disk(error: BaseException) -> bool:
    """Whether an error, or what it came of, says that a disk or a quota is full."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if "No space left on device" in str(cause):  # a library's own error, such as safetensors'
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _to_disk(file: Path) -> None:
    """Have its content written out, so that a name never outlives it."""
    with file.open("rb") as handle:
        os.fsync(handle.fileno())


def set_aside(path: Path, reason: str, consequence: str) -> Path:
    """Rename a damaged file or folder so that nothing is lost, say so in one line, and return its new path."""
    number = 1
    while (kept := path.with_name(f"{path.name}.damaged{number}")).exists():
        number += 1
    os.replace(path, kept)
    print(f"warning: {path}: {reason}; kept as {kept.name}, {consequence}", file=sys.stderr)
    return kept


def clear_scratch(folder: Path, name: str = "") -> None:
    """Remove what killed writers left beside `name` in a folder (beside any file, if none is given).

    Only while a lock keeps other writers out.
    """
    for path in folder.glob(f".{name}*"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
