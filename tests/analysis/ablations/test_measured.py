"""What probes measured, per arm: planted levels come back, runs without a number are left out and counted."""

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from analysis.ablations.measured import (
    HEADLINES,
    measured_figure,
    measured_rows,
    measured_table,
    measured_terminal,
)
from analysis.report.report import write_report
from analysis.statistics.intervals import paired, student
from analysis.tables.schema import Tables

FVU, NOISE = "value_error/fvu_held_out", "gradient_variance/trace_token"


@pytest.fixture
def probed(synthetic) -> Tables:
    """FVU falls by 0.1 along each run; ppo's is 0.2 above vapo's at every seed; grpo has none; noise in two runs only."""
    tables = synthetic(6)
    rows = []
    for _, run in tables.runs.iterrows():
        level = 0.3 + 0.01 * run["seed"] + (0.2 if run["arm"] == "ppo" else 0.0)
        if run["arm"] != "grpo":
            rows += [(run["spec"], 0, FVU, level + 0.1), (run["spec"], 100, FVU, level)]
        if run["arm"] == "vapo" and run["seed"] < 2:
            rows.append((run["spec"], 100, NOISE, 50.0 + run["seed"]))
        if run["arm"] == "vapo" and run["seed"] == 5:
            rows.append((run["spec"], 0, NOISE, 900.0))  # measured at the start only: no level at the end
    more = pd.DataFrame(rows, columns=["spec", "step", "metric", "value"])
    return Tables(tables.runs, pd.concat([tables.curves, more], ignore_index=True))


def test_levels_and_paired_differences(probed):
    table = measured_table(probed, "vapo").set_index(["arm", "metric"])
    home, ppo = table.loc[("vapo", FVU)], table.loc[("ppo", FVU)]
    levels = 0.3 + 0.01 * np.arange(6)
    assert tuple(home[["mean", "low", "high"]]) == pytest.approx(tuple(student(levels)))
    assert np.isnan(home["diff"])
    assert tuple(ppo[["diff", "diff_low", "diff_high"]]) == pytest.approx(tuple(paired(levels + 0.2, levels)))
    assert ppo["pairs"] == 6
    assert ("grpo", FVU) not in table.index
    assert table.loc[("vapo", NOISE), "runs"] == 2


def test_diverged_runs_are_left_out(probed):
    probed.runs.loc[(probed.runs["arm"] == "ppo") & (probed.runs["seed"] == 0), "state"] = "diverged"
    table = measured_table(probed, "vapo").set_index(["arm", "metric"])
    assert table.loc[("ppo", FVU), "runs"] == 5


def test_cells_in_words(probed):
    rows = {row.arm: row.cells for row in measured_rows(measured_table(probed, "vapo"), "vapo")}
    assert rows["ppo"][0].startswith("+0.2 ±")
    assert rows["ppo"][1] == "–"
    assert rows["vapo"][0].startswith("0.325 ±")
    console = Console(width=120, record=True, file=None)
    console.print(measured_terminal(measured_table(probed, "vapo"), "vapo"))
    assert "value error" in console.export_text()


def test_page_and_figure_show_it_and_a_page_without_probes_does_not(probed, synthetic, folder, tmp_path):
    text = write_report(folder(probed, "a"), tmp_path / "page.html").read_text()
    assert "Measured at the last step" in text
    assert HEADLINES[FVU] in text
    assert (
        "<h3>Measured at the last step" not in write_report(folder(synthetic(6), "b"), tmp_path / "p.html").read_text()
    )
    drawing = measured_figure(measured_table(probed, "vapo"), "vapo")
    assert set(drawing.data["metric"]) == {FVU, NOISE}


def test_no_probes_no_table(synthetic):
    assert measured_table(synthetic(3), "vapo").empty
