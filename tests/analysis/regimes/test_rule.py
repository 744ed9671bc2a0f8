"""When PPO counts as failing: planted runs on either side of each part of the rule."""

import pandas as pd
import pytest

from analysis.regimes.figures import map_of_regimes
from analysis.regimes.page import readme
from analysis.regimes.rule import finding, findings, to_confirm

WELL, HALF, LOST = [0.9] * 4, [0.5] * 4, [0.02] * 4


@pytest.mark.parametrize(
    ("ppo", "lambda_1", "grpo", "failing"),
    [
        (WELL, WELL, WELL, False),
        (HALF, WELL, LOST, True),  # falls short of the better control, which is PPO at lambda 1
        (HALF, LOST, WELL, True),  # ... or GRPO
        ([0.62] * 4, WELL, WELL, False),  # 0.69 of the control
        ([0.58] * 4, WELL, WELL, True),  # 0.64 of it
        (LOST, [0.2] * 4, [0.29] * 4, False),  # nobody learns there
        ([0.9, 0.9, 0.9, 0.02], WELL, WELL, True),  # one in four collapses
        ([0.9, 0.9, 0.9, 0.02], [0.95, 0.95, 0.95, 0.02], LOST, False),  # as often as the control
        (LOST, LOST, WELL, True),
        (WELL, LOST, LOST, False),  # the controls fail, PPO does not
    ],
)
def test_the_rule(ppo, lambda_1, grpo, failing):
    assert finding({"ppo": ppo, "ppo_lambda_1": lambda_1, "grpo": grpo}).failing is failing


def test_what_a_finding_says():
    found = finding({"ppo": [0.05, 0.35], "ppo_lambda_1": [0.6, 0.05], "grpo": [0.8, 0.6]})
    assert found.ppo == pytest.approx(0.2)
    assert (found.collapsed, found.control, found.control_collapsed) == (0.5, "grpo", 0.0)
    assert found.best == pytest.approx(0.7)


def planted(regime: str, ppo: float, control: float, length: int = 8, responses: int = 32) -> list[dict]:
    last = {"ppo": ppo, "ppo_lambda_1": control, "grpo": 0.1}
    return [
        {
            "regime": regime,
            "length": length,
            "responses": responses,
            "arm": arm,
            "seed": seed,
            "last": x,
            "mean_length": 7.0,
        }
        for arm, x in last.items()
        for seed in range(4)
    ]


@pytest.fixture
def found() -> pd.DataFrame:
    rows = [
        *planted("a", 0.2, 0.9), *planted("b", 0.1, 0.9), *planted("c", 0.3, 0.9), *planted("d", 0.9, 0.9),
        *planted("e", 0.4, 0.9, 128), *planted("f", 0.4, 0.9, 128, 128),
    ]  # fmt: skip
    return findings(pd.DataFrame(rows))


def test_one_row_per_regime_with_all_arms(found):
    assert list(found["regime"]) == list("abcdef")
    assert list(found["failing"]) == [True, True, True, False, True, True]
    assert set(found["tokens"]) == {7.0}
    lacking = [row for row in planted("a", 0.2, 0.9) if row["arm"] != "grpo"]
    assert len(findings(pd.DataFrame(lacking))) == 0


def test_the_greatest_shortfalls_of_each_cell_are_confirmed(found):
    assert to_confirm(found, 2) == ["b", "a", "e", "f"]
    assert to_confirm(found.iloc[3:4], 2) == []


def test_the_page_tells_everything_and_the_figure_has_its_numbers(found):
    drawing = map_of_regimes(found, found.iloc[:1])
    assert list(drawing.data["stage"]) == ["search"] * 6 + ["confirmation"]
    page = readme(found, found.iloc[:1], 1.25, 0, ["a dear one"], drawing.alt)
    assert page.count("| **yes** |") == 6
    assert page.count("| no |") == 1
    assert "Not complete" not in page
    assert page.endswith("- a dear one\n")
    assert "Not complete: 312 runs" in readme(found, found.iloc[:0], 1.25, 312, [], drawing.alt)
    assert "again in 1 of the 1 put to the test" in page
    assert "none of the 1 put to the test met it again" in readme(found, found.iloc[3:4], 1.0, 0, [], drawing.alt)
    assert "PPO fails in none of the 1 regimes searched." in readme(
        found.iloc[3:4], found.iloc[:0], 1.0, 0, [], drawing.alt
    )
