"""Rows of public data sets: from the hub by name and revision, or from local files in the same format, by the same reader.

Files are parquet, JSON lines or Arrow; nothing in them is executed or unpickled.
"""

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

READERS: dict[str, str] = {".parquet": "parquet", ".jsonl": "json", ".json": "json", ".arrow": "arrow"}
"""File name ending -> builder of `datasets`."""


class Source(NamedTuple):
    """One split of a data set on the hub."""

    name: str
    split: str
    revision: str
    """Commit, so that the same problems come tomorrow."""
    config: str | None = None


def from_hub(source: Source, columns: Sequence[str]) -> Any:
    """An Arrow table of some columns.

    Raises:
        ValueError: if the hub has it not or cannot be reached, saying what to do.
    """
    hub = import_datasets()
    try:
        with _quiet():
            data = hub.load_dataset(source.name, source.config, split=source.split, revision=source.revision)
    except (OSError, ValueError, RuntimeError, hub.exceptions.DatasetsError) as error:
        raise ValueError(
            f"data set {source.name}: not on this machine, and the hub cannot give it ({type(error).__name__});"
            " name a local copy with --dials.path"
        ) from None
    return _table(data, columns, source.name)


def from_files(path: Path, split: str, columns: Sequence[str]) -> Any:
    """An Arrow table of some columns, from a file or from the files of a folder that carry the split's name.

    Raises:
        ValueError: if there is no such file, if it is in another format, or if it lacks a column.
    """
    files, hub = files_of(path, split), import_datasets()
    reader = READERS[files[0].suffix]
    try:
        with _quiet():
            data = hub.load_dataset(reader, data_files=[str(file) for file in files], split="train")
    except (OSError, ValueError, RuntimeError, hub.exceptions.DatasetsError) as error:
        reason = str(error.__cause__ or error).strip().split("\n")[0]
        raise ValueError(f"path: {files[0]} cannot be read as {reader}: {reason}") from None
    return _table(data, columns, str(path))


def files_of(path: Path, split: str) -> list[Path]:
    """The data files of a split: the file itself, or those under a folder with the split in their name or folder's name.

    Raises:
        ValueError: if there is none, or if they are of several formats.
    """
    if not path.exists():
        raise ValueError(f"path: no file or folder {path}")
    if path.is_file():
        found = [path]
    else:
        marked = re.compile(rf"(?<![a-z]){re.escape(split)}(?![a-z])")
        inside = [file for file in sorted(path.rglob("*")) if file.suffix in READERS and not file.name.startswith(".")]
        inside = [file for file in inside if file.name not in ("dataset_info.json", "state.json", "dataset_dict.json")]
        found = [file for file in inside if marked.search(file.relative_to(path).as_posix().lower())]
    formats = {READERS.get(file.suffix) for file in found}
    if len(formats) != 1 or None in formats:
        said = ", ".join(READERS)
        raise ValueError(
            f"path: {path} has no data of split {split!r} in one format (allowed: {said}; {split} in the name)"
        )
    return found


def has_split(path: Path, split: str) -> bool:
    """Whether a folder has files of a split."""
    try:
        return path.is_dir() and bool(files_of(path, split))
    except ValueError:
        return False


def rows_of(table: Any, text: Any) -> Iterator[Mapping[str, Any]]:
    """Rows as plain values, of several with one text the first alone.

    Args:
        table: as `from_hub` gives it.
        text: Arrow array or chunked array of strings, one per row, that tells problems apart.
    """
    import pyarrow

    numbered = pyarrow.table({"text": text, "row": pyarrow.array(range(len(text)))})
    first = numbered.group_by("text").aggregate([("row", "min")])["row_min"]
    for batch in table.take(first.sort()).to_batches(1024):
        yield from batch.to_pylist()


def _table(data: Any, columns: Sequence[str], name: str) -> Any:
    """The columns wanted.

    Raises:
        ValueError: naming one that is missing and those there are.
    """
    missing = [column for column in columns if column not in data.column_names]
    if missing:
        raise ValueError(f"data set {name}: no column {missing[0]!r} (there are: {', '.join(data.column_names)})")
    return data.data.table.select(list(columns))


def import_datasets() -> Any:
    """The package.

    Raises:
        ValueError: naming the extra that installs it.
    """
    try:
        import datasets
    except ImportError:
        raise ValueError("this task needs the package datasets: pip install 'vapo-lab[real]'") from None
    return datasets


@contextmanager
def _quiet() -> Iterator[None]:
    """Without progress bars and without a line per attempt to reach the hub."""
    hub = import_datasets()
    talkers = [logging.getLogger(name) for name in ("huggingface_hub", "datasets")]
    before = [(talker, talker.level) for talker in talkers]
    barred = hub.are_progress_bars_disabled()
    hub.disable_progress_bars()
    for talker in talkers:
        talker.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for talker, level in before:
            talker.setLevel(level)
        if not barred:
            hub.enable_progress_bars()
