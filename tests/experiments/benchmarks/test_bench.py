"""The benchmarks run, compare what they say, and their rows reach tables and figure. Nothing here is timed."""

import numpy as np

from experiments.benchmarks import PARTS, part
from experiments.benchmarks.advantages import largest_difference
from experiments.benchmarks.timing import rows, take_turns
from experiments.cli import main


def test_every_part_can_be_found():
    for name in PARTS:
        assert callable(part(name))


def test_ratios_are_taken_within_turns():
    """The machine slows down fivefold in the second turn: the ratio stays 2."""
    seconds = {"floor": np.array([1.0, 5.0, 1.0]), "ours": np.array([2.0, 10.0, 2.0])}
    floor, ours = rows("part", "case", seconds, "floor", 10, "tokens")
    assert (floor.ratio, ours.ratio, ours.ratio_low, ours.ratio_high) == (1.0, 2.0, 2.0, 2.0)
    assert ours.value == 2.0


def test_turns_go_both_ways_round_and_the_first_is_not_kept():
    order: list[str] = []
    found = take_turns({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 2)
    assert order == ["b", "a", "a", "b", "b", "a"]
    assert {len(x) for x in found.values()} == {2}


def test_gae_equals_the_plain_loop():
    import torch

    assert largest_difference(5000, torch.float64) < 1e-6
    assert largest_difference(5000, torch.float32) < 1e-4


def test_the_command_writes_tables_machine_and_figure(tmp_path, capsys):
    words = ["bench", "--quick", "--parts", "per_response", "--runs", str(tmp_path)]
    assert main(words) == 0
    out = tmp_path / "benchmarks"
    assert {path.name for path in out.iterdir()} == {
        "per_response.csv", "machine.txt", "figure.png", "figure.svg", "figure.csv",
    }  # fmt: skip
    assert "one batch gradient" in capsys.readouterr().out


def test_an_unknown_part_is_one_clear_line(capsys):
    assert main(["bench", "--quick", "--parts", "rolluts"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("vapo: part: no part 'rolluts'; did you mean 'rollouts'?")
    assert said.count("\n") == 1
