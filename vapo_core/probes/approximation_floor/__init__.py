"""The floor of the critic's error: what its network leaves when it is fitted to as many answers as still help."""

from vapo_core.probes.approximation_floor.floor import METRICS, measure

__all__ = ["METRICS", "measure"]
