"""The page of the search: the rule, everything that was searched, what was confirmed."""

from collections.abc import Sequence

import pandas as pd

from analysis.regimes.rule import COLLAPSED, LEARNABLE, OFTEN, SHORT

NAMES = {"ppo_lambda_1": "PPO, λ = 1", "grpo": "GRPO"}


def readme(
    found: pd.DataFrame, confirmed: pd.DataFrame, core_hours: float, to_come: int, unreached: Sequence[str], alt: str
) -> str:
    """Markdown of `results/regimes/README.md`.

    Args:
        found: `rule.findings` of the search. confirmed: of the confirmation, may be empty.
        core_hours: of all runs.
        to_come: runs of the search that are not finished.
        unreached: regimes that were declared and that the budget did not reach.
        alt: what the figure shows.
    """
    return "\n\n".join([
        "# Where does PPO fail?",
        _rule(),
        *([f"**Not complete: {to_come:,} runs of the search are to come, so nothing below is final.**"] if to_come else []),
        _outcome(found, confirmed, core_hours),
        *([_budget(unreached)] if unreached else []),
        f"![{alt}](figures/regimes.png)\n\n*{alt}*",
        "## On other seeds\n\n" + (_table(confirmed) if len(confirmed) else "No regime was put to this test."),
        "## Everything that was searched\n\n" + _table(found),
        *(["## Declared, not searched\n\n" + "\n".join(f"- {name}" for name in unreached)] if unreached else []),
    ]) + "\n"  # fmt: skip


def _rule() -> str:
    return (
        "VAPO's papers start from a failure: PPO with λ = 0.95 collapses on long answers when its critic starts badly. Before a"
        " component of VAPO is judged, this page looks for regimes of the walk in which that happens. A regime is a length, a"
        " number of responses a step, and a setting of six factors (`experiments/regimes/grid.py`).\n\n"
        "The rule was committed before the search and looks at PPO and two controls alone, GRPO and PPO at λ = 1. PPO *fails* in"
        f" a regime if the better control learns (mean J of at least {LEARNABLE:g} at the end) and either at least {OFTEN:.0%} of"
        f" PPO's runs collapse (J below {COLLAPSED:g}), and more than of that control's, or PPO's mean J is below {SHORT:.2f} of"
        " the control's. Failing regimes with the greatest shortfall, two of each length and noise level, were run again on 16"
        " other seeds and judged by the same rule."
    )


def _outcome(found: pd.DataFrame, confirmed: pd.DataFrame, core_hours: float) -> str:
    failing, again = int(found["failing"].sum()), int(confirmed["failing"].sum())
    if not failing:
        verdict = f"PPO fails in none of the {len(found)} regimes searched."
    elif len(confirmed) and not again:
        verdict = (
            f"PPO fails in none of the {len(found)} regimes searched: {failing} met the rule on the search's few seeds, and none"
            f" of the {len(confirmed)} put to the test met it again."
        )
    else:
        verdict = (
            f"PPO fails in {failing} of {len(found)} regimes searched, and again in {again} of the {len(confirmed)} put to the"
            " test."
        )
    return f"**{verdict}** {core_hours:.1f} core-hours. Runs: `runs.csv`; made by `vapo regimes`."


def _budget(unreached: Sequence[str]) -> str:
    return (
        f"The budget of 4 core-hours, declared with the grid, was used up before the last {len(unreached)} regimes, the dearest"
        " ones; they stand at the end of this page, and nothing is said of them."
    )


def _table(found: pd.DataFrame) -> str:
    """One line per regime."""
    lines = [
        "| regime | tokens | seeds | J of PPO | collapsed | better control | its J | collapsed | PPO fails |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.regime} | {row.tokens:.0f} | {row.seeds} | {row.ppo:.2f} | {row.collapsed:.0%} | {NAMES[str(row.control)]} |"
        f" {row.best:.2f} | {row.control_collapsed:.0%} | {'**yes**' if row.failing else 'no'} |"
        for row in found.itertuples(index=False)
    ]
    return "\n".join(lines)
