"""The floor of the critic's error: the error left by its network when fitted to as many answers as still help."""

from vapo_core.probes.approximation_floor.floor import METRICS, measure

__all__ = ["METRICS", "measure"]
