"""Runs of the exact level: named by content, finished by row.json, beside trained ones in every table and store."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from analysis.tables.schema import load
from experiments.commands.sync import run as sync
from experiments.exact_level.plans import Bias, Blame, Error, Theory
from experiments.exact_level.registry import MEASURES
from experiments.launchers.launch import local_map
from experiments.records.points import read_points
from experiments.runs.collect import collect, from_mlflow, from_records, write_tables
from experiments.runs.inventory import find, listing
from experiments.runs.run import describe, finished_row, run_one
from experiments.specs.exact import ExactSpec, exact_spec, read_spec
from experiments.sync.invocation import close_tracking, open_tracking
from experiments.tracking.mlflow_run import tracking_uri
from tests.support.exact_runs import ALL
from tests.support.worlds import small_spec

ROOT = Path(__file__).parents[3]


def small(seed=0, **fields) -> ExactSpec:
    return exact_spec(Bias(measure="bias", lengths=(16,), **fields), seed)


def test_hash_is_of_content():
    """Defaults written out change nothing; the measurement does, even where all else is default."""
    assert small().hash == small(error=Error(), variable=False).hash
    assert len({small().hash, small(seed=1).hash, small(error=Error(size=0.2)).hash}) == 3
    results = {exact_spec(Theory(measure="theory", result=name), 0).hash for name in ("r1", "r2")}
    assert len(results) == 2
    assert exact_spec(Blame(measure="blame"), 0).hash != exact_spec(Bias(measure="bias"), 0).hash
    assert {small()} == {ExactSpec.model_validate_json(small().model_dump_json())}


def test_unknown_keys_and_measurements_are_refused():
    with pytest.raises(ValueError, match="extra"):
        Bias(measure="bias", lambdaz=(0.5,))
    with pytest.raises(ValueError, match="bia"):
        ExactSpec(world="exact", plan={"measure": "bia"}, seed=0)


def test_specs_come_back_from_their_json():
    for spec in (small(), small_spec()):
        assert read_spec(spec.model_dump_json()) == spec


def test_a_finished_run_is_kept_and_a_damaged_one_made_again(tmp_path):
    spec = small()
    first = run_one(spec, tmp_path, "h1")
    home = tmp_path / spec.hash
    assert run_one(spec, tmp_path, "h1") == first
    assert (home / "attempts").read_text() == "1"
    arrays = (home / "probes.jsonl").read_text()
    (home / "probes.jsonl").unlink()
    run_one(spec, tmp_path, "h1")
    assert (home / "attempts").read_text() == "2"
    assert (home / "probes.jsonl").read_text() == arrays  # and the same numbers
    (home / "row.json").write_text("{")
    assert finished_row(spec, tmp_path) is None
    run_one(spec, tmp_path, "h1")
    assert finished_row(spec, tmp_path) is not None


def test_columns_say_what_was_measured():
    told = describe(small(error=Error(kind="position"), variable=True), "h1")
    assert (told["world"], told["task"], told["error.kind"], told["variable"], told["lengths"]) == (
        "exact", "bias", "position", True, "16",
    )  # fmt: skip
    assert told["dials.branching"] == 3


def test_exact_and_trained_runs_share_a_command_and_a_table(tmp_path):
    specs = [small(), small_spec(), small(seed=1)]
    assert local_map(specs, tmp_path, "h1", 1, None, lambda spec, row: None) == []
    assert collect(specs, tmp_path, tmp_path / "out") == 3
    tables = load(tmp_path / "out")
    assert tables.runs["world"].to_list() == ["exact", "walk", "exact"]
    arrays = tables.probes[tables.probes["probe"] == "exact/bias"]
    assert set(arrays["spec"]) == {specs[0].hash, specs[2].hash}
    wide = arrays[arrays["spec"] == specs[0].hash].pivot(index="item", columns="column", values="value")
    assert len(wide) == 4 * 8
    assert {entry.spec for entry in listing(tmp_path)} == set(specs)
    with pytest.raises(ValueError, match="nothing was trained"):
        _ = find(tmp_path, specs[0].hash).trained


def test_store_and_records_give_the_same_tables(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    specs = [small(), exact_spec(Theory(measure="theory", result="r9"), 0)]
    tracking = open_tracking(tmp_path, "h1")
    run_one(specs[0], tmp_path, "h1", tracking)
    close_tracking(tracking)
    run_one(specs[1], tmp_path, "h1")
    assert sync(["--runs", str(tmp_path)]) == 0
    write_tables(from_records(specs, tmp_path), tmp_path / "local")
    write_tables(from_mlflow(tracking_uri(tmp_path), "h1", [s.hash for s in specs]), tmp_path / "store")
    for name in ("runs.csv", "curves.parquet", "probes.parquet"):
        read = pd.read_csv if name.endswith("csv") else pd.read_parquet
        pd.testing.assert_frame_equal(read(tmp_path / "local" / name), read(tmp_path / "store" / name))


@pytest.mark.parametrize("stem", list(ALL))
def test_presets(stem):
    """Seeds of full start at 1000, those of smoke and quick lie below; full replicates over 64 families."""
    full, quick = ALL[stem]("full"), ALL[stem]("quick")
    assert len(set(full)) == len(full)
    assert min(spec.seed for spec in full) == 1000
    assert max(spec.seed for spec in quick) < 1000
    drawn = [spec for spec in full if not isinstance(spec.plan, Theory)]
    assert {spec.seed for spec in drawn} in (set(range(1000, 1064)), set())
    with pytest.raises(ValueError, match="no exact runs"):
        ALL[stem]("real")


def test_every_measurement_of_the_smoke_preset_runs(smoke_runs):
    firsts = {spec.plan.measure: spec for runs in ALL.values() for spec in reversed(runs("smoke"))}
    specs = [spec for measure, spec in firsts.items() if measure != "theory"]
    rows = [run_one(spec, smoke_runs, "smoke") for spec in specs]
    assert {row["task"] for row in rows} == set(MEASURES) - {"theory"}
    assert all(read_points(smoke_runs / spec.hash / "metrics.jsonl")[0][1] for spec in specs)  # else it counts as none
    assert all(json.loads((smoke_runs / spec.hash / "row.json").read_text())["state"] == "finished" for spec in specs)


def test_specs_import_no_torch():
    finding = "from experiments.studies import STEMS, find; [find(stem) for stem in STEMS]"
    code = f"{finding}; import sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
