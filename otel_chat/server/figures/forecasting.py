"""Forecasts of what is counted by day: two simple methods, tried on the weeks that are known.

- *A week before*: each day as the same day of the last week (the seasonal naive method; R. J.
  Hyndman and G. Athanasopoulos, Forecasting: principles and practice, 3rd edition, 2021, 5.2).
- *Level and season*: the weekly season by STL (R. B. Cleveland, W. S. Cleveland, J. E. McRae and
  I. Terpenning, Journal of Official Statistics 6, 1990), which the engine works out, on the mean of
  the last two weeks without their season. No trend is drawn on: that helps for a week, and harms
  after it.

Both forecast each of the last four weeks from what was known before it (a rolling origin; L. J.
Tashman, International Journal of Forecasting 16, 2000). The second is taken where it was off by
less. How far the chosen one was off makes the band: as many of these errors lie within it as its
level says (split conformal intervals with a scale; J. Lei et al., Journal of the American
Statistical Association 113, 2018). In the k-th week ahead it is wider by the root of k, as that of
the naive method is (Hyndman and Athanasopoulos, 5.5).

Hours of a day share it as those of the same weekday in the last four weeks did (top-down by
historical proportions; C. W. Gross and J. E. Sohl, Journal of Forecasting 9, 1990).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]
Method = Literal["a week before", "level and season"]
Seasons = Callable[[Sequence[Sequence[float]]], Sequence[Sequence[float]]]
"""Gives the weekly season of each of some courses by day, as long as the course is."""

WEEK: Final = 7
HOURS: Final = 24
LEAST: Final = 2 * WEEK
"""Fewer whole days are not enough to tell a weekly season from chance."""
LEARNED: Final = 8 * WEEK
"""So many days a forecast learns from at most: older habits are others."""
JUDGED: Final = 4
"""So many of the last weeks the methods are tried on."""
READ: Final = LEARNED + JUDGED * WEEK
LEVEL: Final = 0.8
"""The share of days that the band is to hold."""
SILENT: Final = 20.0
"""Hours without anything are a gap where so many turns were to be expected: by chance alone, one
in 500 million (Poisson)."""
_PROFILE: Final = 4 * WEEK
_FEWEST: Final = 4
"""Under so many errors there is no band."""


@dataclass(frozen=True, slots=True)
class Course:
    """What was counted on each of some days that follow one another, by hour.

    Args:
        part: A row a day, of 24 hours.
        whole: What the part is a share of, likewise; `None` for what is counted.
        known: Of each day, whether nothing of it is missing.
    """

    part: Numbers
    whole: Numbers | None
    known: Flags

    @property
    def days(self) -> int:
        """How many days there are."""
        return len(self.known)


@dataclass(frozen=True, slots=True)
class Band:
    """What is to come, and between what it lies in four of five cases.

    Args:
        values: A value for each day or hour; nan for a share of nothing.
        low: The lower ends; `None` where too little is known for a band.
        high: The upper ends.
        error: How far the method was off on the weeks that it was tried on: of what is counted the
            sum of what it was off by ÷ the sum of what came; of a share the mean, weighted by what
            it is a share of. `None` where there was nothing to try it on.
    """

    values: Numbers
    low: Numbers | None
    high: Numbers | None
    error: float | None

    def running(self, days: slice) -> tuple[Numbers, Numbers | None, Numbers | None]:
        """The sums up to each of some days, and between what they lie.

        Days of a week are taken to be off together, weeks by chance.

        Args:
            days: Which of them.

        Example:
            >>> fives, tens = np.full(14, 5.0), np.full(14, 10.0)
            >>> value, low, high = Band(tens, fives, tens + 5, 0.1).running(slice(0, 14))
            >>> float(value[6]), float(high[6]), round(float(high[13]), 1)
            (70.0, 105.0, 189.5)
        """
        value = np.cumsum(self.values[days])
        ends = [
            None if end is None else value + sign * _together(np.abs(end - self.values)[days])
            for end, sign in ((self.low, -1), (self.high, 1))
        ]
        return value, ends[0], ends[1]


def _together(halves: Numbers) -> Numbers:
    weeks = np.arange(len(halves)) // WEEK
    sums = np.stack([np.cumsum(np.where(weeks == week, halves, 0.0)) for week in set(weeks)])
    found: Numbers = np.sqrt((sums**2).sum(axis=0))
    return found


@dataclass(frozen=True, slots=True)
class Forecast:
    """The days that follow a course.

    Args:
        method: What was used.
        days: The days to come.
        naive_error: How far off the days a week before were.
        seasonal_error: How far off level and season were; `None` where they could not be tried.
        judged: On how many days the methods were tried.
        hours: The hours of the first seven days to come, one after the other; `None` of a share.
    """

    method: Method
    days: Band
    naive_error: float | None
    seasonal_error: float | None
    judged: int
    hours: Band | None


def gaps(activity: Numbers) -> Flags:
    """Which hours were an outage: nothing at all, where a lot was to be expected.

    What is expected is the median of the same hour of the same weekday; so a weekend on which the
    service sleeps is none.

    Args:
        activity: Turns of each day, a row of 24 hours.

    Example:
        >>> turns = np.full((21, 24), 10.0)
        >>> turns[8, 9:12] = 0
        >>> [(int(day), int(hour)) for day, hour in np.argwhere(gaps(turns))]
        [(8, 9), (8, 10), (8, 11)]
    """
    usual = _of_week(activity, np.ones(activity.shape, dtype=bool)).ravel()
    silent = activity.ravel() == 0
    edges = np.flatnonzero(np.diff(np.concatenate(([False], silent, [False])).astype(np.int8)))
    found = np.zeros(silent.shape, dtype=bool)
    for first, end in zip(edges[::2], edges[1::2], strict=True):
        if usual[first:end].sum() >= SILENT:
            found[first:end] = usual[first:end] > 0
    return found.reshape(activity.shape)


def filled(values: Numbers, missing: Flags) -> Numbers:
    """The values, with the median of the same hour of the same weekday for those that are missing.

    Args:
        values: Of each day, a row of 24 hours.
        missing: Which of them are not known.

    Example:
        >>> days = np.arange(21.0).reshape(21, 1) * np.ones((1, 24))
        >>> without = np.zeros((21, 24), dtype=bool)
        >>> without[7] = True
        >>> float(filled(days, without)[7, 0])  # of 0 and 14
        7.0
    """
    return np.where(missing, _of_week(values, ~missing), values)


def _of_week(values: Numbers, known: Flags) -> Numbers:
    """For each hour the median of the same hours of the week that are known; 0 of none."""
    days = len(values)
    found = np.zeros(values.shape)
    for day in range(min(WEEK, days)):
        own = np.where(known[day::WEEK], values[day::WEEK], np.nan)
        some = known[day::WEEK].any(axis=0)
        row = np.zeros(values.shape[1])
        row[some] = np.nanmedian(own[:, some], axis=0)
        found[day::WEEK] = row
    return found


def forecasts(
    courses: Sequence[Course], seasons: Seasons, ahead: int = WEEK
) -> list[Forecast | None]:
    """What follows each course; `None` where it has under `LEAST` days.

    Args:
        courses: What was counted.
        seasons: Works the weekly seasons out, of all that are asked for at once.
        ahead: How many days to look ahead, at least a week.
    """
    wanted = [one for course in courses for one in _trainings(course)]
    found = iter(seasons([one.tolist() for one in wanted]) if wanted else ())
    told: list[Forecast | None] = []
    for course in courses:
        own = [np.asarray(next(found), dtype=float) for _ in _trainings(course)]
        told.append(_forecast(course, own, ahead) if course.days >= LEAST else None)
    return told


def _cuts(course: Course) -> list[int]:
    """After how many days each of the weeks begins that methods are tried on, the last first."""
    days = course.days
    return [days - WEEK * back for back in range(1, JUDGED + 1) if days - WEEK * back >= WEEK]


def _kinds(course: Course) -> list[Numbers]:
    kinds = [course.part] if course.whole is None else [course.part, course.whole]
    return [one.sum(axis=1) for one in kinds]


def _trainings(course: Course) -> list[Numbers]:
    """What the season is to be worked out of: for each part and each week, and for what follows."""
    cuts = [cut for cut in (*_cuts(course), course.days) if cut >= LEAST]
    return [kind[max(0, cut - LEARNED) : cut] for kind in _kinds(course) for cut in cuts]


@dataclass(frozen=True, slots=True)
class _Tried:
    """A method's forecast from one day on: of the part and of what it is a share of."""

    part: Numbers
    whole: Numbers | None

    @property
    def value(self) -> Numbers:
        if self.whole is None:
            return self.part
        of = np.where(self.whole > 0, self.whole, np.nan)
        return np.minimum(self.part / of, 1.0)

    def scale(self, usual: float) -> Numbers:
        """How much chance there is in each value beside the others: as in counts, and in shares."""
        if self.whole is None:
            return _spread_of(self.part, usual)
        return 1 / np.sqrt(np.maximum(self.whole, 1.0))


