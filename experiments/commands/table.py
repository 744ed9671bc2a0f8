"""`vapo table NAMES`: effects or verdicts with intervals and counts, as Markdown, LaTeX or CSV."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field
from tyro.conf import Positional

from experiments.specs.options import parse
from vapo_core.files import write_whole
from vapo_core.settings import Frozen

if TYPE_CHECKING:
    from analysis.tables.sheets import Sheet
    from analysis.verdict.outcomes import Outcome

Format = Literal["markdown", "latex", "csv"]

SUFFIXES: dict[str, Format] = {".md": "markdown", ".tex": "latex", ".csv": "csv"}


class TableConfig(Frozen):
    """A table for a paper: each arm's difference to its reference, paired by seed, with its interval and number of seeds.

    Several ablations make one table, for instance leave-one-out and add-one-in. A study's table has its verdicts.
    """

    names: Positional[tuple[str, ...]] = Field(
        (), description="ablations or studies: folders, or their names in runs/ and results/ as `vapo ls` shows them"
    )
    format: Format | None = Field(
        None, description="markdown, latex or csv; by default what the suffix of --out says, else markdown"
    )
    score: Literal["auc", "last"] = Field("auc", description="auc: area under the learning curve; last: final score")
    out: Path | None = Field(None, description="file to write; by default the table is printed")
    runs: Path = Field(Path("runs"), description="folder of ablations and quick studies")
    results: Path = Field(Path("results"), description="folder of full studies")


def run(words: Sequence[str]) -> int:
    """Parse, read the tables, print or write."""
    config = parse(TableConfig, TableConfig(), words, "table")
    kind = _format(config)
    text = _text(config, kind)
    if config.out is None:
        print(text, end="")
    else:
        write_whole(config.out, text)
        print(f"written: {config.out}")
    return 0


def _format(config: TableConfig) -> Format:
    """What to write, checked before anything is read.

    Raises:
        ValueError: without a name, or if the file's suffix and --format are at odds or say nothing.
        IsADirectoryError: if the file is a folder.
    """
    if not config.names:
        raise ValueError("names: which ablation or study? such as `vapo table NAME`; `vapo ls` shows their names")
    if config.out is None:
        return config.format or "markdown"
    if config.out.is_dir():
        raise IsADirectoryError(f"out = {config.out}: is a folder, allowed is a file")
    by_suffix = SUFFIXES.get(config.out.suffix)
    if config.format or by_suffix:
        return config.format or by_suffix or "markdown"
    raise ValueError(f"out = {config.out}: name a file in {', '.join(SUFFIXES)}, or give --format")


def _text(config: TableConfig, kind: Format) -> str:
    """The table of studies, or of ablations joined.

    Raises:
        ValueError: if both kinds are named, or as what reads them does.
    """
    from experiments.runs.named_outcomes import named_folder, outcome_folder, study_outcome

    folders = [outcome_folder(name, config.runs, config.results) for name in config.names]
    studies = [found for folder in folders if folder and (found := study_outcome(folder))]
    if not studies:
        return _effects(config, kind)
    for name in config.names:
        named_folder(name, config.runs, config.results)
    if len(studies) < len(config.names):
        raise ValueError("names: ablations and studies make different tables, name one kind at a time")
    return _verdicts(studies, kind)


def _effects(config: TableConfig, kind: Format) -> str:
    from analysis.ablations.joined import joined_effects, sheets
    from experiments.runs.named_outcomes import ablation

    found = [ablation(name, config.runs, config.results) for name in config.names]
    effects = joined_effects(found, config.score)
    if effects.empty:
        raise ValueError("no arm beside the reference: there is no effect to show")
    return (
        effects.to_csv(index=False, float_format="%.6g")
        if kind == "csv"
        else _written(sheets(effects, config.score), kind)
    )


def _verdicts(studies: "Sequence[Outcome]", kind: Format) -> str:
    """One table per study; as CSV, one for all.

    Raises:
        ValueError: if a study has no verdict.
    """
    import pandas as pd

    from analysis.hypotheses.study_text import text_of
    from analysis.verdict.listing import verdict_numbers, verdict_sheet
    from experiments.studies import find

    empty = [one.folder for one in studies if not any(row.primary for row in one.verdicts)]
    if empty:
        raise ValueError(f"{empty[0]}: no question of this study has been decided yet, so there is no table")
    planned = [getattr(find(one.stem), "REPLICATES", {}) if one.preset == "full" else {} for one in studies]
    if kind == "csv":
        tables = [verdict_numbers(one.verdicts, plan) for one, plan in zip(studies, planned, strict=True)]
        return str(pd.concat(tables).to_csv(index=False, float_format="%.6g"))
    return _written(
        [
            verdict_sheet(one.verdicts, one.questions, plan, text_of(one.stem).title)
            for one, plan in zip(studies, planned, strict=True)
        ],
        kind,
    )


def _written(tables: "Sequence[Sheet]", kind: Format) -> str:
    from analysis.tables.sheets import latex, markdown

    return "\n".join((latex if kind == "latex" else markdown)(sheet) for sheet in tables)
