"""Figures of a sweep hold the numbers they show, and the page loads nothing."""

import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from analysis.report.sweep_page import write_page
from analysis.sweeps.figures import contour, gaps_to_chosen, history, length_contour, slices
from analysis.sweeps.sweep import recommendations, trials_of
from tests.analysis.sweeps.test_sweep_tables import ALPHA, LAMBDA, join, make
from tests.support.html_page import assert_self_contained

BOTH = join(ALPHA, LAMBDA)


def two_settings():
    """A study over alpha and lambda_critic, six trials on a grid."""
    values = [0.1, 0.1, 1.0, 1.0, 10.0, 10.0]
    tables = make(values, 0.5 + 0.01 * np.arange(30).reshape(6, 5))
    tables.runs["lambda_critic"] = np.repeat([0.9, 0.99, 0.9, 0.99, 0.9, 0.99], 5)
    space = {"place": "", "role": "main", "setting": "lambda_critic", "scale": "horizon", "low": 0.0, "high": 0.999}
    return tables._replace(space=pd.concat([tables.space, pd.DataFrame([space])], ignore_index=True))


def test_history_is_the_choosing_mean_and_the_best_so_far():
    drawing = history(BOTH, "")
    own = drawing.data[drawing.data["role"] == "main"]
    assert own["choosing"].to_list() == pytest.approx([0.3, 0.5, 0.45])
    assert own["best_so_far"].to_list() == pytest.approx([0.3, 0.5, 0.5])
    lines = drawing.figure.axes[0].lines
    assert lines[0].get_ydata() == pytest.approx([0.3, 0.5, 0.5])


def test_a_pruned_trial_is_no_best_so_far():
    tables = make([0.1, 0.5, 1.0], [[0.3] * 5, [0.9], [0.4] * 5], outcomes=["complete", "pruned", "complete"])
    assert history(tables, "").data["best_so_far"].to_list() == pytest.approx([0.3, 0.3, 0.4])


def test_slice_shows_means_with_intervals_gaps_and_lengths():
    drawing = slices(BOTH, "", "main", recommendations(BOTH))
    score, gap, length = drawing.figure.axes
    bars = np.sort(np.array([segment[:, 1] for segment in score.containers[0].lines[2][0].get_segments()]), axis=0)
    assert bars == pytest.approx(np.sort(trials_of(BOTH, "", "main")[["low", "high"]].to_numpy(), axis=0))
    assert gap.containers[0].lines[0].get_ydata() == pytest.approx([-0.21, 0.28])
    assert length.lines[1].get_ydata() == pytest.approx([20, 21, 22])
    assert score.get_xscale() == "log"
    assert "alpha" in length.get_xlabel()


def test_gaps_are_paired_over_held_back_seeds():
    """0.30, 0.31, 0.32 less 0.50, 0.52, 0.54: -0.20, -0.21, -0.22; t(0.95, 2) * 0.01 / sqrt(3) = 0.016859."""
    gaps = gaps_to_chosen(BOTH, "", "main").set_index("trial")
    assert gaps.loc[0, "difference"] == pytest.approx(-0.21)
    assert gaps.loc[0, "difference_high"] - gaps.loc[0, "difference"] == pytest.approx(0.016859, rel=1e-4)
    assert 1 not in gaps.index


def test_a_pruned_trial_stands_at_its_paired_gap():
    """It ran an easy seed only: 0.1 below the chosen one there, hence 0.1 below the chosen one's mean."""
    scores = [[0.9, 0.3, 0.3, 0.3, 0.3], [0.8]]
    drawing = slices(make([0.1, 1.0], scores, outcomes=["complete", "pruned"]), "", "main", recommendations(BOTH))
    assert drawing.data["level"].to_list() == pytest.approx([0.42, 0.32])
    assert drawing.figure.axes[0].lines[-1].get_ydata() == pytest.approx([0.32])


