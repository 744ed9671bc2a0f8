"""The counting of errors and power, on a question whose judge is known to be right, and on judges known to be wrong."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from analysis.verdict.decisions import CORRECTED
from experiments.studies import STEMS, find
from tests.calibration import example, run
from tests.calibration.run import CLAIMS, Place, calibrate, check, outcomes, places, table
from tests.calibration.sources import ROOT, files, fingerprint

HERE = "tests.calibration.example"
GOOD, SAME = Place("x9a", HERE, HERE, HERE), Place("x9b", HERE, HERE, HERE)
TABLE = ROOT / "tests" / "soak" / "calibration.csv"


@pytest.fixture
def judged(monkeypatch):
    """Put another judge in the example's place."""

    def put(judge):
        monkeypatch.setattr(example, "x9a", judge)
        return GOOD

    return put


def shares(rows):
    return {row["claim"]: row["share"] for row in rows}


def test_a_right_judge_has_the_power_of_theory():
    """32 pairs, sd 0.015 sqrt 2 of a difference: power for support at 2 delta by the non-central t."""
    rows = calibrate(GOOD, 200)
    assert [row["met"] for row in rows] == [True] * 4
    critical, shift = stats.t.ppf((1 + CORRECTED) / 2, 31), 0.02 / (0.015 * math.sqrt(2 / 32))
    power = stats.nct.sf(critical, 31, shift)
    assert shares(rows)["power for support"] == pytest.approx(power, abs=4 * math.sqrt(power * (1 - power) / 200))
    assert all(row["covered"] > 0.97 for row in rows)
    for row in rows:
        assert row["mean_effect"] == pytest.approx(row["theta"], abs=0.002)


def test_predictions_of_no_difference_swap_the_targets():
    rows = {row["claim"]: row for row in calibrate(SAME, 100)}
    assert rows["power for support"]["theta"] == 0
    assert rows["power for opposite"]["theta"] == pytest.approx(0.04)
    assert rows["false support"]["theta"] == rows["false opposite"]["theta"] == 0.02
    assert all(row["met"] for row in rows.values())


def test_a_judge_that_cries_wolf_is_caught(judged):
    """Narrow intervals: at delta half of the simulations are called supported or negligible, and the table says so."""

    def careless(tables, question, preset):
        only = example.x9b(tables, question, preset)[0]
        decision = "supported" if only.effect > question.threshold else "refuted_negligible"
        return [only._replace(decision=decision, low=only.effect, high=only.effect)]

    rows = {row["claim"]: row for row in calibrate(judged(careless), 60)}
    assert not rows["false support"]["met"]
    assert not rows["false negligible"]["met"]
    assert rows["false support"]["share"] + rows["false negligible"]["share"] == pytest.approx(1)
    assert rows["power for support"]["covered"] == 0


def test_a_judge_that_never_decides_is_caught(judged):
    place = judged(lambda *words: [example.x9b(*words)[0]._replace(decision="undecided")])
    met = {row["claim"]: row["met"] for row in calibrate(place, 30)}
    assert met == dict(zip((c.name for c in CLAIMS), (True, True, False, False), strict=True))


def test_a_judge_without_a_verdict_is_an_error(judged):
    with pytest.raises(ValueError, match="0 primary verdicts"):
        calibrate(judged(lambda *words: []), 1)
    with pytest.raises(ValueError, match="2 primary verdicts"):
        calibrate(judged(lambda *words: example.x9b(*words) * 2), 1)


def test_processes_and_repetition_change_nothing():
    alone = outcomes(GOOD, 1, 60, seed=3)
    assert outcomes(GOOD, 1, 60, seed=3, workers=2) == alone
    assert outcomes(GOOD, 1, 30, seed=3) == alone[:30]
    assert outcomes(GOOD, 1, 30, seed=4) != alone[:30]
    assert outcomes(GOOD, 2, 30, seed=3) != alone[:30]


def test_a_table_is_continued_where_it_was_left(tmp_path, monkeypatch, capsys):
    out = tmp_path / "calibration.csv"
    table([SAME], 10, 0, 1, out)
    table([GOOD], 10, 0, 1, out)
    first = out.read_text()
    lines = list(csv.DictReader(first.splitlines()))
    assert [line["question"] for line in lines] == ["x9a"] * 4 + ["x9b"] * 4
    assert {line["simulations"] for line in lines} == {"10"}
    monkeypatch.setattr(run, "calibrate", lambda *words: pytest.fail("rows were there already"))
    table([GOOD, SAME], 10, 0, 1, out)
    assert out.read_text() == first
    monkeypatch.undo()
    for more in ((20, 0), (10, 1)):
        capsys.readouterr()
        table([GOOD], *more, 1, out)
        assert "unchanged" not in capsys.readouterr().out
    monkeypatch.setattr(run, "fingerprint", lambda modules: "changed code")
    rows = table([GOOD], 10, 1, 1, out)
    assert {row["source"] for row in rows if row["question"] == "x9a"} == {"changed code"}


def test_the_fingerprint_is_of_code(tmp_path, monkeypatch):
    """Comments and docstrings do not count; numbers do, also in files that are only imported."""
    paths = files([HERE])
    assert {"example.py", "planting.py", "decisions.py", "intervals.py", "questions.py"} <= {p.name for p in paths}
    before, texts = fingerprint([HERE]), {path: path.read_text() for path in paths}
    monkeypatch.setattr(Path, "read_text", lambda self: texts[self])
    chosen = next(path for path in paths if path.name == "decisions.py")
    texts[chosen] = texts[chosen].replace('"""The decision rule.', '"""Another text.') + "# more\n"
    assert fingerprint([HERE]) == before
    texts[chosen] = texts[chosen].replace("0.05 / QUESTIONS_ASKED", "0.06 / QUESTIONS_ASKED")
    assert fingerprint([HERE]) != before


def test_a_quick_check_passes_and_fails(monkeypatch):
    monkeypatch.setattr(Place, "of", classmethod(lambda cls, stem, id: cls(id, HERE, HERE, HERE)))
    assert len(check("example", "x9a", 20)) == 4
    monkeypatch.setattr(example, "x9a", lambda *words: [example.x9b(*words)[0]._replace(decision="supported")])
    with pytest.raises(AssertionError, match="x9a, false support: 100% of 20"):
        check("example", "x9a", 20)


def test_every_question_is_declared_judged_and_simulated():
    assert [place.id for place in places()] == [name for stem in STEMS[1:] for name in find(stem).QUESTIONS]
    for place in places():
        assert place.question.id == place.id
        assert callable(place.judge)
        assert callable(place.simulate)


@pytest.mark.skipif(not TABLE.is_file(), reason="written by make soak")
def test_the_committed_table_meets_its_claims():
    with TABLE.open() as handle:
        lines = list(csv.DictReader(handle))
    assert [line for line in lines if line["met"] != "True"] == []
    assert min(int(line["simulations"]) for line in lines) >= 2000
    assert np.unique([line["question"] for line in lines], return_counts=True)[1].tolist() == [4] * (len(lines) // 4)
