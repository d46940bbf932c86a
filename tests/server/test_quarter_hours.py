"""Sums over time: the same from quarters of an hour that are kept as from turns and events."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given as generated
from hypothesis import strategies as st

from otel_chat.server.queries.filters import Filters
from otel_chat.server.queries.hours import peak_hours
from otel_chat.server.queries.overview import overview_and_series, series
from otel_chat.server.queries.sql import Query
from otel_chat.server.queries.sums import Grouping, whole_pieces
from tests.examples import examples
from tests.server.given import DAY, NOON, Given, at

if TYPE_CHECKING:
    from datetime import timedelta

    from otel_chat.server.queries.window import Bucket, Window
    from otel_chat.server.rollup import Rollup
    from otel_chat.server.store import Store

MINUTE, HOUR = 60, 3600
NONE = Filters()
# Many at the very edges of quarters of an hour, and just beside.
TIMES = st.builds(
    lambda quarter, beside: quarter * 15 * MINUTE + beside,
    st.integers(-60 * 4, 20 * 4),
    st.sampled_from((0, 0.000001, -0.000001, 1, 433, 899)),
)
NO_PARTS = Grouping(lambda _query, _column: "1")


def told(given: Given, window: Window, bucket: Bucket, zone: str) -> list[Any]:
    asked = (given.store, given.scope, window, NONE)
    return [*overview_and_series(*asked, bucket), peak_hours(*asked, zone)]


@examples(3, 40)
@generated(
    turns=st.lists(TIMES, min_size=1, max_size=30),
    ratings=st.lists(st.tuples(TIMES, st.sampled_from((1.0, 2.0, 4.5))), max_size=10),
    span=st.tuples(st.integers(-60 * 60, -20 * 60), st.integers(1 - 20 * 60, 30 * 60)),
    bucket=st.sampled_from(("15m", "1h", "6h", "1d")),
    zone=st.sampled_from(("UTC", "Asia/Kathmandu", "America/St_Johns")),
    kept=st.lists(st.integers(-3, 0), min_size=1, max_size=4),
)
def test_kept_days_change_no_sum(
    store: Store,
    rollup: Rollup,
    turns: list[float],
    ratings: list[tuple[float, float]],
    span: tuple[int, int],
    bucket: Bucket,
    zone: str,
    kept: list[int],
) -> None:
    """Windows from any minute to any other; not all days are kept; more comes late."""
    given = Given(store)
    for number, seconds in enumerate(turns):
        given.turn(
            f"c{number % 7}",
            seconds,
            0.5 + number / 8,
            input_tokens=number if number % 3 else None,
            cost=None if number % 4 else "0.002",
            confidence=None if number % 5 else 0.3,
            handoff=number % 6 == 0,
        )
    for number, (seconds, value) in enumerate(ratings):
        given.feedback(value, f"c{number % 7}", seconds, (1, 5 + number % 2))
        given.event("gen_ai.evaluation.result", "c1", seconds, evaluation="tone", score=0.1)
        given.event("message", f"c{number % 7}", seconds, sender="human")
    given.save()
    start, end = (at(minutes * MINUTE) for minutes in span)
    window = replace(DAY, start=start, end=end)
    before = told(given, window, bucket, zone)
    for day in kept:
        rollup.keep(at(day * 24 * HOUR).date())
    assert told(given, window, bucket, zone) == before
    given.rows.clear()
    given.turn("late", kept[0] * 24 * HOUR, 0.7)
    given.feedback(5, "late", kept[0] * 24 * HOUR + 1)
    given.save()
    late = told(given, window, bucket, zone)
    rollup.keep(at(kept[0] * 24 * HOUR).date())
    assert told(given, window, bucket, zone) == late


def test_a_quarter_of_an_hour_in_which_a_window_begins_or_ends_is_not_taken_whole(
    given: Given, rollup: Rollup
) -> None:
    """Turns at 12:07, 12:14, 12:16 and 12:31 of a kept day; from 12:10 to 12:30 there are two."""
    for minute in (7, 14, 16, 31):
        given.turn(f"c{minute}", minute * MINUTE)
    given.save()
    rollup.keep(NOON.date())
    window = replace(DAY, start=at(10 * MINUTE), end=at(30 * MINUTE))
    points = series(given.store, given.scope, window, NONE, "15m").points
    assert [point.turns for point in points] == [1, 1]
    window = replace(DAY, start=NOON, end=at(8 * MINUTE))
    assert [p.turns for p in series(given.store, given.scope, window, NONE, "15m").points] == [1]


@pytest.mark.parametrize(
    ("since", "until", "afresh", "cut"),
    [
        (at(0), at(12 * HOUR), [], 48),
        (at(0), at(60 * MINUTE), [], 92),
        (at(10 * MINUTE), at(60 * MINUTE), [(at(10 * MINUTE), at(15 * MINUTE))], 93),
        (at(1 * MINUTE), at(14 * MINUTE), [(at(1 * MINUTE), at(14 * MINUTE))], 0),
    ],
    ids=["half a day", "an hour", "from inside", "within one"],
)
def test_only_what_is_cut_is_read_afresh(
    given: Given, rollup: Rollup, since: Any, until: Any, afresh: Any, cut: int
) -> None:
    """Of 96 quarters of an hour those outside and those cut are not read from what is kept."""
    given.turn("a", 5)
    given.save()
    rollup.keep(NOON.date())
    window = replace(DAY, start=since, end=until)
    length: timedelta = at(15 * MINUTE) - NOON
    pieces = whole_pieces(Query(given.store, given.scope), window, NO_PARTS, length)
    assert (pieces.days.afresh, len(pieces.cut)) == (afresh, cut)
