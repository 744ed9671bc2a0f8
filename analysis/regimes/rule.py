"""When PPO counts as failing in a regime: a rule set before the search, which looks at PPO and its controls alone.

A regime is failing if PPO at lambda 0.95 does much worse there than a control that is as simple: GRPO, or PPO at lambda 1,
whichever ends with the higher mean J. What VAPO or any of its components does there plays no part.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

PPO, CONTROLS = "ppo", ("ppo_lambda_1", "grpo")

COLLAPSED = 0.1
"""A run whose J at the end lies below this has collapsed (or has never begun to learn)."""
OFTEN = 0.25
"""Share of PPO's seeds that collapse at least, if the regime is to count as failing by collapse."""
SHORT = 2 / 3
"""PPO's mean J at the end over the better control's lies below this, if the regime is to count as failing by falling short."""
LEARNABLE = 0.3
"""Mean J at the end that the better control reaches at least: where nobody learns, nobody fails at it."""


class Finding(NamedTuple):
    """What a set of seeds says of one regime."""

    ppo: float
    """Mean J at the end."""
    collapsed: float
    """Share of PPO's seeds that have collapsed."""
    control: str
    """The control with the higher mean J at the end."""
    best: float
    """That mean."""
    control_collapsed: float
    """Share of that control's seeds that have collapsed."""
    failing: bool


def finding(last: Mapping[str, Sequence[float]]) -> Finding:
    """Judge one regime.

    Failing: the better control learns (mean J at least `LEARNABLE`), and either at least `OFTEN` of PPO's seeds collapse, and
    more than of that control's, or PPO's mean J is below `SHORT` of the control's.

    Args:
        last: arm -> exact J at the end of every seed, in [0, 1]; PPO and both controls.
    """
    means = {arm: float(np.mean(last[arm])) for arm in (PPO, *CONTROLS)}
    lost = {arm: float(np.mean(np.asarray(last[arm]) < COLLAPSED)) for arm in (PPO, *CONTROLS)}
    control = max(CONTROLS, key=lambda arm: means[arm])
    collapses = lost[PPO] >= OFTEN and lost[PPO] > lost[control]
    failing = means[control] >= LEARNABLE and (collapses or means[PPO] < SHORT * means[control])
    return Finding(means[PPO], lost[PPO], control, means[control], lost[control], failing)


def findings(runs: pd.DataFrame) -> pd.DataFrame:
    """One row per regime: name, length in decisions, responses, `tokens` (mean length of PPO's responses), seeds, `Finding`.

    Args:
        runs: columns regime, length, responses, arm, seed, last (J at the end), mean_length (tokens); regimes without all three
            arms are left out.
    """
    rows = []
    for (regime, length, responses), group in runs.groupby(["regime", "length", "responses"], sort=False):
        last = {str(arm): list(part["last"]) for arm, part in group.groupby("arm")}
        if set(last) >= {PPO, *CONTROLS}:
            ppo = group[group["arm"] == PPO]
            about = {"regime": regime, "length": length, "responses": responses, "seeds": len(ppo)}
            rows.append({**about, "tokens": ppo["mean_length"].mean(), **finding(last)._asdict()})
    return pd.DataFrame(rows, columns=["regime", "length", "responses", "seeds", "tokens", *Finding._fields])


def to_confirm(found: pd.DataFrame, most: int) -> list[str]:
    """Names of the failing regimes with the greatest shortfall (control less PPO), `most` of each length and noise level."""
    failing = found[found["failing"].astype(bool)]
    order = failing.assign(shortfall=failing["best"] - failing["ppo"]).sort_values("shortfall", ascending=False)
    return list(order.groupby(["length", "responses"], sort=False).head(most)["regime"])
