"""The search for a regime in which PPO fails, and its confirmation on other seeds (`vapo regimes`)."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from pydantic import Field

from analysis.plots.drawing import save
from analysis.regimes.figures import map_of_regimes
from analysis.regimes.page import readme
from analysis.regimes.rule import findings, to_confirm
from analysis.tables.schema import load
from experiments.cost.study_plan import study_cost
from experiments.launchers.grid import run_grid, say_failures
from experiments.launchers.launching import Launching
from experiments.launchers.workers import Job
from experiments.regimes.grid import (
    CONFIRMATION_SEEDS,
    SEARCH_SEEDS,
    Planned,
    Regime,
    beyond_budget,
    declared,
    planned,
    regimes,
)
from experiments.runs import committed
from experiments.specs.spec import RunSpec
from vapo_core.files import ensure_writable, write_whole

MOST_CONFIRMED = 2
"""Regimes of one length and one number of responses that are confirmed: those of the greatest shortfall in the search."""

STUDY = "regimes"


class RegimesConfig(Launching):
    """Search for regimes in which PPO fails, by a rule that looks at PPO and two controls alone; confirm on other seeds."""

    runs: Path = Field(Path("runs"), description="folder for records and caches")
    out: Path = Field(
        Path("results/regimes"), description="folder of the outcome; runs it already holds are not repeated"
    )
    dry_run: bool = Field(False, description="show the plan of the search and its cost without running it")
    judge: bool = Field(False, description="run nothing; make tables, figure and page from the runs that are finished")


def search(config: RegimesConfig) -> int:
    """Run what is missing of the search, then of the confirmation; write both.

    Returns:
        Exit code: 0, or 1 if some run could not be finished.
    """
    every = regimes()
    stages = [list(planned(every, SEARCH_SEEDS))]
    if config.dry_run:
        print("\n".join(study_cost(STUDY, "search", *_plan(stages[0], config.out), config.runs, config.at_once)))
        return 0
    ensure_writable(config.out)
    complete = _run("search", stages[0], config)
    found = findings(outcomes(stages[0], config))
    if not len(found):
        raise ValueError(f"out: {config.out} holds no finished run of the search, and {config.runs} none either")
    if complete:
        names = set(to_confirm(found, MOST_CONFIRMED))
        stages.append(list(planned([regime for regime in every if regime.name in names], CONFIRMATION_SEEDS)))
        complete = _run("confirmation", stages[1], config)
    _publish([run for stage in stages for run in stage], found, config)
    return 0 if complete else 1


def _plan(stage: Sequence[Planned], out: Path) -> tuple[list[RunSpec], list[RunSpec]]:
    """Specs of a stage, each once, and those that the outcome folder does not hold."""
    specs = list(dict.fromkeys(run.spec for run in stage))
    kept = committed.finished_specs(out)
    return specs, [spec for spec in specs if spec.hash not in kept]


def _run(title: str, stage: Sequence[Planned], config: RegimesConfig) -> bool:
    """Run what is missing of a stage, unless it is only to be judged; whether all of it is finished now."""
    specs, missing = _plan(stage, config.out)
    if config.judge:
        _keep(specs, config)
        return len(_plan(stage, config.out)[1]) == 0
    print("\n".join(study_cost(STUDY, title, specs, missing, config.runs, config.at_once)))
    labels = {run.spec.hash: f"{run.arm}: {run.regime.name}" for run in stage}
    grid = run_grid(config, missing, Job(config.runs, STUDY, None), STUDY, lambda spec: labels[spec.hash])
    say_failures(grid.failures, lambda spec: labels[spec.hash])
    _keep(specs, config)
    return grid.is_complete


def _keep(specs: Sequence[RunSpec], config: RegimesConfig) -> None:
    """Write finished rows into the outcome folder, beside those it holds."""
    held = committed.finished_specs(config.out)
    fresh = committed.from_runs([spec for spec in specs if spec.hash not in held], config.runs)
    committed.write(committed.concat([*([committed.load_whole(config.out)] if held else []), fresh]), config.out)


def outcomes(stage: Sequence[Planned], config: RegimesConfig) -> pd.DataFrame:
    """Columns regime, length, responses, arm, seed, last (J at the end), mean_length (tokens): the finished runs of a stage."""
    rows = load(config.out).runs.set_index("spec")
    return pd.DataFrame(
        [
            {
                "regime": run.regime.name,
                "length": run.regime.length,
                "responses": run.regime.responses,
                "arm": run.arm,
                "seed": run.seed,
                "last": rows.loc[run.spec.hash, "last"],
                "mean_length": rows.loc[run.spec.hash, "mean_length"],
            }
            for run in stage
            if run.spec.hash in rows.index
        ],
        columns=["regime", "length", "responses", "arm", "seed", "last", "mean_length"],
    )


def _publish(stage: Sequence[Planned], found: pd.DataFrame, config: RegimesConfig) -> None:
    """Tables of both stages, the figure and the page."""
    confirmed = findings(outcomes([run for run in stage if run.seed in CONFIRMATION_SEEDS], config))
    write_whole(config.out / "search.csv", found.to_csv(index=False))
    write_whole(config.out / "confirmation.csv", confirmed.to_csv(index=False))
    drawing = map_of_regimes(found, confirmed)
    save(drawing, config.out / "figures", "regimes")
    to_come = len(_plan([run for run in stage if run.seed in SEARCH_SEEDS], config.out)[1])
    unreached = [regime.name for regime in declared() if beyond_budget(regime)]
    seconds = float(load(config.out).runs["seconds"].sum())
    write_whole(config.out / "README.md", readme(found, confirmed, seconds / 3600, to_come, unreached, drawing.alt))
    print(f"searched {len(found)} regimes, {int(found['failing'].sum())} failing; confirmed {int(confirmed['failing'].sum())} of"
          f" {len(confirmed)}: {config.out}")  # fmt: skip


def confirmed_regimes(folder: Path) -> list[Regime]:
    """Regimes that failed in the search and again on the seeds of the confirmation, as the committed table says."""
    path = folder / "confirmation.csv"
    if not path.is_file():
        return []
    table = pd.read_csv(path)
    names = set(table.loc[table["failing"].astype(bool), "regime"])
    return [regime for regime in regimes() if regime.name in names]
