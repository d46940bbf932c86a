"""How fast turns were: the same, to the last digit, from kept days as from the turns."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given as generated
from hypothesis import strategies as st

from otel_chat.server.queries.figures import WHOLE, by_bucket_and_whole
from otel_chat.server.queries.filters import Filters
from otel_chat.server.queries.performance import Performance, performance
from otel_chat.server.queries.routes import Routes, routes
from otel_chat.server.queries.speeds import DURATION, FIRST_CHUNK, speeds
from otel_chat.server.queries.sql import Query
from otel_chat.server.queries.window import Bucket, Window
from tests.examples import examples
from tests.server.given import DAY, NOON, Given, at

if TYPE_CHECKING:
    from otel_chat.server.rollup import Rollup
    from otel_chat.server.store import Store

HOUR = 3600
NONE = Filters()
# Equal ones, ones that are nearly so, those on a bound, none at all, and far apart.
SECONDS = st.one_of(
    st.sampled_from((0.0, 0.1, 0.25, 1.0, 2.0, 2.0000000000000004, 120.0, 1e6)),
    st.floats(0, 200),
)
TURNS = st.lists(
    st.tuples(st.integers(-70, 20), SECONDS, st.none() | SECONDS), min_size=1, max_size=60
)


ROUTES = (("/chat", 200), ("/chat", 500), ("/chat", None), ("", None), ("/a b 7", 200), ("/b", 0))


def asked(given: Given, window: Window, bucket: Bucket) -> Performance:
    return performance(given.store, given.scope, window, NONE, bucket)


def told_of(given: Given, window: Window, bucket: Bucket) -> tuple[Performance, Routes]:
    asked_for = (given.store, given.scope, window, NONE)
    return performance(*asked_for, bucket), routes(*asked_for)


@examples(3, 40)
@generated(
    turns=TURNS,
    start=st.integers(-80, -20),
    bucket=st.sampled_from(("1h", "6h", "1d")),
    kept=st.lists(st.integers(-4, 0), min_size=1, max_size=5),
)
def test_kept_days_change_no_figure(
    store: Store,
    rollup: Rollup,
    turns: list[tuple[int, float, float | None]],
    start: int,
    bucket: Bucket,
    kept: list[int],
) -> None:
    """Windows from inside a quarter or from its start; not all days kept; a turn comes late."""
    given = Given(store)
    for number, (hour, seconds, chunk) in enumerate(turns):
        route, code = ROUTES[number % len(ROUTES)]
        given.turn(
            f"c{number}",
            hour * HOUR,
            seconds,
            time_to_first_chunk=chunk,
            route=route,
            http_status=code,
            status="error" if code == 500 else "ok",
        )
    given.save()
    window = replace(DAY, start=at(start * HOUR), end=at(21 * HOUR))
    told = told_of(given, window, bucket)
    for day in kept:
        rollup.keep(at(day * 24 * HOUR).date())
    assert told_of(given, window, bucket) == told
    given.rows.clear()
    given.turn("late", kept[0] * 24 * HOUR, 0.7, route="/late")
    given.save()
    late = told_of(given, window, bucket)
    rollup.keep(at(kept[0] * 24 * HOUR).date())
    assert told_of(given, window, bucket) == late


def test_routes_of_kept_days_are_read_from_what_is_kept(
    given: Given, rollup: Rollup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1 and 3 s at 200, 8 s at 500, and one more than was sent, added to what is kept.

    Where there are more routes than may be sent with a question, turns tell.
    """
    for number, (seconds, code) in enumerate(((1.0, 200), (3.0, 200), (8.0, 500))):
        given.turn(f"c{number}", number, seconds, route="/chat", http_status=code)
    given.save()
    rollup.keep(NOON.date())
    given.store.command(
        "INSERT INTO turn_speeds SELECT * REPLACE (slot + 1 AS slot, '/new ' AS route_status)"
        f" FROM turn_speeds WHERE tenant = '{given.tenant}' AND has(seconds, 8)"
    )
    found = routes(given.store, given.scope, DAY, NONE).items
    assert [(one.route, one.status_code, one.turns, one.p50) for one in found] == [
        ("/chat", 200, 2, 2.0),
        ("/chat", 500, 1, 8.0),
        ("/new", None, 1, 8.0),
    ]
    monkeypatch.setattr("otel_chat.server.queries.speeds.MOST_NAMES", 2)
    found = routes(given.store, given.scope, DAY, NONE).items
    assert [(one.status_code, one.turns) for one in found] == [(200, 2), (500, 1)]


