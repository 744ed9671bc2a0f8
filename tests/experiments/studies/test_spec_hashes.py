"""Every preset's runs keep their names: a changed hash would make committed results count as missing.

A change on purpose rewrites the list: python -m tests.experiments.studies.test_spec_hashes
"""

import hashlib
from pathlib import Path

import pytest

from experiments.studies import STEMS
from tests.support.listed import names_of

LIST = Path(__file__).parents[2] / "golden" / "spec_hashes.txt"
PRESETS = ("smoke", "quick", "full", "real")
PLANS = [(stem, preset) for stem in STEMS for preset in PRESETS]


def line(stem: str, preset: str) -> str:
    """Study, preset, number of runs, SHA-256 over their hashes in the order in which they start."""
    hashes = names_of(stem, preset)
    return f"{stem} {preset} {len(hashes)} {hashlib.sha256(chr(10).join(hashes).encode()).hexdigest()}"


def test_the_list_has_a_line_per_study_and_preset():
    assert [tuple(text.split()[:2]) for text in LIST.read_text().splitlines()] == PLANS


@pytest.mark.parametrize(("stem", "preset"), PLANS)
def test_runs_keep_their_names(stem, preset):
    assert line(stem, preset) in LIST.read_text().splitlines()


if __name__ == "__main__":
    LIST.write_text("".join(f"{line(stem, preset)}\n" for stem, preset in PLANS))
