"""Alternatives beside full VAPO: gains as planted, the control apart, the best scored where it was not chosen."""

import numpy as np
import pandas as pd
import pytest

from analysis.hypotheses.components import pathways
from analysis.tables.regimes import NOISY, TEXT
from experiments.specs.designs import Cell
from experiments.studies import core
from experiments.studies.components import runs as study
from experiments.studies.components.pathways import PATHWAYS
from tests.calibration.planting import frame_of, tables

RUNS = frame_of(
    [*study.pathways("full"), *study.of_cells("pathways", "full", (*NOISY, *TEXT), [Cell("vapo", core.without())])]
)
CHANCE = RUNS["dials.random_reward"].eq(1.0).to_numpy()


def planted(gain: dict[str, float], control: float = 0.0) -> pd.DataFrame:
    auc = 0.5 + RUNS["arm"].map(gain).fillna(0.0).to_numpy(float)
    auc = np.where(CHANCE, 0.1 + control * (RUNS["arm"] == "vapo"), auc + 0.01 * RUNS["seed"])
    return tables(RUNS, {"auc": auc}).runs


def test_every_declared_pathway_is_found_in_every_regime_with_its_seeds():
    found = pathways.gains(planted({}))
    seeds = found.groupby("pathway")["seed"].nunique()
    assert set(seeds.index) == {*pathways.ALTERNATIVES.values(), pathways.CONTROL}
    assert (seeds == study.SIZES["pathways"].full).all()
    assert len([p for p in PATHWAYS if not p.dials]) == len(pathways.ALTERNATIVES)
    places = found.groupby("pathway")["regime"].nunique()
    assert places[pathways.CONTROL] == len(NOISY)
    assert (places.drop(pathways.CONTROL) == len(NOISY) + len(TEXT)).all()


def test_gains_are_those_planted_and_random_rewards_stay_apart():
    found = pathways.table(pathways.gains(planted({"vapo values=tether": 0.2, "vapo whiten=positive_only": -0.1}, 0.3)))
    mean = found.groupby("pathway")["effect"].mean()
    assert mean["critic tethered to the group's mean"] == pytest.approx(0.2)
    assert mean["positive advantages alone"] == pytest.approx(-0.1)
    assert mean["loss normalised by length"] == pytest.approx(0.0, abs=1e-12)
    assert mean[pathways.CONTROL] == pytest.approx(0.3)


def test_the_best_are_scored_where_they_were_not_chosen():
    """Two pathways that are good on one half each: chosen by luck, they earn nothing on the other half."""
    seeds = sorted(RUNS["seed"].unique())
    rows = [
        {"pathway": name, "regime": "r", "world": "walk", "mean_length": 8.0, "seed": seed, "gain": gain}
        for number, seed in enumerate(seeds)
        for name, gain in (("even", 0.5 * (number % 2 == 0)), ("odd", 0.5 * (number % 2)), ("good", 0.2))
    ]
    found = {fair.pathway: fair.gain.mean() for fair in pathways.best(pd.DataFrame(rows), 1)}
    assert found == pytest.approx({"even": 0.0, "odd": 0.0})
    assert {fair.pathway for fair in pathways.best(pd.DataFrame(rows), 2)} == {"even", "odd", "good"}


def test_nothing_without_rows():
    assert not len(pathways.gains(RUNS.iloc[:0]))
    assert pathways.best(pathways.gains(RUNS.iloc[:0])) == []


def test_the_figure_has_a_row_per_pathway():
    drawn = pathways.figure(pathways.gains(planted({"vapo values=gated": 0.1})))
    assert drawn.data["pathway"].nunique() == len(pathways.ALTERNATIVES) + 1
