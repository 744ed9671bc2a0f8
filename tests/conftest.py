"""One thread per process, so that workers do not fight for cores, and one cache of base models for the whole session."""

import os
from pathlib import Path

import pytest
import torch

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")  # of the processes that tests start
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Base models pretrained once and shared by all test processes."""
    folder = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        folder = folder.parent
    return folder / "cache"


@pytest.fixture(scope="session")
def smoke_runs(cache: Path) -> Path:
    """Records of runs of preset smoke: what several tests read is run once."""
    return cache.parent / "smoke"
