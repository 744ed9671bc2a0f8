"""The picture of the benchmarks holds what is compared and nothing else."""

import pandas as pd
import pytest

from analysis.plots.benchmarks import ratios, read


def test_references_and_plain_quantities_are_not_drawn(tmp_path):
    rows = [
        ("gae", "128 tokens", "loop", "loop", 1.0, 1.0, 1.0),
        ("gae", "128 tokens", "blocks", "loop", 0.1, 0.09, 0.12),
        ("memory", "tiny", "peak", "", float("nan"), float("nan"), float("nan")),
    ]
    columns = ["part", "case", "variant", "reference", "ratio", "ratio_low", "ratio_high"]
    pd.DataFrame(rows[:2], columns=columns).to_csv(tmp_path / "a.csv", index=False)
    pd.DataFrame(rows[2:], columns=columns).to_csv(tmp_path / "b.csv", index=False)
    drawing = ratios(read(tmp_path))
    assert drawing.data[["variant", "ratio"]].values.tolist() == [["blocks", 0.1]]
    assert len(drawing.figure.axes) == 1


def test_nothing_measured(tmp_path):
    with pytest.raises(FileNotFoundError, match="no table"):
        read(tmp_path)
