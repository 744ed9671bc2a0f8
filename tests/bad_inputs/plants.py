"""What stands in the folder of a bad input before its command is given: `plant(names, folder, records)`."""

from collections.abc import Sequence
from pathlib import Path

from tests.bad_inputs import checkpoints, data, records
from tests.bad_inputs.option_files import FILES
from tests.bad_inputs.scene import Scene


def _folder(folder: Path, records: Path) -> None:
    (folder / "folder").mkdir()


def _python_folder(folder: Path, records: Path) -> None:
    (folder / "folder.py").mkdir()


SCENES: dict[str, Scene] = {
    "folder": _folder,
    "folder.py": _python_folder,
    **records.SCENES,
    **checkpoints.SCENES,
    **data.SCENES,
}


def plant(names: Sequence[str], folder: Path, records: Path) -> None:
    """Make what these names stand for.

    Args:
        names: of `FILES` or `SCENES`.
        folder: where the command is given.
        records: a folder of finished runs to copy from, its table under `ablate-x`.
    """
    for name in names:
        if name.startswith("without-"):
            continue  # a package that the test hides
        if name in SCENES:
            SCENES[name](folder, records)
        else:
            content = FILES[name]
            (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
