"""Activity of a mechanism, reported with the decision: an effect of an idle mechanism is no evidence."""

from collections.abc import Sequence

from analysis.verdict.decisions import Verdict


def with_activity(rows: Sequence[Verdict], amount: float) -> list[Verdict]:
    """The rows, primary ones with the activity that was held against the question's floor, in the floor's unit."""
    return [row._replace(activity=float(amount)) if row.primary else row for row in rows]
