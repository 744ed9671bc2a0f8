"""R1 to R13: formula and exact number agree where they should, and bounds bound."""

import numpy as np
import pytest

from experiments.exact_level.plans import Theory
from experiments.exact_level.theory import RESULTS, measure


@pytest.mark.parametrize("result", ["r1", "r3", "r5", "r9", "r11", "r12"])
@pytest.mark.parametrize("seed", [0, 1])
def test_identities_hold_to_rounding(result, seed):
    table = measure(Theory(measure="theory", result=result), seed).arrays[result]
    np.testing.assert_allclose(table["found"], table["formula"], rtol=1e-6, atol=1e-9)


def test_limits_are_approached():
    """R2 where alpha l is large; R6, R7, R10 within their simulations; R13 from below as groups grow."""
    found = {name: RESULTS[name](0) for name in ("r2", "r6", "r7", "r10", "r13")}
    far = found["r2"]["x"] * found["r2"]["alpha"] ** 2 > 20
    assert found["r2"]["found"][far] == pytest.approx(found["r2"]["formula"][far], abs=0.01)
    assert found["r6"]["found"] == pytest.approx(found["r6"]["formula"], rel=0.06)
    assert found["r7"]["found"] == pytest.approx(found["r7"]["formula"], abs=0.03)
    assert found["r10"]["found"] == pytest.approx(found["r10"]["formula"], abs=0.03)
    middle = found["r13"]["x"] == 0.2
    share = found["r13"]["found"][middle] / found["r13"]["formula"][middle]
    assert (np.diff(share) > 0).all()
    assert share[-1] == pytest.approx(1, abs=0.03)


def test_the_trust_region_bound_is_never_broken_and_vacuous_from_eight_tokens():
    table = RESULTS["r8"](0)
    assert (table["found"] <= table["formula"]).all()


def test_best_horizon_grows_like_its_formula():
    """R4: slope 1/3 up to the spread of one family; the constant is of order one."""
    slopes = []
    for seed in range(4):
        table = RESULTS["r4"](seed)
        rows = table["b"] == 512
        slopes.append(np.polyfit(np.log(table["x"][rows]), np.log(table["found"][rows]), 1)[0])
        assert 0.2 < np.median(table["found"] / table["formula"]) < 2
    assert np.mean(slopes) == pytest.approx(1 / 3, abs=0.15)
