"""Several processes for one run: two of them, over gloo on this machine, against one."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from experiments.runs.run import run_one
from tests.support.two_ranks import DIVERGING, RECORDED, SHARED, endings, weights
from tests.support.worlds import run, trainer_of, untimed
from vapo_core.distributed.ranks import Single
from vapo_core.settings import Settings

pytest.importorskip("accelerate", reason="the extra `real` is not installed")

TOGETHER_S = 480.0
"""Longest two processes may take on a busy machine."""


def started(*words: str) -> list[subprocess.Popen]:
    """Two processes of `tests.support.two_ranks` that find each other on the loopback device."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    quiet = {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return [
        subprocess.Popen(
            [sys.executable, "-m", "tests.support.two_ranks", *words],
            env={**os.environ, **common, **quiet, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            cwd=Path(__file__).parents[3],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]


def ended(processes: list[subprocess.Popen]) -> list[tuple[int, str, str]]:
    """(exit code, stdout, stderr) of each; none outlives the test."""
    try:
        said = [process.communicate(timeout=TOGETHER_S) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(process.returncode, *texts) for process, texts in zip(processes, said, strict=True)]


@pytest.fixture(scope="module")
def alone(cache: Path):
    """What one process makes of the same specs; its base models serve the two."""
    found = {}
    for name, spec in SHARED.items():
        one = trainer_of(spec, cache)
        points = untimed(run(one))
        found[name] = points, weights(one)
    return found


@pytest.fixture(scope="module")
def two(alone, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder that two processes have left their outcomes in."""
    folder = tmp_path_factory.mktemp("two-ranks")
    (folder / "cache").mkdir()
    (folder / "cache" / "bases").symlink_to(cache / "bases")  # critics they have to warm themselves
    for code, _, errors in ended(started("shared", str(folder), str(folder / "cache"))):
        assert code == 0, errors
    return folder


@pytest.mark.parametrize("name", SHARED)
def test_two_processes_equal_one(name: str, alone, two: Path):
    """Metrics to 1e-5, weights to 5e-5: sums over rows, normalisers, noise, statistics and clipping must all be global.

    Adam turns the rounding of a gradient near 0 into a share of its rate of 4e-4: on one processor a single weight of
    4,096 differs by 2e-5.
    """
    points, own = alone[name]
    for rank in (0, 1):
        found = json.loads((two / f"{name}-{rank}.json").read_text())
        assert [step for step, _ in found] == [step for step, _ in points]
        for (_, new), (_, old) in zip(found, points, strict=True):
            assert new == pytest.approx(old, rel=1e-5, abs=1e-5)
        others = load_file(two / f"{name}-{rank}.safetensors")
        for key, value in own.items():
            torch.testing.assert_close(others[key], value, rtol=0, atol=5e-5, msg=f"rank {rank}: {key}")


def test_continuations_are_those_of_one_process(alone, two: Path, cache: Path):
    """What a place's continuations are must not depend on which rank samples them, nor on how many there are."""
    own = endings(trainer_of(SHARED["lm-vapo"], cache))
    assert len(own) == 6
    assert own == json.loads((two / "endings-0.json").read_text()) == json.loads((two / "endings-1.json").read_text())


def test_the_ranks_end_with_the_same_weights(two: Path):
    """Bit for bit: ranks that drift apart would go unnoticed in the metrics of rank 0."""
    for name in SHARED:
        first, second = (load_file(two / f"{name}-{rank}.safetensors") for rank in (0, 1))
        assert all(torch.equal(first[key], second[key]) for key in first)


def test_row_hash_and_files_do_not_depend_on_the_number_of_processes(two: Path, tmp_path: Path):
    """A study may have some of its runs from one GPU and some from eight."""
    row = run_one(RECORDED, tmp_path, "test")
    found = json.loads((two / "recorded" / RECORDED.hash / "row.json").read_text())
    assert found.keys() == row.keys()
    for name in row.keys() - {"seconds", "git_commit"}:
        assert found[name] == (
            pytest.approx(row[name], rel=1e-5, nan_ok=True) if isinstance(row[name], float) else row[name]
        )
    names = {path.name for path in (two / "recorded" / RECORDED.hash).iterdir()} - {"checkpoint"}
    assert names == {path.name for path in (tmp_path / RECORDED.hash).iterdir()}


def test_rank_0_alone_writes(two: Path):
    """Every point stands in the record once, and there is one attempt."""
    home = two / "recorded" / RECORDED.hash
    steps = [json.loads(line)["step"] for line in (home / "metrics.jsonl").read_text().splitlines()]
    assert steps == sorted(set(steps)) == list(range(RECORDED.steps + 1))
    assert (home / "attempts").read_text() == "1"


def test_two_processes_go_on_from_a_checkpoint(two: Path):
    """Interrupted after two steps and continued, the run equals the uninterrupted one bit for bit."""
    whole, resumed = (
        json.loads((two / kind / RECORDED.hash / "row.json").read_text()) for kind in ("recorded", "resumed")
    )
    assert resumed["attempts"] == 2
    assert {**resumed, "attempts": 1, "seconds": 0} == {**whole, "seconds": 0}
    inner = Path(RECORDED.hash, "checkpoint", "policy", "model.safetensors")
    left = [load_file(two / kind / inner) for kind in ("recorded", "resumed")]
    assert all(torch.equal(left[0][key], left[1][key]) for key in left[0])


def test_ranks_diverge_together(two: Path):
    """A rank that went on alone would wait for the others for ever."""
    reasons = [json.loads((two / f"diverged-{rank}.json").read_text()) for rank in (0, 1)]
    assert reasons[0] == reasons[1]
    assert "not finite" in reasons[0]
    assert DIVERGING.settings.policy_lr == 1e38


def test_a_process_that_dies_ends_the_run_with_a_message(tmp_path: Path):
    """Not a hang, not a traceback; and no row, so that the run can be given again."""
    first, second = ended(started("dying", str(tmp_path)))
    assert second[0] == 9
    assert first[0] == 2, first[2]
    assert "another process of this run has ended" in first[2]
    assert "Traceback" not in first[2]
    assert not list(tmp_path.glob("*/row.json"))


def test_weights_in_pieces_equal_one_process(alone, cache: Path, tmp_path: Path):
    """FSDP2 on gloo: warm-up, sampling, an update, a checkpoint, its resumption and another update, as one process has them."""
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "bases").symlink_to(cache / "bases")
    for code, _, errors in ended(started("sharded", str(tmp_path), str(tmp_path / "cache"))):
        assert code == 0, errors
    points, own = alone["lm-vapo"]
    wanted = {name: x for name, x in points[-1][1].items() if name != "activity/positive_lm_grad_ratio"}
    for rank in (0, 1):
        (step, found), *others = json.loads((tmp_path / f"sharded-{rank}.json").read_text())
        assert not others
        assert step == points[-1][0]
        assert found == pytest.approx(wanted, rel=1e-5, abs=1e-5)
        left = load_file(tmp_path / f"sharded-{rank}.safetensors")
        for key, value in own.items():
            torch.testing.assert_close(left[key], value, rtol=0, atol=5e-5, msg=f"rank {rank}: {key}")  # as above


def test_ranks_in_pieces_refuse_probes():
    """A probe reads all weights; that is said before anything is trained."""
    one = Many(0, 2)
    one.is_sharded = True
    with pytest.raises(ValueError, match="probes: curvature reads weights that FSDP spreads"):
        one.check(Settings(responses_per_step=32, group_size=4, mini_batches=8), {"curvature": 1})


class Many(Single):
    """Number 2 of many ranks, as far as shares go."""

    def __init__(self, number: int, size: int) -> None:
        self.number, self.size = number, size


@pytest.mark.parametrize(("rows", "size"), [(0, 3), (1, 3), (7, 2), (8, 3), (100, 7)])
def test_shares_are_every_row_once(rows: int, size: int):
    """Rows left out or counted twice would reweigh responses silently."""
    shares = [Many(number, size).share(rows) for number in range(size)]
    assert [row for share in shares for row in range(rows)[share]] == list(range(rows))
    lengths = [share.stop - share.start for share in shares]
    assert max(lengths) - min(lengths) <= 1


def test_more_processes_than_rows_are_refused():
    """Every rank must have a row of every mini-batch; said before anything starts, with what to change."""
    settings = Settings(responses_per_step=32, group_size=4, mini_batches=8)
    Many(0, 4).check(settings, {})
    with pytest.raises(ValueError, match=r"settings.mini_batches 8: 32 responses per step leave 4 .* 5 processes"):
        Many(0, 5).check(settings, {})
