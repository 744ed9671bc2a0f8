"""Files and folders: rights as the umask gives them, and a full disk said with the name of what there was no room for."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vapo_core.files import naming, whole_file, whole_folder
from vapo_core.full_disk import fullness

ROOT = Path(__file__).parents[2]

WRITE = """
import os, sys
os.umask(int(sys.argv[2], 8))
from pathlib import Path
import torch
from safetensors.torch import save_file
from tests.support.worlds import small_spec
from experiments.runs.run import run_one
from vapo_core.files import whole_file, whole_folder, write_whole
home = Path(sys.argv[1])
write_whole(home / "a" / "text", "x")
for again in range(2):
    with whole_folder(home / "folder") as scratch:
        save_file({"w": torch.zeros(2)}, scratch / "weights.safetensors")
        (scratch / "deeper").mkdir()
        torch.save({}, scratch / "deeper" / "optimizer.pt")
        save_file({"w": torch.zeros(2)}, scratch / "deeper" / "weights.safetensors")
run_one(small_spec(), home / "runs", "test")
"""


@pytest.mark.parametrize("mask", [0o022, 0o027, 0o077, 0o002])
def test_files_follow_the_umask(tmp_path, mask):
    """Weights that safetensors writes, warm critics, rows, locks: as others may read whatever else this user makes."""
    words = [sys.executable, "-c", WRITE, str(tmp_path), f"{mask:o}"]
    done = subprocess.run(
        words, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    made = list(tmp_path.rglob("*"))
    assert {path.name for path in made} >= {"weights.safetensors", "critic.safetensors", "row.json", "lock"}
    rights = {path: path.stat().st_mode & 0o777 for path in made}
    wrong = {path: oct(mode) for path, mode in rights.items() if mode != (0o777 if path.is_dir() else 0o666) & ~mask}
    assert wrong == {}


FULL = [
    OSError(errno.ENOSPC, "No space left on device"),
    OSError(errno.EDQUOT, "Disk quota exceeded"),
    RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),
    RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534"),
    RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed"),
    RuntimeError("(sqlite3.OperationalError) database or disk is full"),
]


@pytest.mark.parametrize("error", FULL, ids=str)
@pytest.mark.parametrize("whole", [whole_file, whole_folder])
def test_a_full_disk_is_told_in_every_librarys_words_and_names_the_file(tmp_path, whole, error):
    with pytest.raises(OSError, match=r"No space left|quota") as caught, whole(tmp_path / "thing"):
        raise type(error)(*error.args)
    assert caught.value.errno in (errno.ENOSPC, errno.EDQUOT)
    assert caught.value.filename == str(tmp_path / "thing")
    assert list(tmp_path.iterdir()) == []


def test_another_error_stays_what_it_is(tmp_path):
    with pytest.raises(RuntimeError, match="shapes"), whole_folder(tmp_path / "thing"):
        raise RuntimeError("shapes do not match")
    assert fullness(OSError(errno.EACCES, "Permission denied")) is None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_the_systems_own_full_device_is_named(tmp_path):
    with (
        pytest.raises(OSError, match="No space left") as caught,
        naming(tmp_path / "thing"),
        Path("/dev/full").open("w") as f,
    ):
        f.write("x")
    assert caught.value.filename == str(tmp_path / "thing")
