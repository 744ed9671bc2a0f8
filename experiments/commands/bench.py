"""`vapo bench`: what things cost, measured side by side on this machine."""

import csv
import io
import os
import platform
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from experiments.benchmarks import ASKED_FOR, PARTS, part, require_part
from experiments.benchmarks.timing import TimingRow
from experiments.specs.options import known, parse
from vapo_core.files import ensure_writable, write_whole
from vapo_core.settings import Frozen


class BenchConfig(Frozen):
    """Run the benchmarks. Without --quick the results are written to results/benchmarks/."""

    parts: tuple[str, ...] = Field(
        tuple(name for name in PARTS if name not in ASKED_FOR), description="which parts: " + ", ".join(PARTS)
    )
    quick: bool = Field(False, description="a check of a minute or two; results are written to runs/benchmarks/")
    runs: Path = Field(Path("runs"), description="folder for the results of --quick")


def run(words: Sequence[str]) -> int:
    """Parse, measure part by part, keep the table up to date as they end."""
    config = parse(BenchConfig, BenchConfig(), words, "bench")
    for name in config.parts:
        known("part", name, PARTS)
    out = config.runs / "benchmarks" if config.quick else Path("results/benchmarks")
    for name in config.parts:
        require_part(name)
    ensure_writable(out)
    for name in config.parts:
        print(f"{name}: {PARTS[name]} ...", flush=True)
        found = part(name)(config.quick)
        for row in found:
            print(f"  {line(row)}", flush=True)
        write_whole(out / f"{name}.csv", table(found))
    write_whole(out / "machine.txt", machine())
    from analysis.plots.benchmarks import ratios, read
    from analysis.plots.drawing import save

    print(f"tables: {out}, figure: {save(ratios(read(out)), out, 'figure').png}")
    return 0


def line(row: TimingRow) -> str:
    """A row for a person."""
    ratio = (
        ""
        if row.ratio != row.ratio
        else f", {row.ratio:.2f} [{row.ratio_low:.2f}, {row.ratio_high:.2f}] x {row.reference}"
    )
    rate = "" if row.amount != row.amount else f", {row.amount / row.value:,.0f} {row.amount_unit}/s"
    return f"{row.case}, {row.variant}: {row.value:.4g} [{row.low:.4g}, {row.high:.4g}] {row.unit}{ratio}{rate}"


def table(found: Sequence[TimingRow]) -> str:
    """Rows as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(TimingRow._fields)
    writer.writerows([f"{x:.6g}" if isinstance(x, float) else x for x in row] for row in found)
    return text.getvalue()


def machine() -> str:
    """What the numbers were measured on."""
    import torch

    from experiments.runs.source import git_commit

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return (
        f"commit: {git_commit() or 'unknown'}\nsystem: {platform.system()} {platform.machine()}\n"
        f"cores: {os.cpu_count()}\ngpu: {gpu}\npython: {platform.python_version()}\ntorch: {torch.__version__}\n"
        f"threads per process: 1\n"
    )