def test_a_quarter_in_which_the_window_begins_is_not_taken_whole(
    given: Given, rollup: Rollup
) -> None:
    """Turns at 13, 17 and 19 h of a kept day: from 16 h on there are the last two."""
    for hour, seconds in ((1, 9.0), (5, 2.0), (7, 4.0)):
        given.turn(f"c{hour}", hour * HOUR, seconds)
    given.save()
    rollup.keep(NOON.date())
    told = asked(given, replace(DAY, start=at(4 * HOUR)), "6h")
    assert (told.turns, told.response_time.p50, told.response_time.mean) == (2, 3.0, 3.0)
    assert [point.turns for point in told.points] == [1, 1]
    told = asked(given, replace(DAY, end=at(4 * HOUR)), "6h")
    assert (told.turns, told.response_time.p50) == (1, 9.0)


def test_quantiles_are_those_of_all_values(given: Given, store: Store, rollup: Rollup) -> None:
    """Of 400 values on two kept days, against the two nearest to the rank in the sorted list."""
    rng = random.Random(5)
    values = [rng.choice((rng.lognormvariate(0, 1), 1.5)) for _ in range(400)]
    for number, seconds in enumerate(values):
        given.turn(f"c{number}", (number % 48 - 30) * HOUR, seconds)
    given.save()
    rollup.refresh()
    window = replace(DAY, start=at(-36 * HOUR), end=at(36 * HOUR))
    days = by_bucket_and_whole(window, "1d")
    found = speeds(Query(store, given.scope), window, NONE, days, (0.0, 0.5, 0.99, 1.0))
    assert found is not None
    assert sum(found[WHOLE][DURATION].histogram) == found[WHOLE][DURATION].held == 400
    values.sort()
    low, high = values[395], values[396]
    wanted = [
        values[0],
        pytest.approx((values[199] + values[200]) / 2, rel=1e-12),
        pytest.approx(low + (0.99 * 399 - 395) * (high - low), rel=1e-12),
        values[-1],
    ]
    assert found[WHOLE][DURATION].quantiles == wanted
    assert FIRST_CHUNK not in found[WHOLE]


class Arriving:
    """A store in which a turn arrives after the first question about turns' speeds."""

    def __init__(self, given: Given) -> None:
        self._given = given
        self._store = given.store
        self.arrived = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def query(self, sql: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
        """Answers, and then sends the turn once."""
        rows = self._store.query(sql, parameters)
        if "turn_speeds" in sql and not self.arrived:
            self.arrived = True
            self._given.rows.clear()
            self._given.turn("late", 1, 2.0)
            self._given.save()
        return rows


def test_what_arrives_between_the_two_questions_is_noticed(given: Given, rollup: Rollup) -> None:
    """The bins were counted before, their values read after: no quantile is made of the two."""
    for hour in (-26, -25, -24, -1, 0):
        given.turn(f"c{hour}", hour * HOUR, 2.0)
    given.save()
    rollup.keep(at(-24 * HOUR).date())
    window = replace(DAY, start=at(-48 * HOUR), end=at(24 * HOUR))
    arriving: Any = Arriving(given)
    days = by_bucket_and_whole(window, "1d")
    assert speeds(Query(arriving, given.scope), window, NONE, days, (0.5,)) is None
    assert arriving.arrived
    told = performance(arriving, given.scope, window, NONE)
    assert (told.turns, told.response_time.p50) == (6, 2.0)
