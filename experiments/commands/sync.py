"""`vapo sync`: give MLflow the finished runs it does not have."""

import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from experiments.addresses import redacted
from experiments.options import parse
from experiments.track import Tracking, close_tracking, is_synced, open_tracking, tracking_uri
from experiments.upload import upload
from vapo_core.settings import Frozen


class SyncConfig(Frozen):
    """Upload finished runs that the tracking server (MLFLOW_TRACKING_URI) does not have yet."""

    runs: Path = Field(Path("runs"), description="folder of records")


def run(words: Sequence[str]) -> int:
    """Parse, upload, say how many."""
    config = parse(SyncConfig, SyncConfig(), words, "sync")
    if not config.runs.is_dir():
        raise FileNotFoundError(f"no folder {config.runs}")
    uri, opened = tracking_uri(config.runs), dict[str, Tracking]()
    waiting = [p.parent for p in sorted(config.runs.glob("*/row.json")) if not is_synced(p.parent, uri)]
    for home in waiting:
        study = json.loads((home / "row.json").read_text())["study"]
        if study not in opened:
            tracking = open_tracking(config.runs, study)
            if tracking is None:
                return 1
            opened[study] = tracking
        upload(home, study, opened[study])
    for tracking in opened.values():
        close_tracking(tracking)
    print(f"uploaded {len(waiting)} runs to {redacted(uri)}")
    return 0
