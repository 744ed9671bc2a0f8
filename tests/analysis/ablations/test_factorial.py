"""Main effects and interactions: against planted effects, against statsmodels, and on a page that stays readable."""

import io
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from rich.console import Console

from analysis.ablations.aliasing import LETTERS, alias_table, effects_up_to, words_of
from analysis.ablations.factorial import COLUMNS, detect, effects, logit, shapley, shapley_per_seed
from analysis.ablations.factorial_view import effects_figure, note, remark, summary, terminal_table
from analysis.report.report import write_report
from analysis.tables.curves import bands
from analysis.tables.schema import ACTIVITY, COMPONENTS, Tables

METRIC = "val/exact_j"
FRACTIONS = {128: (), 64: ("ABCDEFG",), 32: ("ABCDF", "ABDEG"), 16: ("ABCE", "BCDF", "ACDG")}


def combinations(runs: int) -> np.ndarray:
    """[runs, 7] of +1 and -1, everything on first."""
    every = 1 - 2 * np.array([[i >> (6 - k) & 1 for k in range(7)] for i in range(128)])
    words = [[LETTERS.index(letter) for letter in word] for word in FRACTIONS[runs]]
    return np.array([row for row in every if all(row[word].prod() == 1 for word in words)])


def label(row) -> str:
    off = [f" without {name}" for name, on in zip(COMPONENTS, row, strict=True) if on < 0]
    return "vapo" + "".join(off)


def make(score, runs=128, seeds=6, noise=0.01, seed=0) -> Tables:
    """Tables of a factorial whose AUC is score(row of +-1), plus a level of each seed, plus noise."""
    rng = np.random.default_rng(seed)
    rows, curves = [], []
    for i in range(seeds):
        level = rng.normal(0, 0.05)
        for row in combinations(runs):
            auc = float(score(row) + level + rng.normal(0, noise))
            spec = f"{label(row)}-{i}".replace(" ", "_")
            toggles = dict(zip(COMPONENTS, (row > 0).tolist(), strict=True))
            rows.append(
                {"spec": spec, "study": "x", "world": "walk", "task": "walk", "recipe": "vapo", "arm": label(row),
                 "seed": i, "base": "tiny:0", "steps": 10, "protocol": 1, "state": "finished", "reason": "", **toggles,
                 "settings.alpha": 0.5, "metric": METRIC, "first": 0.1, "last": auc, "auc": auc,
                 **{f"activity_{c}": 0.5 for c in ACTIVITY}, "mean_length": 20.0, "tokens": 1.0, "seconds": 1.0,
                 "git_commit": "abc"}
            )  # fmt: skip
            curves += [(spec, step, METRIC, auc) for step in (0, 10)]
    return Tables(pd.DataFrame(rows), pd.DataFrame(curves, columns=["spec", "step", "metric", "value"]))


def planted(row) -> float:
    """Main effects 0.06 of A and -0.04 of C, interaction AB of 0.02 (AB/2 contrast)."""
    return 0.5 + 0.03 * row[0] - 0.02 * row[2] + 0.01 * row[0] * row[1]


def table_of(tables: Tables) -> pd.DataFrame:
    found = detect(tables.runs)
    assert found is not None
    return effects(found).set_index("letters")


@pytest.mark.parametrize("runs", [128, 64])
def test_planted_effects_come_back_exactly_without_noise(runs):
    table = table_of(make(planted, runs, noise=0.0))
    expected = {"A": 0.06, "C": -0.04, "AB": 0.02}
    for letters, row in table.iterrows():
        assert row["auc"] == pytest.approx(expected.get(letters, 0.0), abs=1e-12)
    assert len(table) == 28
    assert table["aliased"].eq("").all()


def test_an_interaction_is_half_the_difference_of_simple_effects():
    """A's effect is 0.08 with B on and 0.04 with B off: the AB/2 contrast is 0.02."""
    runs = make(planted, noise=0.0, seeds=1).runs
    mean = runs.groupby(["value_pretraining", "decoupled_gae"])["auc"].mean()
    with_b, without_b = mean[True, True] - mean[False, True], mean[True, False] - mean[False, False]
    assert (with_b - without_b) / 2 == pytest.approx(table_of(make(planted, noise=0.0, seeds=1))["auc"]["AB"])


@pytest.mark.parametrize("scale", ["auc", "logit"])
def test_estimates_equal_statsmodels_least_squares(scale):
    """Regression on +-1 columns with a level per seed: an effect is twice its coefficient."""
    tables = make(planted, noise=0.02)
    frame = pd.DataFrame({x: np.where(tables.runs[c], 1, -1) for x, c in zip(LETTERS, COMPONENTS, strict=True)})
    score = tables.runs["auc"].to_numpy()
    frame["y"], frame["seed"] = score if scale == "auc" else logit(score), tables.runs["seed"].astype(str)
    fit = smf.ols("y ~ (A + B + C + D + E + F + G) ** 2 + seed", frame).fit()
    table = table_of(tables)
    for letters in effects_up_to(2):
        assert table[scale][letters] == pytest.approx(2 * fit.params[":".join(letters)], rel=1e-9, abs=1e-12)


