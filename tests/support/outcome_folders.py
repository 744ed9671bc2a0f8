"""Outcome folders of studies as `vapo study` leaves them, with planted verdicts."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.plots.drawing import Drawing, canvas, save
from analysis.verdict.decisions import Verdict, verdict
from analysis.verdict.questions import Level, Question
from analysis.verdict.verdicts import as_json

FULL_SEEDS, QUICK_SEEDS = 32, 3


def row(
    question: Question, centre: float, preset: str, level: Level | None = None, estimand: str = "", spread=0.3
) -> Verdict:
    """A verdict whose estimate is `centre` thresholds exactly, seeds `spread` thresholds apart."""
    seeds = FULL_SEEDS if preset == "full" else QUICK_SEEDS
    noise = np.linspace(-1, 1, seeds)
    theta = question.threshold * (centre + spread * noise)
    return verdict(question, level or question.primary, theta, preset, estimand=estimand)


def plant(
    folder: Path,
    preset: str,
    questions: Mapping[str, Question],
    rows: Sequence[Verdict],
    names: Sequence[str] = (),
    **note: object,
) -> Path:
    """verdicts.json, study.json and figures; tables are the caller's to write."""
    folder.mkdir(parents=True)
    stem = folder.name if preset == "full" else folder.name.removeprefix("study-").removesuffix(f"-{preset}")
    (folder / "verdicts.json").write_text(as_json(rows))
    said = {
        "stem": stem, "preset": preset, "commit": "abc1234", "command": f"vapo study {stem} --preset {preset}", "runs": 12,
        "core_hours": 1.5, "machine": "Linux x86_64, 2 cores", "questions": {n: q._asdict() for n, q in questions.items()},
    }  # fmt: skip
    (folder / "study.json").write_text(json.dumps({**said, **note}))
    for name in names:
        save(drawing(f"{name}, {preset}"), folder / "figures", name)
    (folder / "figures").mkdir(exist_ok=True)
    index = [{"name": name, "alt": f"What figure {name} of preset {preset} shows."} for name in names]
    (folder / "figures" / "index.json").write_text(json.dumps(index))
    return folder


def drawing(title: str) -> Drawing:
    """A small figure."""
    data = pd.DataFrame({"step": [0, 1, 2], "value": [0.1, 0.5, 0.4]})
    with canvas(3.6, 2.6) as figure:
        axes = figure.subplots()
        axes.plot(data["step"], data["value"])
        axes.set(xlabel="RL step", ylabel="value, reward", title=title)
    return Drawing(figure, data, title)
