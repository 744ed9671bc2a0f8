"""CPU seconds by phase: what a phase within another takes is not the outer one's."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest.mock import patch


class Stopwatch:
    """Phases that are under way, innermost last, and what each has taken."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.entries: Counter[str] = Counter()
        """How often each phase began."""
        self.ended: Counter[str] = Counter()
        """How often it came to its end, with no error."""
        self._open: list[str] = []
        self._last = 0.0

    @property
    def inner(self) -> str:
        """The innermost phase under way; "" outside all."""
        return self._open[-1] if self._open else ""

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Within it, time is this phase's."""
        self._charge()
        self._open.append(name)
        self.entries[name] += 1
        try:
            yield
            self.ended[name] += 1
        finally:
            self._charge()
            self._open.pop()

    @contextmanager
    def watching(self, owner: Any, name: str, phase: str, after: Callable[..., None] | None = None) -> Iterator[None]:
        """Within it, calls of `owner.name` are a phase, or stay in the one under way if it is ""; `after(result, *arguments)`
        is called after each.
        """
        function = getattr(owner, name)

        def watched(*arguments: Any, **named: Any) -> Any:
            with self.phase(phase) if phase else nullcontext():
                result = function(*arguments, **named)
            if after is not None:
                after(result, *arguments)
            return result

        with patch.object(owner, name, watched):
            yield

    def _charge(self) -> None:
        now = time.process_time()
        if self._open:
            self.seconds[self._open[-1]] += now - self._last
        self._last = now
