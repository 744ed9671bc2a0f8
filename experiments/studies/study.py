"""A study: its runs, and from their tables its verdicts and figures."""

import importlib
import json
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from analysis.hypotheses import real_level, theory
from analysis.tables.schema import Tables, load
from analysis.verdict import gates
from analysis.verdict.decisions import Verdict
from analysis.verdict.verdicts import as_json
from experiments.cost.study_plan import study_cost
from experiments.launchers.grid import GridResult, run_grid, say_failures
from experiments.launchers.launching import Launching, part_of
from experiments.launchers.workers import Job
from experiments.runs import committed
from experiments.runs.outcome_folder import study_folder
from experiments.runs.readable import check_readable
from experiments.runs.source import git_commit
from experiments.specs.engines import require
from experiments.specs.exact import AnySpec
from experiments.studies import STEMS, find, stem_of
from experiments.studies.pilots import pilots_of
from experiments.studies.real import Target, chosen, flags, on
from experiments.studies.registration import commits_by_level, registration_violations
from experiments.studies.study_readme import study_readme
from experiments.sync.invocation import tracked
from vapo_core.files import ensure_writable, write_whole
from vapo_core.reading import reading


class StudyConfig(Launching, Target):
    """Run studies, judge them and draw their figures: `vapo study h3`, `vapo study h1 h7 --preset full`, `vapo study all`."""

    preset: Literal["smoke", "quick", "pilot", "full", "real"] = Field(
        "quick",
        description="smoke: seconds; quick: minutes; pilot: primary runs of preset full on development seeds; full:"
        " confirmatory, hours; real: a pretrained checkpoint on a GPU",
    )
    level: Literal["exact", "gate", "walk", "lm", "all"] = Field(
        "all",
        description="run only this level; gate: the runs that show whether a question can be tested, first of all",
    )
    runs: Path = Field(Path("runs"), description="folder for records, caches, and outcomes of every preset except full")
    results: Path = Field(
        Path("results"), description="folder for outcomes of preset full; runs it already holds are not repeated"
    )
    dry_run: bool = Field(False, description="show the plan and its cost without running it")
    judge: bool = Field(False, description="run nothing; make verdicts and figures from existing runs")
    collect: bool = Field(
        False,
        description="run and judge nothing; add what is finished to results/ as a part, while another command runs the study",
    )

    @model_validator(mode="after")
    def _one_job(self) -> Self:
        if self.collect and (self.preset != "full" or self.judge or self.dry_run):
            raise ValueError(
                "collect = True: adds rows of preset full to results/; not with another preset, judge or dry_run"
            )
        return self

    @model_validator(mode="after")
    def _target_of_real(self) -> Self:
        if self.preset != "real" and chosen(self):
            name, value = next(iter(chosen(self).items()))
            raise ValueError(f"{name} = {value!r}: this option applies to preset real only, not to {self.preset}")
        return self

    @property
    def at_once(self) -> int | None:
        """Runs at a time; on a GPU one unless told otherwise."""
        return 1 if self.preset == "real" and not self.workers and self.launcher == "local" else super().at_once


def studies_named(names: Sequence[str]) -> list[str]:
    """Full names in their order, each once; all of them for `all`.

    Raises:
        ValueError: for no name or an unknown one.
    """
    if not names:
        raise ValueError(f"study: which one? (allowed: all, {', '.join(STEMS)}, or short: h3)")
    asked = [stem for name in names for stem in (STEMS if name == "all" else [stem_of(name)])]
    return list(dict.fromkeys(asked))


def run_study(stem: str, config: StudyConfig) -> int:
    """Run what is missing, then judge; prints the verdicts.

    Returns:
        Exit code: 0, or 1 if some run could not be finished.
    """
    wanted = [spec for spec in _specs(stem, config) if config.level in ("all", _level(spec))]
    specs = part_of(wanted, config.shard)
    out = study_folder(stem, config.preset, config.runs, config.results)
    kept = {name for folder in committed.folders(config.results) for name in committed.finished_specs(folder)}
    missing = [spec for spec in specs if spec.hash not in kept]
    if config.collect:
        return _collect(stem, missing, config.runs, out)
    print("\n".join(study_cost(stem, config.preset, specs, missing, config.runs, config.at_once)))
    if config.dry_run:
        return 0
    require(config.engine)
    if config.shard and config.judge:
        raise ValueError("shard: --judge needs all parts; use it without --shard")
    _refuse_another_target(stem, config, out)
    if not config.judge:
        check_readable(missing, config.runs, remote=config.launcher == "ray")
    ensure_writable(out)
    grid = GridResult(0, [], 0) if config.judge else _run(stem, missing, config, out)
    if config.shard:
        print(f"{stem}, part {config.shard}: {grid.finished} of {len(missing)} runs are finished; when all parts are,"
              " run the command without --shard to judge")  # fmt: skip
    else:
        _publish(stem, config, out)
    say_failures(grid.failures, lambda spec: spec.arm)
    return 0 if grid.is_complete else 1


def _collect(stem: str, missing: Sequence[AnySpec], runs: Path, out: Path) -> int:
    """Add finished runs that no results folder holds; they are judged another time."""
    fresh = committed.from_runs(missing, runs)
    part = committed.add(fresh, out)
    print(
        f"{stem}: {len(fresh.runs)} runs added{f' as {part}' if part else ''}, {len(missing) - len(fresh.runs)} to come"
    )
    return 0


