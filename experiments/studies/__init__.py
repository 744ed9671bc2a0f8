"""One room per limitation: its questions, predictions, and the runs that decide them. `find` loads one by name."""

import importlib
from collections.abc import Mapping
from typing import Any, Protocol, cast

from analysis.verdict.questions import Question
from vapo_core.suggest import nearest

STEMS: tuple[str, ...] = (
    "components",
    "h1_value_fidelity",
    "h2_length_adaptive_gae",
    "h3_token_level_loss",
    "h4_exploration",
    "h5_generalization",
    "h6_interactions",
    "h7_credit_assignment",
)
"""Studies in the order in which they run: the first makes the tables that the others read, too."""

PRESETS: tuple[str, ...] = ("smoke", "quick", "full")


class Study(Protocol):
    """One file in this folder."""

    QUESTIONS: Mapping[str, Question]

    @staticmethod
    def specs(preset: str) -> tuple[Any, ...]:
        """Every run the study needs, shared ones included, in the order in which they start."""
        ...

    @staticmethod
    def primary(preset: str) -> tuple[Any, ...]:
        """Those of them from which the primary estimates are made: what a pilot tries out."""
        ...


def stem_of(name: str) -> str:
    """A study's full name from that or its short form, such as h3.

    Raises:
        ValueError: for anything else; the nearest name is given.
    """
    short = {stem.split("_")[0]: stem for stem in STEMS}
    study = name[:-1]
    if study in short and name in find(short[study]).QUESTIONS:
        raise ValueError(
            f"study: no study {name!r}; the questions of {study} are run and judged together: vapo study {study}"
        )
    if name in STEMS or name in short:
        return short.get(name, name)
    raise ValueError(f"study: no study {name!r}{nearest(name, {*short, *STEMS})}")


def find(stem: str) -> Study:
    """The study's file."""
    return cast(Study, importlib.import_module(f"experiments.studies.{stem}"))
