"""Detect a full disk from an error number or message, since libraries wrap the error in their own."""

import errno
from collections.abc import Iterator

NUMBERS = (errno.ENOSPC, errno.EDQUOT)

WORDS = (
    "no space left on device",
    "os error 28",
    "disk quota exceeded",
    "database or disk is full",
    "file write failed",
    "inline_container.cc",
)
"""Of Rust's writers (safetensors), of SQLite, and of torch.save, which never says why it could not write."""


def fullness(error: BaseException) -> int | None:
    """The number of the system's error (ENOSPC or EDQUOT) if an error comes of a full disk, however it was wrapped."""
    for cause in causes(error):
        if isinstance(cause, OSError) and cause.errno in NUMBERS:
            return cause.errno
        if any(words in str(cause).lower() for words in WORDS):
            return errno.ENOSPC
    return None


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it came of, the innermost last."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        yield error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
