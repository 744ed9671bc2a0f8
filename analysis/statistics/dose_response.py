"""The dose at which an outcome happens half the time, and how far an arm shifts it.

logit P(hit) = slope (d50 - dose), slope >= 0: hits become rarer with dose (negate a dose with which they become commoner).
Estimates carry Firth's penalty, so that a sharp edge (separation) and arms without any hit have them. Intervals are those of
the plain likelihood ratio (Williams, Biometrics 42:641, 1986): between two doses that an edge separates, all of the gap is
in them. A d50 beyond the doses tried is stated as a bound at the last of them, its interval open on that side.
"""

from functools import partial
from math import atan2, copysign, cos, inf, isnan, pi, sin, tan
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

from analysis.statistics.firth import firth
from analysis.statistics.intervals import Interval
from analysis.statistics.jackknife import jackknife
from analysis.statistics.logistic import Array, Data, Fit, grouped, highest, likelihood

Side = Literal["inside", "below", "above"]
"""Where a d50 lies: among the doses tried, or below or above them all."""


class Response(NamedTuple):
    """A falling dose-response curve; d50, low and high in the dose's unit."""

    d50: float
    """Dose of even odds; the last dose tried where it lies beyond."""
    slope: float
    """Log-odds lost per unit of dose."""
    low: float
    """-inf where the data exclude no dose below."""
    high: float
    """inf where they exclude none above."""
    lies: Side

    @property
    def interval(self) -> Interval:
        """d50 with its bounds."""
        return Interval(self.d50, self.low, self.high)


class Shift(NamedTuple):
    """d50 of an arm less d50 of the reference at a common slope, in the dose's unit."""

    shift: float
    """Where a d50 lies beyond the doses tried, the last of them stands for it, and this is a bound."""
    slope: float
    low: float
    high: float
    reference: Side
    arm: Side

    @property
    def interval(self) -> Interval:
        """The shift with its bounds."""
        return Interval(self.shift, self.low, self.high)


class _Arms(NamedTuple):
    """Trials of two arms."""

    z: Array
    """[N] doses, scaled to [-1, 1]."""
    hits: Array
    arm: NDArray[np.bool_]
    half: float
    """Half the width of the doses tried: what one unit of z is."""

    def fitted(self) -> tuple[Data, Fit]:
        """Two curves of one slope."""
        data = grouped(np.column_stack([np.ones_like(self.z), self.arm, -self.z]), self.hits)
        return data, _falling(data)

    def among(self, rows: NDArray[np.int_]) -> "_Arms":
        """Some of the trials."""
        return self._replace(z=self.z[rows], hits=self.hits[rows], arm=self.arm[rows])


def d50(dose: ArrayLike, hit: ArrayLike, level: float = 0.95) -> Response:
    """The dose of even odds with its profile interval.

    Args:
        dose: [N].
        hit: [N] of 0 and 1, independent trials.
        level: in (0, 1).

    Raises:
        ValueError: with fewer than two different doses.
    """
    z, middle, half = _scaled(dose)
    data = grouped(np.column_stack([np.ones_like(z), -z]), np.asarray(hit, float))
    found = _falling(data)
    height, slope = found.coefficients
    lies, at = _place(height, slope, z)
    low, high = _opened(at, _profile(data, level), lies == "below", lies == "above")
    return Response(middle + half * at, float(slope / half), middle + half * low, middle + half * high, lies)


def shift(dose: ArrayLike, hit: ArrayLike, arm: ArrayLike, level: float = 0.95) -> Shift:
    """How much more dose the arm takes to even odds than the reference, with its profile interval.

    Args:
        dose: [N].
        hit: [N] of 0 and 1, independent trials; for seeds that doses and arms share see `shift_over_seeds`.
        arm: [N] true for the arm, false for the reference; doses may differ between them.
        level: in (0, 1).

    Raises:
        ValueError: with fewer than two different doses, with one arm alone, or where every arm has a dose of its own.
    """
    arms = _arms(dose, hit, arm)
    data, found = arms.fitted()
    return _shift(arms, found, _profile(data, level))


def shift_over_seeds(dose: ArrayLike, hit: ArrayLike, arm: ArrayLike, seed: ArrayLike, level: float = 0.95) -> Shift:
    """`shift` with seeds, not trials, as what is independent: Student's interval over leave-one-seed-out values.

    It is never narrower than that of `shift`: where all seeds fall into the same gap between two doses their values are
    alike, although the gap is all that is known.

    Args:
        dose: [N].
        hit: [N] of 0 and 1.
        arm: [N] true for the arm, false for the reference.
        seed: [N] label of the seed, shared by doses and arms.
        level: in (0, 1).

    Returns:
        As `shift`; without bounds where there are fewer than two seeds.

    Raises:
        ValueError: as `shift` does, also for what is left without one seed.
    """
    arms = _arms(dose, hit, arm)
    data, found = arms.fitted()

    def moved(rows: NDArray[np.int_]) -> float:
        part = arms.among(rows)
        return _estimate(part, part.fitted()[1])[0]

    _, low, high = jackknife(moved, seed, level)
    if isnan(low):
        return _shift(arms, found, (-inf, inf))
    least, most = _profile(data, level)
    return _shift(arms, found, (min(low, least), max(high, most)))


