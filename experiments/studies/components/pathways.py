"""Alternatives from later papers, each a variant in an existing slot, run beside full VAPO at every length."""

from collections.abc import Mapping
from typing import NamedTuple

from experiments.specs.designs import Cell
from experiments.studies import core


class Pathway(NamedTuple):
    """One alternative."""

    name: str
    """In a few words."""
    variants: Mapping[str, str]
    off: tuple[str, ...] = ()
    dials: tuple[tuple[str, float], ...] = ()
    """Of the walk; a pathway with dials is run there alone."""

    @property
    def cell(self) -> Cell:
        """Full VAPO, or without some component, on the changed task."""
        return Cell("vapo", core.without(*self.off), (), self.dials)


PATHWAYS: tuple[Pathway, ...] = (
    Pathway("critic tethered to the group's mean", {"values": "tether"}),
    Pathway("critic only where it explains variance", {"values": "gated"}),
    Pathway("loss normalised by length", {"token_level_loss": "length_normalised"}),
    Pathway("positive advantages alone", {"whiten": "positive_only"}),
    Pathway("negative advantages alone", {"whiten": "negative_only"}),
    Pathway("random rewards", {}, (), (("random_reward", 1.0),)),
    Pathway("random rewards, symmetric clip", {}, ("clip_higher",), (("random_reward", 1.0),)),
)
"""The last two are a control: with nothing to learn, whatever the wider clip changes it changes by itself."""