def _spread_of(values: Numbers, usual: float) -> Numbers:
    """How much chance there is in what is counted: as in counts, and some where none is due."""
    found: Numbers = np.sqrt(values + (usual / 10 if usual > 0 else 1.0))
    return found


def _naive(course: Course, cut: int, ahead: int) -> _Tried:
    made = [_again(kind[cut - WEEK : cut], ahead) for kind in _kinds(course)]
    return _Tried(made[0], made[1] if len(made) > 1 else None)


def _again(week: Numbers, ahead: int) -> Numbers:
    return np.resize(week, ahead)


def _seasonal(course: Course, cut: int, ahead: int, seasons: Sequence[Numbers]) -> _Tried:
    made = []
    for kind, season in zip(_kinds(course), seasons, strict=True):
        learned = kind[max(0, cut - LEARNED) : cut]
        level = (learned - season)[-LEAST:].mean()
        made.append(np.maximum(level + _again(season[-WEEK:], ahead), 0.0))
    return _Tried(made[0], made[1] if len(made) > 1 else None)


def _forecast(course: Course, seasons: Sequence[Numbers], ahead: int) -> Forecast:
    cuts = _cuts(course)
    able = [cut for cut in (*cuts, course.days) if cut >= LEAST]
    kinds = len(_kinds(course))
    by_cut = {cut: seasons[place :: len(able)][:kinds] for place, cut in enumerate(able)}
    naive = {cut: _naive(course, cut, WEEK) for cut in cuts}
    seasonal = {cut: _seasonal(course, cut, WEEK, by_cut[cut]) for cut in cuts if cut in by_cut}
    fair = {cut: naive[cut] for cut in seasonal}  # both on the same weeks
    errors = _error(course, fair or naive), _error(course, seasonal)
    better = errors[0] is not None and errors[1] is not None and errors[1] < errors[0]
    tried = seasonal if better else naive
    last = course.days
    ahead = max(ahead, WEEK)
    coming = _seasonal(course, last, ahead, by_cut[last]) if better else _naive(course, last, ahead)
    return Forecast(
        method="level and season" if better else "a week before",
        days=_band(course, tried, coming, errors[1] if better else errors[0]),
        naive_error=errors[0],
        seasonal_error=errors[1],
        judged=sum(int(course.known[cut : cut + WEEK].sum()) for cut in tried),
        hours=None if course.whole is not None else _hours(course, tried, coming),
    )


