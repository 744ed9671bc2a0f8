"""Progress of a grid: runs done, the last result, and the time left."""

import sys
import time
from typing import TYPE_CHECKING, Any

from experiments.specs.exact import AnySpec

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Progression:
    """A progress bar on a terminal; elsewhere (a log, CI) an occasional line."""

    LINE_SECONDS = 15.0

    def __init__(self, title: str, total: int) -> None:
        self.total, self.done, self.fresh = total, 0, 0
        self._start = self._spoke = time.monotonic()
        self._bar: Progress | None = None
        if sys.stderr.isatty():
            from rich import console, progress  # here: a plan or a log draws no bar

            text = progress.TextColumn
            columns = (text("{task.description}"), progress.BarColumn(), progress.MofNCompleteColumn(),
                       progress.TimeElapsedColumn(), text("{task.fields[left]}"), text("{task.fields[last]}"))  # fmt: skip
            self._bar = progress.Progress(*columns, console=console.Console(stderr=True))
            self._task: TaskID = self._bar.add_task(title, total=total, left="", last="")
            self._bar.start()

    def advance(self, spec: AnySpec, row: dict[str, Any], fresh: bool, arm: str = "") -> None:
        """One more run is done; `fresh` ones tell the pace, those finished earlier do not; `arm` names it, else its spec."""
        self.done, self.fresh = self.done + 1, self.fresh + fresh
        score = f": {row['last']:.3f}" if "last" in row else ""
        last = f"{arm or spec.arm}, seed {spec.seed}{score}"
        if self._bar is not None:
            self._bar.update(self._task, advance=1, left=self.left(), last=last)
        elif time.monotonic() - self._spoke > self.LINE_SECONDS or self.done == self.total:
            self._spoke = time.monotonic()
            print(f"{self.done}/{self.total} runs, {self.left()}  {last}", file=sys.stderr, flush=True)

    def left(self) -> str:
        """Time left at the present pace."""
        if not self.fresh:
            return ""
        seconds = (time.monotonic() - self._start) / self.fresh * (self.total - self.done)
        return f"about {clock(seconds)} left"

    def close(self) -> None:
        """Restore the terminal."""
        if self._bar is not None:
            self._bar.stop()


class Watch:
    """An occasional line of progress while trials run."""

    LINE_SECONDS = 15.0

    def __init__(self, total: int) -> None:
        self.total, self.start = total, time.monotonic()
        self.last_report, self.reported, self.earlier = self.start, -1, -1

    def look(self, done: int) -> None:
        """Print how many trials are done, and the time left at this pace, if it is time to or all are."""
        self.earlier = done if self.earlier < 0 else self.earlier
        now, left = time.monotonic(), self.total - done
        if done in (self.earlier, self.reported) or (now - self.last_report < self.LINE_SECONDS and left):
            return
        self.last_report, self.reported = now, done
        pace = (now - self.start) / (done - self.earlier)
        text = f"{done}/{self.total} trials"
        print(f"{text}, about {clock(pace * left)} left" if left else text, file=sys.stderr, flush=True)


def clock(seconds: float) -> str:
    """Minutes and seconds, or hours and minutes."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes}:{rest:02d}"


def on_workers(seconds: float, workers: int | None) -> str:
    """`, 2:30 on 4 workers`; nothing where their number is the cluster's to decide."""
    return f", {clock(seconds / workers)} on {workers} workers" if workers else ""
