"""Tables of text as Markdown and LaTeX, to be pasted into a paper."""

import re
import sys
from collections.abc import Sequence
from typing import NamedTuple


class Sheet(NamedTuple):
    """One table as text: the first column is left-aligned, the others right-aligned."""

    heads: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    """As many cells each as there are heads."""
    caption: str


def markdown(sheet: Sheet) -> str:
    """The table in GitHub's Markdown, its caption below."""
    rule = [":--", *("--:" for _ in sheet.heads[1:])]
    lines = [_piped(row) for row in (sheet.heads, rule, *sheet.rows)]
    return "\n".join([*lines, "", sheet.caption]) + "\n"


def _piped(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def latex(sheet: Sheet) -> str:
    """The table in LaTeX, in the style of the package booktabs."""
    lines = [" & ".join(map(escaped, row)) + r" \\" for row in (sheet.heads, *sheet.rows)]
    return "\n".join([
        r"% needs \usepackage{booktabs}", r"\begin{table}", r"\centering", rf"\caption{{{escaped(sheet.caption)}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(sheet.heads) - 1)}}}", r"\toprule", lines[0], r"\midrule", *lines[1:],
        r"\bottomrule", r"\end{tabular}", r"\end{table}",
    ]) + "\n"  # fmt: skip


LETTERS = {
    "\\": r"\textbackslash{}", "_": r"\_", "%": r"\%", "&": r"\&", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "−": "$-$", "–": "--", "Δ": r"$\Delta$", "α": r"$\alpha$",
    "λ": r"$\lambda$", "\u00a0": "~", "✗": r"$\times$", "<": "$<$", ">": "$>$",
}  # fmt: skip
"""What LaTeX reads as commands, and letters its fonts lack."""


def escaped(text: str) -> str:
    """The text as LaTeX prints it; a hyphen before a number becomes a minus sign."""
    signed = re.sub(r"(?<![\w-])-(?=\.?\d)", "−", text)
    return "".join(LETTERS.get(letter, letter) for letter in signed)


def printed(sheet: Sheet) -> None:
    """Show the table on stdout, lines as long as they are where stdout is no terminal."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(
        box=box.SIMPLE_HEAD, caption=sheet.caption, caption_justify="left", padding=(0, 1, 0, 0), pad_edge=False
    )
    for i, head in enumerate(sheet.heads):
        table.add_column(head, justify="right" if i else "left", no_wrap=not i)
    for row in sheet.rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 160).print(table, markup=False)
