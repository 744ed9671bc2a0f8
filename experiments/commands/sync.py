"""`vapo sync`: upload finished runs that MLflow does not have."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from experiments.runs.inventory import listing, say_damage
from experiments.services.addresses import redacted
from experiments.services.heartbeat import alive
from experiments.specs.options import parse
from experiments.sync.invocation import begun, close_tracking, open_experiment, settle_store
from experiments.sync.reconcile import COMMANDS, fill, finished, lacking
from experiments.tracking.mlflow_run import tracking_uri, warn_away
from experiments.tracking.mlflow_store import BadAddress
from vapo_core.settings import Frozen


class SyncConfig(Frozen):
    """Upload finished runs that the tracking server (MLFLOW_TRACKING_URI) does not have yet."""

    runs: Path = Field(Path("runs"), description="folder of records")


def run(words: Sequence[str]) -> int:
    """Parse, compare, upload, say how many."""
    config = parse(SyncConfig, SyncConfig(), words, "sync")
    if not config.runs.is_dir():
        raise FileNotFoundError(f"no folder {config.runs}")
    uri = tracking_uri(config.runs)  # refuses an impossible address
    studies = finished(config.runs)
    known = {run_dir for run_dirs in studies.values() for run_dir in run_dirs}  # faults of these are said below
    uploaded, unreadable = 0, say_damage([entry for entry in listing(config.runs) if entry.run_dir not in known])
    try:
        settle_store(config.runs)
        for study, run_dirs in studies.items():
            missing, lost = _sync(config.runs, study, run_dirs)
            uploaded, unreadable = uploaded + missing - lost, unreadable + lost
    except BadAddress:
        raise
    except Exception as error:  # whatever MLflow raises of a store that cannot be reached or opened
        warn_away(error)
        return 1
    print(f"uploaded {uploaded} runs to {redacted(uri)}")
    return 1 if unreadable else 0


def _sync(runs: Path, study: str, run_dirs: Sequence[Path]) -> tuple[int, int]:
    """How many of a study's runs MLflow lacked, and how many of them could not be read."""
    with alive(runs / COMMANDS) as me:
        tracking = open_experiment(runs, study)
        missing = lacking(tracking, run_dirs)
        if not missing:
            return 0, 0
        tracking = begun(tracking, study, me)
        unreadable = fill(tracking, missing, study)
        close_tracking(tracking)
        return len(missing), unreadable