def test_intervals_equal_statsmodels_over_seeds():
    """Each seed's own fit gives one number per effect; the interval is that of their mean."""
    tables = make(planted, noise=0.02)
    frame = pd.DataFrame({x: np.where(tables.runs[c], 1, -1) for x, c in zip(LETTERS, COMPONENTS, strict=True)})
    frame["y"], frame["seed"] = tables.runs["auc"], tables.runs["seed"]
    model = "y ~ (A + B + C + D + E + F + G) ** 2"
    per_seed = pd.DataFrame([2 * smf.ols(model, part).fit().params for _, part in frame.groupby("seed")])
    table = table_of(tables)
    for letters in ("A", "B", "AB", "FG"):
        fit = smf.ols("y ~ 1", pd.DataFrame({"y": per_seed[":".join(letters)]})).fit()
        low, high = fit.conf_int().loc["Intercept"]
        assert (table["auc_low"][letters], table["auc_high"][letters]) == pytest.approx((low, high), rel=1e-9)


def test_intervals_cover_the_planted_effects_at_their_rate():
    """The seed's own level is a block and does not widen them: 28 effects of 40 studies, 95 % within three sd."""
    truth = {"A": 0.06, "C": -0.04, "AB": 0.02}
    hits = []
    for study in range(40):
        table = table_of(make(planted, 16 * 4, seeds=5, noise=0.02, seed=study))
        hits += [row["auc_low"] <= truth.get(x, 0.0) <= row["auc_high"] for x, row in table.iterrows()]
    assert abs(np.mean(hits) - 0.95) < 3 * np.sqrt(0.95 * 0.05 / len(hits))


def test_the_sd_of_an_effect_is_that_of_the_methods_note():
    """2 sigma / sqrt(128) = 0.177 sigma for main effects and interactions alike; 0.32 sigma for a Shapley value."""
    found = detect(make(lambda row: 0.5, seeds=60, noise=0.01).runs)
    table = effects(found)
    assert table["auc_sd"].mean() == pytest.approx(0.00177, rel=0.05)
    half = (shapley(found)["auc_high"] - shapley(found)["auc_low"]) / 2
    assert half.mean() / 2.001 * np.sqrt(60) == pytest.approx(0.0032, rel=0.1)


def test_shapley_values_share_out_the_whole_difference():
    """With AB alone beside the mains, each of A and B gets half of what the pair adds; the sum is all on less all off."""
    found = detect(make(lambda row: 0.5 + 0.05 * (row[0] > 0) * (row[1] > 0), noise=0.0, seeds=2).runs)
    values = shapley(found).set_index("component")["auc"]
    assert values["value_pretraining"] == pytest.approx(0.025)
    assert values["decoupled_gae"] == pytest.approx(0.025)
    assert values.sum() == pytest.approx(0.05)
    assert shapley(detect(make(planted, 64).runs)).empty


def test_shapley_values_are_the_mean_over_all_orders():
    """5,040 orders of switching the seven on, walked one by one, on a game where everything interacts."""
    found = detect(make(lambda row: 0.5 + 0.2 * np.tanh(row @ np.arange(7) / 9 + row[0] * row[3]), seeds=1).runs)
    score = {tuple(point): value for point, value in zip(found.points > 0, found.scores[0], strict=True)}
    added = np.zeros(7)
    for order in permutations(range(7)):
        on = [False] * 7
        for component in order:
            before = score[tuple(on)]
            on[component] = True
            added[component] += score[tuple(on)] - before
    assert shapley(found)["auc"].to_numpy() == pytest.approx(added / 5040)


def test_shapley_values_vary_over_seeds_as_they_say():
    """Mean and sd over replicates of each replicate's own shares; none of a single replicate."""
    found = detect(make(planted, seeds=5, noise=0.03).runs)
    alone = [
        shapley(found._replace(scores=found.scores[[i]], seeds=(i,)))["auc"].to_numpy() for i in range(len(found.seeds))
    ]
    table = shapley(found)
    assert shapley_per_seed(found) == pytest.approx(np.array(alone))
    assert table["auc_sd"].to_numpy() == pytest.approx(np.std(alone, axis=0, ddof=1))
    assert table["auc"].to_numpy() == pytest.approx(np.mean(alone, axis=0))
    assert shapley(found._replace(scores=found.scores[:1], seeds=(0,)))["auc_sd"].isna().all()