def test_a_lambda_stands_at_its_horizon():
    drawing = slices(BOTH, "", "control", recommendations(BOTH))
    assert drawing.figure.axes[0].containers[0].lines[0].get_xdata() == pytest.approx([2, 10])
    assert "horizon 1 / (1 − fixed_lambda)" in drawing.figure.axes[2].get_xlabel()


def test_contour_over_two_settings_and_none_over_a_line():
    tables = two_settings()
    drawing = contour(tables, "", "main", ("alpha", "lambda_critic"))
    assert drawing is not None
    assert drawing.data["mean"].to_list() == pytest.approx([0.52, 0.57, 0.62, 0.67, 0.72, 0.77])
    assert drawing.figure.axes[0].lines[0].get_ydata() == pytest.approx([10, 100] * 3)
    line = tables._replace(runs=tables.runs.assign(lambda_critic=0.9))
    assert contour(line, "", "main", ("alpha", "lambda_critic")) is None


@pytest.mark.parametrize("tables", [BOTH, two_settings()], ids=["one setting", "two settings"])
def test_no_words_are_cut_off(tables):
    drawings = [history(tables, ""), slices(tables, "", "main", recommendations(tables))]
    for figure in (drawing.figure for drawing in drawings):
        figure.canvas.draw()
        words = [child for axes in figure.axes for child in axes.get_children() if isinstance(child, Text)]
        for text in [*(text for text in words if text.get_text()), *figure.legends]:
            box = text.get_window_extent()
            assert figure.bbox.x0 <= box.x0
            assert box.x1 <= figure.bbox.x1, text


def test_alpha_against_length_needs_several_places():
    """The colour is the difference to the best of the same place."""
    near, far = (
        make([0.1, 1.0, 10.0], [[0.5] * 5, [top] * 5, [0.4] * 5], place=place, length=length)
        for place, top, length in (("filler = 0", 0.6, 20.0), ("filler = 2", 0.9, 60.0))
    )
    assert length_contour(near, "alpha") is None
    drawing = length_contour(join(near, far), "alpha")
    assert drawing is not None
    assert drawing.data["loss"].to_list() == pytest.approx([-0.1, 0, -0.2, -0.4, 0, -0.5])
    assert drawing.figure.axes[0].lines[0].get_ydata() == pytest.approx([21] * 3 + [61] * 3)


def test_the_page_is_one_file_with_everything_and_escapes_what_it_shows(tmp_path):
    tables = BOTH._replace(runs=BOTH.runs.assign(task='"><script>alert(1)</script>'))
    text = write_page(tables, tmp_path).read_text()
    assert "recommended: alpha = 0.5" in text
    assert "fANOVA (64 trees)" in text
    page = assert_self_contained(text)
    assert [a["download"] for a in page.all("a") if "download" in a] == [
        "history.csv",
        "slice.csv",
        "slice-constant.csv",
    ]
    assert {p.name for p in (tmp_path / "figures").iterdir()} >= {"history.png", "slice.csv", "slice-constant.svg"}


def test_the_page_of_several_places_has_a_section_each_and_the_contour_over_lengths(tmp_path):
    places = [
        make([0.1, 1.0, 10.0], [[0.5] * 5, [0.6] * 5, [0.4] * 5], place=f"filler = {n}", length=20.0 + 10 * n)
        for n in (0, 2)
    ]
    text = write_page(join(*places), tmp_path).read_text()
    assert re.findall("<h3>(.*?)</h3>", text) == ["filler = 0", "filler = 2", "Over all lengths"]
    assert (tmp_path / "figures" / "slice-filler-2.png").exists()
    assert (tmp_path / "figures" / "contour-alpha-length.csv").exists()


def test_a_study_without_a_complete_trial_is_shown_and_not_recommended(tmp_path):
    tables = join(ALPHA, make([0.5], [[0.9]], role="control", setting="fixed_lambda", outcomes=["pruned"]))
    text = write_page(tables, tmp_path).read_text()
    assert "no trial of fixed_lambda is complete" in text
    assert "difference to" not in text.split('<h2 id="how')[0].split("Difference")[0]
