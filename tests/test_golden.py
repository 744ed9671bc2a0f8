"""Golden trajectories. If one moves, raise that world's number in `experiments.specs.spec.PROTOCOLS` and make it again:

`python -m tests.test_golden` writes `tests/golden/*.json`. They were made by this code itself, on one machine; the
tolerance leaves room for another machine's rounding, not for another algorithm.
"""

import json
import tempfile
from pathlib import Path

import pytest

from experiments.specs.spec import PROTOCOLS
from tests.support.worlds import run, small_spec, trainer_of

FOLDER = Path(__file__).parent / "golden"
NAMES = ("val/exact_j", "actor/entropy", "critic/vf_loss", "actor/grad_norm", "response_length/mean")
STEPS = {"walk": 6, "lm": 2}


def trajectory(world: str, cache: Path) -> list[dict[str, float]]:
    points = run(trainer_of(small_spec(world, steps=STEPS[world]), cache))
    return [{"step": step, **{k: v for k, v in metrics.items() if k in NAMES}} for step, metrics in points]


@pytest.mark.parametrize("world", ["walk", "lm"])
def test_the_trajectory_has_not_moved(world, cache):
    """Rows of before and after a change of the algorithm must never mix."""
    golden = json.loads((FOLDER / f"{world}.json").read_text())
    assert golden["protocol"] == PROTOCOLS[world]
    found = trajectory(world, cache)
    assert len(found) == len(golden["points"])
    for new, old in zip(found, golden["points"], strict=True):
        assert new == pytest.approx(old, rel=0.02, abs=0.02)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        for name, number in PROTOCOLS.items():
            if name in STEPS:
                content = {"protocol": number, "points": trajectory(name, Path(scratch))}
                (FOLDER / f"{name}.json").write_text(json.dumps(content, indent=1))