def _actual(course: Course, cut: int) -> _Tried:
    kinds = [kind[cut : cut + WEEK] for kind in _kinds(course)]
    return _Tried(kinds[0], kinds[1] if len(kinds) > 1 else None)


def _error(course: Course, tried: dict[int, _Tried]) -> float | None:
    off = total = 0.0
    for cut, one in tried.items():
        actual = _actual(course, cut)
        known = course.known[cut : cut + WEEK] & np.isfinite(actual.value) & np.isfinite(one.value)
        weight = np.ones(WEEK) if actual.whole is None else actual.whole
        off += float((np.abs(actual.value - one.value) * weight)[known].sum())
        total += float((actual.value if actual.whole is None else weight)[known].sum())
    return off / total if total > 0 else None


def _band(course: Course, tried: dict[int, _Tried], coming: _Tried, error: float | None) -> Band:
    usual = float(_kinds(course)[0].mean())
    found = []
    for cut, one in tried.items():
        off = np.abs(_actual(course, cut).value - one.value) / one.scale(usual)
        found.append(off[course.known[cut : cut + WEEK] & np.isfinite(off)])
    room = _within(found)
    values = coming.value
    if room is None:
        return Band(values, None, None, error)
    weeks = np.sqrt(np.arange(len(values)) // WEEK + 1.0)
    half = room * coming.scale(usual) * weeks
    high = values + half
    if course.whole is not None:
        high = np.minimum(high, 1.0)
    return Band(values, np.maximum(values - half, 0.0), high, error)


def _within(errors: Sequence[Numbers]) -> float | None:
    """The error that `LEVEL` of new ones will not be above, if they come as these did."""
    every = np.sort(np.concatenate(errors)) if errors else np.zeros(0)
    if len(every) < _FEWEST:
        return None
    rank = min(math.ceil((len(every) + 1) * LEVEL), len(every))
    return float(every[rank - 1])


def _hours(course: Course, tried: dict[int, _Tried], coming: _Tried) -> Band:
    usual = float(course.part.mean())
    found, off, total = [], 0.0, 0.0
    for cut, one in tried.items():
        values = _spread(course, cut, one.part)
        known = course.known[cut : cut + WEEK]
        actual = course.part[cut : cut + WEEK]
        apart = np.abs(actual - values)[known]
        found.append((apart / _spread_of(values[known], usual)).ravel())
        off, total = off + float(apart.sum()), total + float(actual[known].sum())
    values = _spread(course, course.days, coming.part[:WEEK]).ravel()
    error = off / total if total > 0 else None
    room = _within(found)
    if room is None:
        return Band(values, None, None, error)
    half = room * _spread_of(values, usual)
    return Band(values, np.maximum(values - half, 0.0), values + half, error)


def _spread(course: Course, cut: int, days: Numbers) -> Numbers:
    """The hours of the seven days after so many, of which the sums are known."""
    made = np.zeros((WEEK, HOURS))
    for day in range(WEEK):
        same = course.part[max(0, cut - _PROFILE) : cut][::-1][WEEK - 1 - day :: WEEK]
        hours = same.sum(axis=0)
        every = hours.sum()
        made[day] = days[day] * (hours / every if every > 0 else np.full(HOURS, 1 / HOURS))
    return made