def test_logit_makes_a_ceiling_additive():
    """Additive on log-odds near the ceiling: an interaction on AUC, none on logit."""
    rise = make(lambda row: 1 / (1 + np.exp(-(3 + row[0] + row[1]))), noise=0.0, seeds=1)
    rise.runs["auc"] = [1 / (1 + np.exp(-(3 + a + b))) for a, b in
                        zip(*(np.where(rise.runs[c], 1, -1) for c in COMPONENTS[:2]), strict=True)]  # fmt: skip
    table = table_of(rise)
    assert table["auc"]["AB"] < -0.02
    assert table["logit"]["AB"] == pytest.approx(0, abs=1e-9)
    assert table["logit"]["A"] == pytest.approx(2.0)


def test_a_score_of_zero_or_one_has_a_logit():
    assert np.isfinite(logit(np.array([0.0, 1.0]))).all()


@pytest.mark.parametrize("runs", [64, 32, 16])
def test_aliases_are_named_and_each_row_is_the_sum_of_its_effects(runs):
    """In a fraction an alias set's estimate is the sum of its members' effects in the full factorial."""

    def crowded(row):
        pairs = [(i, j) for i in range(7) for j in range(i + 1, 7)]
        return 0.5 + sum(0.001 * (n + 1) * row[i] * row[j] for n, (i, j) in enumerate(pairs))

    full, part = table_of(make(crowded, noise=0.0)), table_of(make(crowded, runs, noise=0.0))
    words = words_of(make(crowded, runs, seeds=1).runs[list(COMPONENTS)].to_dict("records"))
    assert list(part.index) == [item[0] for item in alias_table(words)]
    for letters, row in part.iterrows():
        members = [letters, *row["aliased"].split(" + ")] if row["aliased"] else [letters]
        assert row["auc"] == pytest.approx(sum(full["auc"][name] for name in members), abs=1e-9)


def test_seeds_in_part_are_left_out_and_counted():
    tables = make(planted, 64, seeds=4)
    runs = tables.runs.drop(tables.runs.index[-10:])
    found = detect(runs)
    assert (found.seeds, found.left_out) == ((0, 1, 2), (3,))
    assert "3 complete replicates, 1 more incomplete" in note(found, effects(found))


def test_other_designs_are_no_factorial(synthetic):
    assert detect(synthetic(4).runs) is None
    tables = make(planted, 128, seeds=1)
    first_runs_of_a_stopped_one = tables.runs.sample(100, random_state=0)
    assert detect(first_runs_of_a_stopped_one) is None


def test_a_single_replicate_has_effects_and_no_intervals():
    table = table_of(make(planted, seeds=1))
    assert table["auc_low"].isna().all()
    assert "0 of 0 main effects" in summary(table.reset_index())


def test_remarks_name_aliases_and_scales():
    table = table_of(make(planted, 16)).reset_index()
    row = table[table["letters"] == "AB"].iloc[0]
    assert "clip_higher" in remark(row)
    flipped = pd.Series({"aliased": "", "same_sign": False, "auc_low": 0.1, "auc_high": 0.2, "logit_low": -1.0,
                         "logit_high": 1.0})  # fmt: skip
    assert remark(flipped) == "scale-dependent"
    flipped["auc_low"] = -0.1
    assert remark(flipped) == ""  # neither interval leaves out 0: nothing to say of its sign


def test_table_for_the_terminal_fits_and_names_the_contrast():
    found = detect(make(planted).runs)
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(terminal_table(found, effects(found)))
    text = console.export_text()
    assert "AB/2 contrast" in text
    assert "A value_pretraining" in text
    assert max(map(len, text.splitlines())) <= 100
    assert "…" not in text


def test_figure_shows_the_tables_numbers():
    table = effects(detect(make(planted).runs))
    drawing = effects_figure(table)
    assert set(drawing.data.columns) <= set(COLUMNS)
    ticks = [tick.get_text() for tick in drawing.figure.axes[0].get_yticklabels()]
    assert ticks == table["effect"].tolist()


def test_page_of_128_arms_stays_readable(folder, tmp_path):
    """Effects instead of 128 rows: main effects, interactions and single removals; every table row counted."""
    tables = make(planted, 128, seeds=3)
    page = write_report([("full-factorial", folder(tables))], tmp_path / "page.html").read_text()
    assert page.count("<tr") < 60
    assert "value_pretraining × decoupled_gae" in page
    assert "AB/2 contrast" in page
    assert "3 complete replicates" in page
    words = page.split("<h2")[1].split("base64")[0]
    assert words.count("without") < 40
    assert len(bands(tables, METRIC, ["vapo"])) == 2


def test_page_of_a_fraction_without_single_removals(folder, tmp_path):
    page = write_report([("fraction", folder(make(planted, 64, seeds=2)))], tmp_path / "page.html").read_text()
    assert "resolution VII (I = ABCDEFG)" in page
    assert "Effects against" not in page
