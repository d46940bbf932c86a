"""Forecasts by themselves: what follows a course, and between what it lies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_chat.server.figures.forecasting import (
    HOURS,
    LEAST,
    WEEK,
    Course,
    Forecast,
    filled,
    forecasts,
    gaps,
)
from tests.examples import examples

SHAPE = np.array([120.0, 115, 110, 105, 100, 50, 40])


def seasons(courses: Sequence[Sequence[float]]) -> list[list[float]]:
    """The mean of each weekday less that of all; the engine's method is another."""
    found = []
    for course in courses:
        days = np.array(course)
        week = [days[day::WEEK].mean() - days.mean() for day in range(WEEK)]
        found.append(list(np.resize(week, len(days))))
    return found


def course(days: Sequence[float], whole: Sequence[float] | None = None) -> Course:
    """Days of which each hour is the same."""

    def hours(values: Sequence[float]) -> np.ndarray:
        return np.repeat(np.array(values, dtype=float)[:, None], HOURS, axis=1) / HOURS

    known = np.ones(len(days), dtype=bool)
    return Course(hours(days), None if whole is None else hours(whole), known)


def only(one: Course, ahead: int = WEEK) -> Forecast:
    (found,) = forecasts([one], seasons, ahead)
    assert found is not None
    return found


def test_under_two_weeks_there_is_none() -> None:
    """13 days are not enough, 14 are, with the week before as the only method."""
    assert forecasts([course([5.0] * (LEAST - 1))], seasons) == [None]
    found = only(course([5.0] * LEAST))
    assert (found.method, found.seasonal_error) == ("a week before", None)
    assert found.days.values.tolist() == [5.0] * WEEK


def test_where_nothing_varies_a_week_before_is_right_and_used() -> None:
    """Both are never off, so the simpler one is taken, and its band has no width."""
    found = only(course(np.tile(SHAPE, 8).tolist()))
    assert (found.method, found.naive_error, found.judged) == ("a week before", 0.0, 28)
    assert found.days.low is not None
    assert found.days.low.tolist() == found.days.values.tolist() == SHAPE.tolist()


def test_level_and_season_are_used_where_they_are_off_by_less() -> None:
    """Chance from week to week: the mean of several weeks is nearer than the last one."""
    rng = np.random.default_rng(3)
    days = np.tile(SHAPE, 12) * rng.uniform(0.7, 1.3, 12 * WEEK)
    found = only(course(days.tolist()))
    assert found.method == "level and season"
    assert found.seasonal_error is not None
    assert found.naive_error is not None
    assert found.days.error == found.seasonal_error < found.naive_error


def test_the_error_is_that_of_forecasts_made_beforehand() -> None:
    """By hand: 100 a day, then 150 in the last week, so one week of four was off by 50 of 150."""
    found = only(course([100.0] * 5 * WEEK + [150.0] * WEEK))
    assert found.naive_error == pytest.approx(50 * WEEK / ((3 * 100 + 150) * WEEK))


def test_a_share_is_foretold_of_its_parts_and_judged_in_points() -> None:
    """4 of 5, then 3 of 5 in the last week: off by 20 points in one week of four."""
    contained = [40.0] * 5 * WEEK + [30.0] * WEEK
    found = only(course(contained, [50.0] * 6 * WEEK))
    assert found.hours is None
    assert found.naive_error == pytest.approx(0.2 / 4)
    assert found.days.values.tolist() == pytest.approx([0.6] * WEEK)


def test_the_band_widens_with_the_weeks_ahead() -> None:
    """By the root of how many weeks, as that of the naive method does."""
    rng = np.random.default_rng(1)
    found = only(course((np.tile(SHAPE, 8) + rng.normal(0, 5, 8 * WEEK)).tolist()), ahead=28)
    assert found.days.high is not None
    half = (found.days.high - found.days.values).reshape(4, WEEK)
    for week in range(4):
        assert half[week] == pytest.approx(half[0] * np.sqrt(week + 1))


def test_days_that_are_not_wholly_known_judge_nobody() -> None:
    """A day with a gap is learned from as it was filled, and left out of the error."""
    days = [100.0] * 6 * WEEK
    days[-1] = 0.0
    whole = course(days)
    known = whole.known.copy()
    known[-1] = False
    assert only(whole).naive_error == pytest.approx(100 / (27 * 100))
    found = only(Course(whole.part, None, known))
    assert (found.naive_error, found.judged) == (0.0, 27)


def test_a_weekend_on_which_the_service_sleeps_is_no_gap_and_an_outage_is() -> None:
    """Nothing on Saturdays and Sundays is a season; nothing on a Tuesday afternoon is missing."""
    week = np.zeros((WEEK, HOURS))
    week[:5, 8:18] = 12
    turns = np.tile(week, (5, 1))
    assert not gaps(turns).any()
    turns[WEEK * 3 + 1, 13:] = 0
    missing = gaps(turns)
    assert np.argwhere(missing).tolist() == [[22, hour] for hour in range(13, 18)]
    assert filled(turns, missing).tolist() == np.tile(week, (5, 1)).tolist()


def test_few_turns_make_no_gap() -> None:
    """With two turns an hour, six hours without any are within what chance does."""
    turns = np.full((28, HOURS), 2.0)
    turns[20, :6] = 0
    assert not gaps(turns).any()


@examples(40, 400)
@given(
    st.lists(st.integers(0, 10_000), min_size=LEAST, max_size=100),
    st.integers(1, 1000),
)
def test_what_is_told_holds_together(days: list[int], factor: int) -> None:
    """Nothing below 0, ends around the value, hours add up to days, and units do not matter."""
    one = only(course([float(day) for day in days]))
    assert (one.days.values >= 0).all()
    if one.days.low is not None and one.days.high is not None:
        assert (one.days.low <= one.days.values).all()
        assert (one.days.values <= one.days.high).all()
        assert (one.days.low >= 0).all()
    assert one.hours is not None
    by_day = one.hours.values.reshape(WEEK, HOURS).sum(axis=1)
    assert by_day == pytest.approx(one.days.values[:WEEK])
    other = only(course([float(day * factor) for day in days]))
    if other.method == one.method:
        assert other.days.values == pytest.approx(one.days.values * factor, abs=1e-6 * factor)
