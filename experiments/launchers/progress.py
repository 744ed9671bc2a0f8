"""Progress as text: an occasional line while trials run, and times left."""

import sys
import time


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
