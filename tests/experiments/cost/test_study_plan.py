"""What a study still costs, from what finished runs took."""

import json

import pytest

from experiments.cost.study_plan import kind_of, measured_pace, study_cost
from tests.support.worlds import small_spec


def record(runs, spec, seconds):
    home = runs / spec.hash
    home.mkdir()
    row = {
        "world": spec.world, "task": spec.task.name, "steps": spec.steps, "base": "tiny:0", "seconds": seconds,
        "probes": " ".join(f"{name}={every}" for name, every in sorted(spec.probes.items())),
    }  # fmt: skip
    (home / "row.json").write_text(json.dumps(row))


def test_runs_with_probes_have_a_pace_of_their_own(tmp_path):
    plain, probed = small_spec(), small_spec().model_copy(update={"probes": {"curvature": 5, "credit": 2}})
    for seed, seconds in enumerate((1.0, 2.0, 3.0)):
        record(tmp_path, plain.model_copy(update={"seed": seed}), seconds)
        record(tmp_path, probed.model_copy(update={"seed": seed}), 10 * seconds)
    pace = measured_pace(tmp_path)
    assert (pace[kind_of(plain)], pace[kind_of(probed)]) == (2.0, 20.0)
    todo = [probed.model_copy(update={"seed": seed}) for seed in range(10, 190)]
    said = " ".join(study_cost("h3", "full", todo, todo, tmp_path, 2))
    assert "about 1.00 core-hours" in said
    assert "pace of 180 of 180 known" in said


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"world": "walk"}'])
def test_a_row_that_cannot_be_read_tells_no_pace(tmp_path, text):
    (tmp_path / "0123456789abcdef").mkdir()
    (tmp_path / "0123456789abcdef" / "row.json").write_text(text)
    assert measured_pace(tmp_path) == {}
