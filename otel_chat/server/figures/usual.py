"""Whether a day is unlike the days before it: one new day beside what is usual on its weekday.

Conversations of one day are not independent: a release, the weather, a slow provider move all of
them. So the days are what is drawn by chance, and what they scatter by beyond the chance of their
conversations is learned from them.

- Days scatter by the chance of their conversations and by a variance of their own, by moments:
  R. DerSimonian and N. Laird, Meta-analysis in clinical trials, Controlled Clinical Trials 7
  (1986), about a level of each weekday and a slope.
- Days that stick out (outages, holidays) are left out one after the other: B. Rosner, Percentage
  points for a generalized ESD many-outlier procedure, Technometrics 25 (1983).
- The new day is beside a forecast with that error, by Student's t. Of a share, whose chance is
  lopsided where it is rare, also by the tails of the beta-binomial of the same variance, with as
  many trials as its conversations are worth; the larger p-value counts.
- Anything but a share is compared by its logarithm: times and costs scatter by factors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from otel_chat.server.figures.chance import LEAST, Ratios

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

Kind = Literal["share", "ratio", "count"]
LEARNED: Final = 56
"""So many days before the new one are what is usual."""
WEEK: Final = 7
SAME: Final = 3
"""So many of them must be of the new day's weekday."""
FREEDOM: Final = 14
"""So many must be known beyond what is learned: seven levels and a slope."""
STICKS_OUT: Final = 0.01
"""How likely any day of the usual ones is left out by chance."""
MOST_LEFT_OUT: Final = 5
"""One in so many days may be left out."""
_SURE: Final = 0.95
_MANY: Final = 5000
"""With more trials the tails of a share are those of Student's t."""


@dataclass(frozen=True, slots=True)
class Beside:
    """A day beside the usual ones.

    Args:
        value: What it was.
        usual: What is usual on such a day.
        low: In 19 of 20 such days it is not less.
        high: Nor more than this.
        p_value: How likely a day is at least as far from what is usual.
        days: So many days are what is usual.
    """

    value: float
    usual: float
    low: float
    high: float
    p_value: float
    days: int


@dataclass(frozen=True, slots=True)
class _Scaled:
    """The days on the scale on which they are compared, the new one last.

    Args:
        values: What they were.
        variances: Which variance the chance of its conversations gives to each.
        back: How many days before the new one they were.
        trials: Of a share: so many independent trials the new day is worth.
        least: Of a share: nearer to 0 or 1 no level is known to be.
    """

    values: Numbers
    variances: Numbers
    back: NDArray[np.int64]
    trials: int = 0
    least: float = 0.0

    def without(self, place: int) -> _Scaled:
        """The same without a day."""
        import numpy as np

        return replace(
            self,
            values=np.delete(self.values, place),
            variances=np.delete(self.variances, place),
            back=np.delete(self.back, place),
        )


@dataclass(frozen=True, slots=True)
class _Level:
    """What is usual on the new day's weekday.

    Args:
        mean: The level.
        variance: How far it may be off.
        own: The variance of days beyond the chance of their conversations.
        freedom: Days that are known beyond what is learned of them.
        days: So many days it is learned from.
    """

    mean: float
    variance: float
    own: float
    freedom: int
    days: int


def beside(course: Sequence[Ratios], kind: Kind) -> Beside | None:
    """The last day of a course beside those before it.

    Args:
        course: The sums of successive days, the new one last; 57 are read, some fewer will do. Of
            counts `count` tells how many there were.
        kind: Whether it is a share from 0 to 1, another ratio, or a count.

    Returns:
        `None` where there is too little: under 20 conversations on the new day (of a count, on the
        mean of the usual ones), or too few days with 20 before it.

    Example:
        >>> usual = [Ratios.share(90 + day % 3, 100) for day in range(28)]
        >>> found = beside([*usual, Ratios.share(70, 100)], "share")
        >>> found.value, round(found.usual, 2), found.p_value < 1e-5
        (0.7, 0.91, True)
        >>> beside(usual[:12], "share")
    """
    read = course[-LEARNED - 1 :]
    if len(read) <= FREEDOM + WEEK:
        return None
    scaled = _counts(read) if kind == "count" else _ratios(read, kind)
    level = None if scaled is None else _level(scaled)
    if scaled is None or level is None:
        return None
    value, chance = float(scaled.values[-1]), float(scaled.variances[-1])
    from scipy.special import stdtr, stdtrit

    error = math.sqrt(chance + level.own + level.variance)
    p_value = 2 * float(stdtr(level.freedom, -abs(value - level.mean) / error))
    reach = float(stdtrit(level.freedom, (1 + _SURE) / 2)) * error
    low, high = level.mean - reach, level.mean + reach
    if kind == "share":
        p_value = max(p_value, _tails(scaled, level))
        mean, low, high = (min(max(one, 0.0), 1.0) for one in (level.mean, low, high))
    else:
        mean, low, high = (math.exp(one) for one in (level.mean, low, high))
        value = float(read[-1].count) if kind == "count" else math.exp(value)
    return Beside(value, mean, low, high, min(p_value, 1.0), level.days)


