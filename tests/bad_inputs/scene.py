"""What every kind of plant is made of."""

from collections.abc import Callable
from pathlib import Path

Scene = Callable[[Path, Path], None]
"""(folder of the command, folder of finished runs) -> None: makes what a name stands for."""

DEEP = 2000
"""Levels: more than Python recurses."""
