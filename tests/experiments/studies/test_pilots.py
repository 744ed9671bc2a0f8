"""Pilots: the runs of preset full on development seeds, and what `vapo power` makes of them."""

import json

import pandas as pd
import pytest

from analysis.verdict.verdicts import as_json
from experiments.cli import main
from experiments.specs.spec import CONFIRMATORY
from experiments.studies import STEMS, find
from experiments.studies.pilots import COUNTS, FIRST, pilots_of
from tests.analysis.verdict.test_power import QUESTION
from tests.support.listed import names_of, runs_of, trained_of

LEARNED = ("h1a", "h1c", "h2b", "h3a", "h3b", "h3c", "h4a", "h4b", "h5a", "h5b", "h6a", "h6b", "h7b")


@pytest.mark.parametrize("stem", STEMS)
def test_a_pilot_is_preset_full_on_other_seeds(stem):
    primary = find(stem).primary("full")
    assert set(primary) <= set(trained_of(stem, "full"))
    pilots = pilots_of(primary)
    expected = [spec for spec in primary if CONFIRMATORY <= spec.seed < CONFIRMATORY + COUNTS[spec.world]]
    assert len(pilots) == len(expected) == len(set(pilots))
    for pilot, spec in zip(pilots, expected, strict=True):
        assert pilot.seed == spec.seed - CONFIRMATORY + FIRST
        same = {"seed": spec.seed, "base": spec.base}
        assert pilot.model_copy(update=same) == spec
        assert pilot.base.init == (pilot.seed if spec.world == "walk" else pilot.seed % 3)
    assert not {spec.hash for spec in pilots} & set(names_of(stem, "full"))


def test_every_learned_question_says_how_many_seeds_it_is_to_have():
    planned = {name: n for stem in STEMS for name, n in getattr(find(stem), "REPLICATES", {}).items()}
    assert set(planned) == set(LEARNED)
    for stem in STEMS:
        study = find(stem)
        for name, number in getattr(study, "REPLICATES", {}).items():
            world = "walk" if study.QUESTIONS[name].primary == "walk" else "lm"
            seeds = {spec.seed for spec in runs_of(stem, "full") if spec.world == world and spec.seed >= CONFIRMATORY}
            assert number <= len(seeds), name


def test_power_reads_the_pilots(tmp_path, monkeypatch, capsys):
    from analysis.verdict.decisions import verdict

    monkeypatch.chdir(tmp_path)
    assert main(["power"]) == 2
    assert "no pilot's outcome" in capsys.readouterr().err
    folder = tmp_path / "runs" / "study-h3_token_level_loss-pilot"
    folder.mkdir(parents=True)
    row = verdict(QUESTION._replace(id="h3c", threshold=0.18), "walk", [-0.1, -0.2, -0.15], "pilot")
    (folder / "verdicts.json").write_text(as_json([row, row._replace(primary=False)]))
    assert json.loads((folder / "verdicts.json").read_text())
    assert main(["power"]) == 0
    table = pd.read_csv(tmp_path / "results" / "regimes" / "power.csv")
    assert list(table["question"]) == ["h3c"]
    assert table["planned_replicates"][0] == 96
    assert "h3c: pilot" in capsys.readouterr().out
