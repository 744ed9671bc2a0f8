"""A grid over two settings or dials is found, drawn with its numbers, and put on the page."""

import pandas as pd

from analysis.ablations.grid import detect, heatmap
from analysis.report.report import write_report
from analysis.tables.schema import Tables


def gridded(synthetic) -> Tables:
    """alpha 0.25 and 0.5 by filler 0, 1 and 3, two seeds; AUC = alpha + filler / 100; a baseline beside it."""
    base = synthetic(2, arms=("vapo",))
    parts, curves = [synthetic(2, arms=("ppo",)).runs.assign(**{"dials.filler": 0, "value_pretraining": False})], []
    for alpha in (0.25, 0.5):
        for filler in (0, 1, 3):
            label = "vapo" if (alpha, filler) == (0.5, 0) else f"vapo alpha={alpha} filler={filler}"
            name = f"{alpha}-{filler}-"
            parts.append(
                base.runs.assign(
                    arm=label, spec=name + base.runs["spec"], auc=alpha + filler / 100, mean_length=10.0 * (1 + filler),
                    **{"settings.alpha": alpha, "dials.filler": filler},
                )
            )  # fmt: skip
            curves.append(base.curves.assign(spec=name + base.curves["spec"]))
    return Tables(pd.concat(parts, ignore_index=True), pd.concat(curves, ignore_index=True))


def test_grid_is_found_with_its_means(synthetic):
    grid = detect(gridded(synthetic).runs)
    assert (grid.rows, grid.columns) == ("settings.alpha", "dials.filler") or (
        grid.columns, grid.rows) == ("settings.alpha", "dials.filler")  # fmt: skip
    assert len(grid.cells) == 6
    cell = grid.cells[(grid.cells["settings.alpha"] == 0.25) & (grid.cells["dials.filler"] == 3)].iloc[0]
    assert (round(cell["auc"], 9), cell["mean_length"], cell["seeds"]) == (0.28, 40.0, 2)


def test_other_designs_and_half_a_grid_are_none(synthetic):
    assert detect(synthetic(2).runs) is None
    runs = gridded(synthetic).runs
    assert detect(runs[~runs["arm"].str.contains("alpha=0.25 filler=3")]) is None


def test_every_cell_is_printed_with_its_length(synthetic):
    drawing = heatmap(detect(gridded(synthetic).runs))
    texts = [text.get_text() for text in drawing.figure.axes[0].texts]
    assert len(texts) == 6
    assert "0.280\n40 tokens" in texts
    assert len(drawing.data) == 6


def test_the_page_shows_it(synthetic, folder, tmp_path):
    page = write_report(folder(gridded(synthetic)), tmp_path / "page.html").read_text()
    assert "<h3>Grid</h3>" in page
    assert "vapo alpha=0.25 filler=3" in page
