"""Loading tables: what is refused, and in which words."""

import pandas as pd
import pytest

from analysis.tables.schema import CURVE_COLUMNS, PROBE_COLUMNS, RUN_COLUMNS, TRAINED, Tables, load


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


def exact_rows(like):
    """Rows of the exact level as they are written: without what only a trained run has."""
    rows = like.head(2).drop(columns=[name for name in TRAINED if name in like])
    return rows.assign(world="exact", spec=["e0", "e1"])


def test_exact_rows_have_no_score(synthetic, folder):
    tables = synthetic(2)
    alone = load(folder(Tables(exact_rows(tables.runs), tables.curves), "alone")).runs
    assert alone["auc"].isna().all()
    mixed = pd.concat([tables.runs, exact_rows(tables.runs)])
    got = load(folder(Tables(mixed, tables.curves), "mixed")).runs
    trained = got["world"] != "exact"
    assert (trained & ~got["clip_higher"]).sum() == 0  # ~ is a negation there, too, and an open cell is neither
    assert got["clip_higher"].sum() == trained.sum()
    assert got.loc[trained, "auc"].notna().all()


def test_arrays_of_the_probes_asked_for(synthetic, folder):
    tables = synthetic(2)
    home = folder(tables)
    assert load(home).probes.empty
    arrays = pd.DataFrame([("a", 0, name, 0, "x", 1.0) for name in ("credit", "ranking")], columns=list(PROBE_COLUMNS))
    arrays.to_parquet(home / "probes.parquet")
    assert set(load(home).probes["probe"]) == {"credit", "ranking"}
    assert list(load(home, ["ranking"]).probes["probe"]) == ["ranking"]
    assert load(home, []).probes.empty


def test_older_tables_lack_later_columns(synthetic, folder):
    tables = synthetic(2)
    assert (load(folder(tables)).runs["variants"] == "").all()
    tables.runs["variants"] = "credit=step_level"
    assert (load(folder(tables, "new")).runs["variants"] == "credit=step_level").all()
