"""Parts of a plan: together the whole, none twice, and their tables those of the undivided plan."""

import json

import pytest

from experiments.cli import main
from experiments.launchers.launching import part_of, shard_of
from tests.experiments.test_cli import TINY
from tests.support.faults.verdict import tables_equal
from tests.support.servers.ray_cluster import free_port
from tests.support.worlds import small_spec


@pytest.fixture(autouse=True)
def _no_tracking(monkeypatch):
    """A store that does not answer: a new one for every folder would take longer than all runs."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")


def test_parts_are_the_whole_and_share_nothing():
    specs = [small_spec(seed=seed) for seed in range(23)]
    for parts in (1, 2, 5, 30):
        found = [part_of(specs, f"{i + 1}/{parts}") for i in range(parts)]
        assert sorted(spec.seed for part in found for spec in part) == list(range(23))
        assert max(map(len, found)) - min(map(len, found)) <= 1
    assert part_of(specs, "") == specs
    assert part_of(specs[::-1], "2/3") == part_of(specs, "2/3")[::-1]  # which runs: by hash alone; in the plan's order


@pytest.mark.parametrize("text", ["0/4", "5/4", "3", "a/b", "1/0", "-1/3", "1/4/2"])
def test_what_is_no_part_is_refused_in_one_line(text, capsys, tmp_path):
    with pytest.raises(ValueError, match="shard"):
        shard_of(text)
    assert main(["ablate", f"--shard={text}", "--runs", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "shard" in said


def test_a_slurm_array_from_0_is_told_how_to_count():
    with pytest.raises(ValueError, match=r"--array=1-16"):
        shard_of("0/16")


def test_shards_in_folders_of_their_own_give_the_table_of_the_whole(tmp_path, capsys):
    """Each part in its own folder, then brought together; no part makes tables, the command after them runs nothing."""
    words = ["ablate", "--preset", "smoke", "--design", "one-at-a-time", "--vary", "alpha", "0.2", "0.5", *TINY]
    whole, parts = tmp_path / "whole", [tmp_path / f"part{i}" for i in (1, 2)]
    assert main([*words, "--runs", str(whole)]) == 0
    for i, part in enumerate(parts, 1):
        assert main([*words, "--runs", str(part), "--shard", f"{i}/2", "--workers", "1"]) == 0
        assert not list(part.glob("ablate-*/runs.csv"))
    names = [{path.parent.name for path in part.glob("*/row.json")} for part in parts]
    assert not names[0] & names[1]
    assert names[0] | names[1] == {path.parent.name for path in whole.glob("*/row.json")}
    together = tmp_path / "together"
    capsys.readouterr()
    assert main(["collect", *map(str, parts), "--runs", str(together)]) == 0
    assert capsys.readouterr().out.count("collected 2 runs") == 2
    before = {path: path.read_bytes() for path in together.glob("*/row.json")}
    assert main([*words, "--runs", str(together)]) == 0
    assert {path: path.read_bytes() for path in together.glob("*/row.json")} == before
    (one,), (two,) = (list(folder.glob("ablate-*/runs.csv")) for folder in (whole, together))
    assert one.parent.name == two.parent.name
    assert tables_equal(one.parent, two.parent)
    assert json.loads((one.parent / "config.json").read_text()) == json.loads((two.parent / "config.json").read_text())


def test_a_study_in_parts(tmp_path, capsys):
    words = ["study", "h2", "--preset", "smoke", "--level", "exact", "--dry-run", "--runs", str(tmp_path)]
    numbers = []
    for more in ([], ["--shard", "1/2"], ["--shard", "2/2"]):
        assert main([*words, *more]) == 0
        numbers.append(int(capsys.readouterr().out.split(" runs ")[0].rsplit(" ", 1)[1]))
    assert numbers[0] == numbers[1] + numbers[2]
    assert main([*words[:-3], "--judge", "--shard", "1/2", "--runs", str(tmp_path)]) == 2
