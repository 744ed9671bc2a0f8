"""Where a command's tables, figures and report go: a folder that no other outcome is written to.

vapo study STEM --preset full    results/STEM
vapo study STEM                  runs/study-STEM-PRESET
vapo ablate, vapo sweep          runs/NAME, or runs/NAME-MARK if anything differs from the preset
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def study_folder(stem: str, preset: str, runs: Path, results: Path) -> Path:
    """Of a study: preset full is committed, everything else stays among the records."""
    return results / stem if preset == "full" else runs / f"study-{stem}-{preset}"


def marked_folder(runs: Path, name: str, differs: Mapping[str, Any]) -> Path:
    """Of an ablation or a sweep: its plain name says its preset; what differs from that adds six hex digits of a hash."""
    if not differs:
        return runs / name
    text = json.dumps(differs, sort_keys=True, default=str)
    return runs / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"