def _refuse_another_target(stem: str, config: StudyConfig, out: Path) -> None:
    """Raises ValueError if the folder holds the outcome of preset real on another checkpoint, task or scale."""
    path = out / "study.json"
    if config.preset != "real" or not path.is_file():
        return
    with reading(path):
        earlier = str(json.loads(path.read_text(encoding="utf-8"))["command"])
    if earlier != _command(stem, config):
        raise ValueError(f"runs: {out} holds the outcome of `{earlier}`; use another --runs to keep both")


def _command(stem: str, config: StudyConfig) -> str:
    """The command that asks for this outcome."""
    return " ".join(["vapo", "study", stem, "--preset", config.preset, *flags(config)])


def _specs(stem: str, config: StudyConfig) -> Sequence[AnySpec]:
    """The study's runs; of preset real on the checkpoint and task requested, of a pilot those of full on other seeds."""
    if config.preset == "pilot":
        return pilots_of(find(stem).primary("full"))
    listed = find(stem).specs(config.preset)
    return on(config, listed) if config.preset == "real" else listed


def _level(spec: AnySpec) -> str:
    """What `--level` calls a run: gate by its seed, else by its world."""
    return "gate" if spec.world != "exact" and spec.seed in gates.SEEDS else spec.world


def _run(stem: str, specs: Sequence[AnySpec], config: StudyConfig, out: Path) -> GridResult:
    with tracked(config.runs, stem, {spec.hash: spec.arm for spec in specs}, out) as tracking:
        return run_grid(config, specs, Job(config.runs, stem, tracking), stem, lambda spec: spec.arm)


def _publish(stem: str, config: StudyConfig, out: Path) -> None:
    """Tables, verdicts, figures and a note of how they came about, from whatever is finished of all worlds."""
    specs = list(dict.fromkeys(_specs(stem, config)))
    tables = _tables(stem, specs, config, out)
    if not len(tables.runs):
        print(f"{stem}: no run has finished yet, so there is nothing to judge")
        return
    judge = real_level if config.preset == "real" else importlib.import_module(f"analysis.hypotheses.{stem}")
    questions = find(stem).QUESTIONS
    found: list[Verdict] = judge.score(tables, questions, config.preset)
    write_whole(out / "verdicts.json", as_json(found))
    drawings = {**judge.figures(tables, questions), **theory.figures(tables)}
    _draw(drawings, out / "figures")
    note = _note(stem, config, tables)
    write_whole(out / "study.json", json.dumps(note, indent=1))
    write_whole(out / "README.md", study_readme(note, found, {name: drawing.alt for name, drawing in drawings.items()}))
    _say(found, out)
    for violation in registration_violations(stem, commits_by_level(tables.runs)) if config.preset == "full" else ():
        print(f"prediction not pre-registered: {violation}", file=sys.stderr)


def _tables(stem: str, specs: Sequence[AnySpec], config: StudyConfig, out: Path) -> Tables:
    """Every finished row of these specs; what no other results folder holds is written into `out`."""
    wanted = {spec.hash for spec in specs}
    others = [folder for folder in committed.folders(config.results) if folder != out]
    elsewhere = [
        committed.select(committed.load_whole(folder), committed.finished_specs(folder) & wanted) for folder in others
    ]
    shared = {name for tables in elsewhere for name in tables.runs["spec"]}
    kept_tables = (
        [committed.select(committed.load_whole(out), committed.finished_specs(out) & wanted)]
        if committed.finished_specs(out)
        else []
    )
    kept = {name for tables in kept_tables for name in tables.runs["spec"]}
    fresh = committed.from_runs([spec for spec in specs if spec.hash not in shared | kept], config.runs)
    own = committed.concat([*kept_tables, fresh])
    if not len(own.runs) and not shared:
        return own
    committed.write(own, out)
    return committed.concat([load(out), *elsewhere])


def _draw(drawings: dict[str, Any], folder: Path) -> None:
    """Every figure with its numbers, and a list of them in their order."""
    from analysis.plots.drawing import save

    for stale in folder.glob("*.*"):
        stale.unlink()
    for name, drawing in drawings.items():
        save(drawing, folder, name)
    index = [{"name": name, "alt": drawing.alt} for name, drawing in drawings.items()]
    write_whole(folder / "index.json", json.dumps(index, indent=1))


def _note(stem: str, config: StudyConfig, tables: Tables) -> dict[str, Any]:
    """Provenance of the outcome."""
    return {
        "stem": stem,
        "preset": config.preset,
        "command": _command(stem, config),
        "commit": git_commit(),
        "commits_of_rows": sorted(set(tables.runs["git_commit"])),
        "runs": len(tables.runs),
        "core_hours": round(float(tables.runs["seconds"].sum()) / 3600, 3),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "questions": {name: question._asdict() for name, question in find(stem).QUESTIONS.items()},
    }


def _say(found: Sequence[Verdict], out: Path) -> None:
    """Print the decisions, then the secondary rows."""
    for row in sorted(found, key=lambda row: not row.primary):
        what = f"-> {row.decision}" if row.primary else f"({row.estimand})"
        print(f"{row.question} {row.level}: {row.effect:.3g} [{row.low:.3g}, {row.high:.3g}] {row.unit}, delta"
              f" {row.threshold:g}, {row.seeds} replicates {what}")  # fmt: skip
    print(f"verdicts, tables and figures: {out}")