def _scaled(dose: ArrayLike) -> tuple[Array, float, float]:
    """Doses in [-1, 1], their middle and half width."""
    doses = np.asarray(dose, float)
    half = float(np.ptp(doses)) / 2 if doses.size else 0.0
    if not half > 0:
        raise ValueError("a response needs at least two different doses")
    middle = float(doses.min()) + half
    return (doses - middle) / half, middle, half


def _arms(dose: ArrayLike, hit: ArrayLike, arm: ArrayLike) -> _Arms:
    z, _, half = _scaled(dose)
    other = np.asarray(arm, bool)
    if other.all() or not other.any():
        raise ValueError("a shift needs trials of both arms")
    return _Arms(z, np.asarray(hit, float), other, half)


def _falling(data: Data) -> Fit:
    """The penalised maximum among curves that do not rise: last coefficient at least 0."""
    found = firth(data)
    if found.coefficients[-1] >= 0:
        return found
    return firth(data, np.eye(data.design.shape[1])[:, :-1])


def _place(level: float, slope: float, z: Array) -> tuple[Side, float]:
    """Where the curve level - slope z crosses even odds, and the crossing cut to the doses z."""
    if level < slope * z.min():
        return "below", float(z.min())
    if level > slope * z.max():
        return "above", float(z.max())
    return "inside", float(level / slope) if slope > 0 else 0.0


def _estimate(arms: _Arms, found: Fit) -> tuple[float, Side, Side]:
    """Shift in z, and where both arms lie."""
    level, change, slope = found.coefficients
    reference, before = _place(level, slope, arms.z[~arms.arm])
    arm, after = _place(level + change, slope, arms.z[arms.arm])
    return after - before, reference, arm


def _shift(arms: _Arms, found: Fit, bounds: tuple[float, float]) -> Shift:
    moved, reference, arm = _estimate(arms, found)
    low, high = _opened(moved, bounds, arm == "below" or reference == "above", arm == "above" or reference == "below")
    return Shift(
        arms.half * moved, float(found.coefficients[-1] / arms.half), arms.half * low, arms.half * high, reference, arm
    )


def _opened(at: float, bounds: tuple[float, float], at_most: bool, at_least: bool) -> tuple[float, float]:
    """Bounds without an end where the estimate itself is a bound on that side."""
    low, high = min(bounds[0], at), max(bounds[1], at)
    return (-inf if at_most else low), (inf if at_least else high)


def _profile(data: Data, level: float) -> tuple[float, float]:
    """Values of q = (last but one) / (last coefficient) that the likelihood ratio does not exclude, last one >= 0.

    q = tan(t): t runs from a flat curve low down, -pi/2, to a flat one high up, pi/2, where q has no end.
    """
    count = data.design.shape[1]
    best = highest(partial(likelihood, data), np.eye(count))
    if best.coefficients[-1] < 0:
        best = highest(partial(likelihood, data), np.eye(count)[:, :-1])
    least = best.height - stats.chi2.ppf(level, 1) / 2
    middle = atan2(best.coefficients[-2], best.coefficients[-1])

    def excess(t: float) -> float:
        return least - _along(data, t)

    ends = []
    for end in (-pi / 2, pi / 2):
        open_ended = abs(middle - end) < 1e-9 or excess(end) <= 0
        ends.append(copysign(inf, end) if open_ended else tan(optimize.brentq(excess, end, middle, xtol=1e-6)))
    return ends[0], ends[1]


def _along(data: Data, t: float) -> float:
    """Greatest likelihood where the last two coefficients are r (sin t, cos t), r >= 0."""
    span = np.eye(data.design.shape[1])[:, :-1]
    span[-2:, -1] = sin(t), cos(t)
    found = highest(partial(likelihood, data), span)
    forward = found.coefficients[-2] * sin(t) + found.coefficients[-1] * cos(t) >= 0
    return found.height if forward else _nowhere(data, span[:, :-1])


def _nowhere(data: Data, span: Array) -> float:
    """Greatest likelihood with r = 0."""
    if span.shape[1]:
        return highest(partial(likelihood, data), span).height
    return likelihood(data, np.zeros(len(span))).height