def _counts(read: Sequence[Ratios]) -> _Scaled | None:
    """Counts by their logarithm; each has the variance of what is usual on its weekday."""
    import numpy as np

    counts = np.array([one.count for one in read], dtype=float)
    back = np.arange(len(read))[::-1]
    usual = np.array([counts[:-1][back[:-1] % WEEK == day].mean() for day in back % WEEK])
    if usual[-1] < LEAST:
        return None
    return _Scaled(np.log(counts + 0.5), 1 / (usual + 0.5), back)


def _ratios(read: Sequence[Ratios], kind: Kind) -> _Scaled | None:
    """Days with enough conversations; what is no share by its logarithm."""
    import numpy as np

    known = [place for place, one in enumerate(read) if one.count >= LEAST and one.y > 0]
    if kind == "ratio":
        known = [place for place in known if read[place].x > 0]
    if len(known) <= 1 or known[-1] != len(read) - 1:
        return None
    whole = sum((read[place] for place in known[:-1]), Ratios())
    values = np.array([read[place].value for place in known])
    # The variance of a day is that of all, as many times as it has a smaller denominator.
    spread = whole.variance * whole.y
    trials, least = 0, 0.5 / (whole.y + 1)
    if kind == "share":
        usual = (whole.x + 0.5) / (whole.y + 1)
        spread = max(spread, usual * (1 - usual))
        trials = max(round(read[-1].y * usual * (1 - usual) / spread), 1)
    else:
        values, spread = np.log(values), spread * (whole.scale * whole.y / whole.x) ** 2
    if spread <= 0:
        return None
    variances = np.array([spread / read[place].y for place in known])
    return _Scaled(values, variances, len(read) - 1 - np.array(known), trials, least)


def _level(scaled: _Scaled) -> _Level | None:
    """What is usual, without the days that stick out."""
    left_out, most = 0, (len(scaled.values) - 1) // MOST_LEFT_OUT
    while True:
        level, place = _fitted(scaled)
        if level is None or place is None or left_out == most:
            return level
        scaled, left_out = scaled.without(place), left_out + 1


def _fitted(scaled: _Scaled) -> tuple[_Level | None, int | None]:
    """What is usual; and the day that sticks out most, if one does."""
    import numpy as np
    from scipy.special import stdtrit

    values, chance, back = scaled.values[:-1], scaled.variances[:-1], scaled.back[:-1]
    days, at = np.unique(back % WEEK, return_inverse=True)
    freedom = len(values) - len(days) - 1
    if np.count_nonzero(back % WEEK == 0) < SAME or freedom < FREEDOM:
        return None, None
    # A level of each weekday, the new day's first, and a slope that is 0 on the new day.
    terms = np.column_stack([np.eye(len(days))[at], back])

    def fit(weights: Numbers) -> tuple[Numbers, Numbers, Numbers]:
        """What the terms are, how far they may be off, and the days' distances from them."""
        covariance = np.asarray(np.linalg.inv(terms.T @ (weights[:, None] * terms)), dtype=float)
        found = covariance @ (terms.T @ (weights * values))
        return found, covariance, values - terms @ found

    weights = 1 / chance
    _, covariance, apart = fit(weights)
    known = weights.sum() - np.trace(covariance @ (terms.T @ ((weights**2)[:, None] * terms)))
    own = max(float(((weights * apart**2).sum() - freedom) / known), 0.0)
    found, covariance, apart = fit(1 / (chance + own))
    level = _Level(float(found[0]), float(covariance[0, 0]), own, freedom, len(values))
    # How far each is from what the others say, in errors that leave it out.
    expected = chance + own - np.einsum("ij,jk,ik->i", terms, covariance, terms)
    square = apart**2 / np.maximum(expected, 1e-300)
    studentised = square * (freedom - 1) / np.maximum(freedom - square, 1e-9)
    place = int(studentised.argmax())
    limit = float(stdtrit(freedom - 1, 1 - STICKS_OUT / 2 / len(values)))
    return level, place if studentised[place] > limit**2 else None


def _tails(scaled: _Scaled, level: _Level) -> float:
    """Twice the smaller tail of the beta-binomial of that mean and variance."""
    import numpy as np
    from scipy.special import bdtr, bdtrc, betaln, gammaln

    trials = scaled.trials
    if trials > _MANY:
        return 0.0
    mean = min(max(level.mean, scaled.least), 1 - scaled.least)
    hits = round(float(scaled.values[-1]) * trials)
    between = level.own + level.variance
    if between < mean * (1 - mean) * 1e-9:
        return 2 * float(
            min(bdtr(hits, trials, mean), bdtrc(hits - 1, trials, mean) if hits else 1)
        )
    together = mean * (1 - mean) / between - 1
    if together <= 0:
        return 1.0
    first, second = mean * together, (1 - mean) * together
    each = np.arange(trials + 1)
    logs = (
        gammaln(trials + 1) - gammaln(each + 1) - gammaln(trials - each + 1)
        + betaln(each + first, trials - each + second) - betaln(first, second)
    )  # fmt: skip
    chances = np.exp(logs)
    return 2 * float(min(chances[: hits + 1].sum(), chances[hits:].sum()))
