"""Check that two machines run the same code, before a run starts on another machine."""

import hashlib
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

LIBRARIES = ("torch", "transformers", "numpy")
"""Libraries whose version can change the numbers."""

ROOT = Path(__file__).parents[2]


@cache
def fingerprint() -> dict[str, str]:
    """Name -> version of everything the numbers depend on; this project's code is identified by a hash of its source."""
    own = hashlib.sha256()
    for path in sorted([*(ROOT / "vapo_core").rglob("*.py"), *(ROOT / "experiments").rglob("*.py")]):
        own.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    return {
        "vapo-lab's source": own.hexdigest()[:12],
        "Python": ".".join(platform.python_version_tuple()[:2]),
        **{name: _version(name) for name in LIBRARIES},
    }


def difference(here: dict[str, str], there: dict[str, str]) -> str:
    """The differences, such as `torch 2.12.0 there, 2.13.0 here`; "" if there are none."""
    return ", ".join(
        f"{name} {there.get(name, 'missing')} there, {ours} here"
        for name, ours in here.items()
        if there.get(name) != ours
    )


def _version(name: str) -> str:
    try:
        return version(name).split("+")[0]  # builds for CPU and GPU of one version go together
    except PackageNotFoundError:
        return "missing"
