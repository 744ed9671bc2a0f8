"""Files that are either whole or absent: written beside their final name, then renamed into place."""

import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from vapo_core.full_disk import fullness
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
    """Yield a file to write that takes the name `path` once the block ends well, and is gone if it does not.

    Raises:
        OSError: naming `path`, if the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = _beside(path)
    try:
        with naming(path), scratch.open("xb") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(scratch, path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise


def ensure_writable(folder: Path) -> None:
    """Make the folder if need be.

    Raises:
        OSError: naming the folder, if nothing can be written there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with naming(folder), tempfile.TemporaryFile(dir=folder):
        pass


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield a scratch folder that takes the name `path`, replacing what stood there, once the block ends well.

    What is in it may be read by whom the umask allows, whatever its writers made of that.

    Raises:
        OSError: naming `path`, if the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = _beside(path)
    scratch.mkdir()
    try:
        with naming(path):
            yield scratch
            _open_to_others(scratch)
            for file in scratch.rglob("*"):
                if file.is_file():
                    _to_disk(file)
        if path.exists():
            old = _beside(path)
            os.replace(path, old)
            os.replace(scratch, path)
            shutil.rmtree(old)
        else:
            os.replace(scratch, path)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Whatever a full disk raises within the block becomes an OSError that names the path.

    Neither the system nor most libraries say what it was that there was no room for.
    """
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise
    except Exception as error:
        number = fullness(error)
        if number is None:
            raise
        raise OSError(number, os.strerror(number), str(path)) from error


def _beside(path: Path) -> Path:
    """A name that nobody has, next to `path`: the system then gives what is made under it the rights of the umask."""
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}")


def _open_to_others(folder: Path) -> None:
    """Give every file in a fresh folder the rights that the umask gave the folder; safetensors keeps its own to itself."""
    rights = folder.stat().st_mode & 0o666
    for file in folder.rglob("*"):
        if file.is_file() and not file.is_symlink():
            file.chmod(rights)


@contextmanager
def dispensable(what: str, path: Path) -> Iterator[None]:
    """What cannot be written within the block is one warning line, for the work goes on without it.

    Raises:
        OSError: naming the path, if the disk is full: then nothing else could be written either.
    """
    try:
        yield
    except Exception as error:
        number = fullness(error)
        if number is not None:
            raise OSError(number, os.strerror(number), str(path)) from error
        print(f"warning: {path}: {what} could not be written ({reason_of(error)}); the run goes on", file=sys.stderr)


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
