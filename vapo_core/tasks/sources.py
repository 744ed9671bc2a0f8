"""Rows of public data sets: from the hub by name and revision, or from local files in the same format, by the same reader.

Files are parquet, JSON lines, JSON or Arrow, and need no package but pyarrow; nothing in them is executed or unpickled. A
path is the name of a file or folder, whatever characters it has: never a pattern, never an address.
"""

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from vapo_core.reading import reading
from vapo_core.tasks.json_lines import json_rows
from vapo_core.tasks.rows import Row

FORMATS: dict[str, str] = {".parquet": "parquet", ".jsonl": "json", ".json": "json", ".arrow": "arrow"}
"""File name ending -> what is in the file."""


OF_DATASETS = frozenset(("dataset_info.json", "state.json", "dataset_dict.json"))
"""What the package `datasets` writes beside its Arrow files."""


class Source(NamedTuple):
    """One split of a data set on the hub."""

    name: str
    split: str
    revision: str
    """Commit, so that the same problems come tomorrow."""
    config: str | None = None


def from_hub(source: Source, columns: Sequence[str]) -> Iterator[Row]:
    """Rows with some columns.

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
    yield from _table_rows(data.data.table, columns, f"data set {source.name}")


def from_files(path: Path, split: str, columns: Sequence[str]) -> Iterator[Row]:
    """Rows with some columns, from a file or from the files of a folder that carry the split's name.

    Raises:
        ValueError: naming file and row, if there is no such file, if it is in another format or cannot be read, if a column is
            missing, or if there is no row at all.
    """
    found = False
    for file in files_of(path, split):
        rows = json_rows(file) if FORMATS[file.suffix] == "json" else _arrow_rows(file, columns)
        for row in rows:
            found = True
            yield Row(row.place, {column: row.value(column) for column in columns})
    if not found:
        raise ValueError(f"path: {path} has no row for split {split!r}")


def _arrow_rows(file: Path, columns: Sequence[str]) -> Iterator[Row]:
    """Rows of a parquet file, or of an Arrow file or stream.

    Raises:
        ValueError: naming the file, if it cannot be read as such.
    """
    import pyarrow
    import pyarrow.ipc
    import pyarrow.parquet

    with reading(f"path: {file}", f"cannot be read as {FORMATS[file.suffix]}"), file.open("rb") as source:
        if file.suffix == ".parquet":
            table = pyarrow.parquet.ParquetFile(source).read()
        else:
            whole = source.read(len(_ARROW_FILE)) == _ARROW_FILE
            source.seek(0)
            table = (pyarrow.ipc.open_file if whole else pyarrow.ipc.open_stream)(source).read_all()
    yield from _table_rows(table, columns, f"path: {file}")


_ARROW_FILE = b"ARROW1"
"""What an Arrow file begins with, and a stream does not."""


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
        inside = [file for file in sorted(path.rglob("*")) if file.suffix in FORMATS and not file.name.startswith(".")]
        inside = [file for file in inside if file.name not in OF_DATASETS]
        inside = [file for file in inside if file.is_file()]
        found = [file for file in inside if marked.search(file.relative_to(path).as_posix().lower())]
    formats = {FORMATS.get(file.suffix) for file in found}
    if len(formats) != 1 or None in formats:
        allowed = ", ".join(FORMATS)
        raise ValueError(
            f"path: {path} has no data of split {split!r} in one format (allowed: {allowed}; {split} in the name)"
        )
    return found


def has_split(path: Path, split: str) -> bool:
    """Whether a folder has files of a split."""
    try:
        return path.is_dir() and bool(files_of(path, split))
    except ValueError:
        return False


def _table_rows(table: Any, columns: Sequence[str], name: str) -> Iterator[Row]:
    """Rows of an Arrow table as plain values.

    Raises:
        ValueError: naming a column that is missing and those there are.
    """
    missing = [column for column in columns if column not in table.column_names]
    if missing:
        raise ValueError(f"{name}: no column {missing[0]!r} (there are: {', '.join(table.column_names)})")
    number = 0
    with reading(name):
        batches = table.select(list(columns)).to_batches(1024)
    for batch in batches:
        with reading(name):
            found = batch.to_pylist()
        for values in found:
            number += 1
            yield Row(f"{name}, row {number}", values)


def import_datasets() -> Any:
    """The package.

    Raises:
        ValueError: naming the extra that installs it.
    """
    try:
        import datasets
    except ImportError:
        raise ValueError("data sets of the hub need the package datasets: pip install 'vapo-lab[real]'") from None
    return datasets


@contextmanager
def _quiet() -> Iterator[None]:
    """Without progress bars and without a line per attempt to reach the hub."""
    hub = import_datasets()
    loggers = [logging.getLogger(name) for name in ("huggingface_hub", "datasets")]
    before = [(logger, logger.level) for logger in loggers]
    barred = hub.are_progress_bars_disabled()
    hub.disable_progress_bars()
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in before:
            logger.setLevel(level)
        if not barred:
            hub.enable_progress_bars()
