"""Check that two machines run the same code, before a run starts on another machine."""

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from vapo_core.sources import Source

LIBRARIES = ("torch", "transformers", "numpy")
"""Libraries whose version can change the numbers."""

CODE = Source(("vapo_core", "experiments"))


@cache
def fingerprint() -> dict[str, str]:
    """Name -> version of everything the numbers depend on; this project's code is identified by a hash of its source."""
    return {
        "vapo-lab's source": CODE.hash,
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
