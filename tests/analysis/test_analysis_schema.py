"""Loading tables: what is refused, and in which words."""

import pandas as pd
import pytest

from analysis.schema import CURVE_COLUMNS, RUN_COLUMNS, Tables, load


def test_round_trip(synthetic, folder):
    tables = synthetic(2)
    tables.runs["spec"] = [f"{i:04d}" for i in range(len(tables.runs))]  # hashes that look like numbers stay text
    got = load(folder(tables))
    assert got.runs["spec"].iloc[1] == "0001"
    assert (got.runs["reason"] == "").all()
    assert got.runs["auc"].to_list() == pytest.approx(tables.runs["auc"].to_list())
    assert len(got.curves) == len(tables.curves)


def test_empty_tables(folder):
    empty = Tables(pd.DataFrame(columns=list(RUN_COLUMNS)), pd.DataFrame(columns=list(CURVE_COLUMNS)))
    got = load(folder(empty))
    assert got.runs.empty
    assert got.curves.empty


def test_missing_files(synthetic, folder):
    home = folder(synthetic(2))
    (home / "curves.parquet").unlink()
    with pytest.raises(FileNotFoundError, match=r"curves\.parquet is missing"):
        load(home)


@pytest.mark.parametrize("column", ["auc", "arm", "clip_higher", "activity_group_sampling"])
def test_missing_columns(synthetic, folder, column):
    tables = synthetic(2)
    with pytest.raises(ValueError, match=f"runs.csv lacks the column {column}"):
        load(folder(Tables(tables.runs.drop(columns=column), tables.curves)))


def test_double_runs_and_missing_scores(synthetic, folder):
    tables = synthetic(2)
    blank = tables.runs.copy()
    blank.loc[3, "auc"] = float("nan")
    with pytest.raises(ValueError, match="has no score"):
        load(folder(Tables(blank, tables.curves), "blank"))
    with pytest.raises(ValueError, match="appears twice"):
        load(folder(Tables(pd.concat([tables.runs, tables.runs]), tables.curves), "twice"))
