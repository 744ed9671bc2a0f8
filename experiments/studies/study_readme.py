"""The README in a study's outcome folder: origin of its rows, decisions, all figures."""

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.verdict import lengths
from analysis.verdict.decisions import NOTE, Verdict
from analysis.verdict.headline import beside


def study_readme(note: Mapping[str, Any], found: Sequence[Verdict], figures: Mapping[str, str]) -> str:
    """Markdown of one outcome.

    Args:
        note: what study.json says.
        found: verdicts, secondary rows included.
        figures: name of each figure in `figures/` -> what it shows.
    """
    rows = max(note["runs"], 1)
    origin = (
        f"`{note['command']}`, judged at commit {note['commit']}; rows from commits {', '.join(note['commits_of_rows'])}."
        f" {note['runs']:,} runs, {note['core_hours']:.2f} core-hours ({3600 * note['core_hours'] / rows:.1f} s a run);"
        f" judged on {note['machine']}."
    )
    pictures = [f"![{alt}](figures/{name}.png)\n\n*{alt}*" for name, alt in figures.items()]
    return "\n\n".join([f"# {note['stem']}", origin, _decided(note, found), _declared(note), *pictures]) + "\n"


def _decided(note: Mapping[str, Any], found: Sequence[Verdict]) -> str:
    """A table with a line per question: the primary row, or that it waits for rows."""
    primary = {row.question: row for row in found if row.primary}
    lines = [
        "| question | decision | estimate and interval | threshold | replicates | mean response |",
        "|---|---|---|---|---|---|",
    ]
    for name, question in note["questions"].items():
        row, asked = primary.get(name), question["question"].replace("|", "\\|")
        lines.append(
            f"| {name}: {asked} | no rows yet of its primary level, {question['primary']} | | | | |"
            if row is None
            else f"| {name}: {asked} | {row.decision} | {row.effect:.3g} [{row.low:.3g}, {row.high:.3g}] {row.unit} |"
            f" {row.threshold:g} | {row.seeds} | {lengths.shown(row)} |"
        )
    remarks = [f"- {name}: {row.strata[NOTE]}." for name, row in primary.items() if NOTE in row.strata]
    remarks += [f"- {line}" for line in beside(found)]
    lines += ["", *remarks] if remarks else []
    secondary = sum(not row.primary for row in found)
    lines += ["", f"{secondary} secondary rows, with 95 % intervals and without a verdict, are in `verdicts.json`."]
    return "\n".join(lines)


def _declared(note: Mapping[str, Any]) -> str:
    """What `supported` is about: estimand and prediction, as they stood before the runs."""
    lines = [
        "A decision is about the prediction, which was written before the runs; the threshold is in the same unit:",
        "",
    ]
    for name, question in note["questions"].items():
        lines.append(f"- **{name}** estimates: {question['estimand']} *Predicted:* {question['prediction']}")
        if question.get("definition"):
            folded = f"<details><summary>Formal definition</summary>{question['definition']}</details>"
            lines.append(f"  {folded}")
    return "\n".join(lines)
