"""Errors and the slowest turns: the same from turns kept by themselves as from all turns."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given as generated
from hypothesis import strategies as st

from otel_chat.server.erase import Eraser
from otel_chat.server.queries.filters import Filters
from otel_chat.server.queries.paging import LARGEST_PAGE
from otel_chat.server.queries.performance import TurnErrors, errors
from otel_chat.server.queries.slow_turns import SlowTurns, slowest
from tests.examples import examples
from tests.server.given import DAY, NOON, Given, at

if TYPE_CHECKING:
    from otel_chat.server.queries.window import Window
    from otel_chat.server.rollup import Rollup
    from otel_chat.server.store import Store

HOUR = 3600
NONE = Filters()
LIMITS = (
    NONE,
    Filters(agent="support"),
    Filters(channel="web", conversation_id="c1"),
    Filters(intent="order"),
    Filters(outcome="failed"),
    Filters(agent="support", handoff=True),
)
KINDS = st.sampled_from((None, "", "Timeout", "KeyError"))


def told(given: Given, window: Window) -> list[TurnErrors]:
    return [errors(given.store, given.scope, window, limits) for limits in LIMITS]


def slow(given: Given, window: Window) -> list[SlowTurns]:
    return [slowest(given.store, given.scope, window, limits, 5) for limits in LIMITS[:2]]


@examples(2, 25)
@generated(
    turns=st.lists(st.tuples(st.integers(-70, 30), KINDS), min_size=1, max_size=40),
    span=st.tuples(st.integers(-60 * 60, -20 * 60), st.integers(1 - 20 * 60, 30 * 60)),
    kept=st.lists(st.integers(-3, 0), min_size=1, max_size=4),
)
def test_kept_days_change_no_error_and_no_slow_turn(
    store: Store,
    rollup: Rollup,
    turns: list[tuple[int, str | None]],
    span: tuple[int, int],
    kept: list[int],
) -> None:
    """Windows from any minute to any other; not all days are kept; another one comes late."""
    given = Given(store)
    for number, (hours, kind) in enumerate(turns):
        given.turn(
            f"c{number % 7}",
            hours * HOUR,
            (0.5, 2.0, 30.0)[number % 3],
            agent=("support", "sales")[number % 2],
            channel=("web", "voice")[number % 3 == 0],
            intent=("order", "refund")[number % 5 == 0],
            handoff=number % 6 == 0,
            status="ok" if kind is None else "error",
            error_type=kind or "",
        )
    given.save()
    start, end = (at(minutes * 60) for minutes in span)
    window = replace(DAY, start=start, end=end)
    before, slow_before = told(given, window), slow(given, window)
    for day in kept:
        rollup.keep(at(day * 24 * HOUR).date())
    assert told(given, window) == before
    assert slow(given, window) == slow_before
    given.rows.clear()
    given.turn("c1", kept[0] * 24 * HOUR, 40, status="error", error_type="Timeout", agent="support")
    given.save()
    late, slow_late = told(given, window), slow(given, window)
    assert late[0].turns - before[0].turns == (start <= at(kept[0] * 24 * HOUR) < end)
    rollup.keep(at(kept[0] * 24 * HOUR).date())
    assert told(given, window) == late
    assert slow(given, window) == slow_late


def test_errors_of_a_kept_day_are_read_from_what_is_kept(given: Given, rollup: Rollup) -> None:
    """Three turns, two of which failed, at 12:00 and 13:00: those two are kept, and no other."""
    given.turn("a", 0, status="error", error_type="Timeout")
    last = given.turn("b", HOUR, status="error", error_type="Timeout")
    given.turn("b", 2 * HOUR)
    given.save()
    rollup.keep(NOON.date())
    kept = given.store.query(
        "SELECT lower(hex(trace_id)) AS trace FROM failed_turns"
        " WHERE tenant = {tenant:String} ORDER BY start",
        {"tenant": given.tenant},
    )
    assert [row["trace"] for row in kept][1:] == [last["trace_id"]]
    given.store.command(
        "INSERT INTO failed_turns SELECT * REPLACE ('KeyError' AS error_type, start + 1 AS start)"
        f" FROM failed_turns WHERE tenant = '{given.tenant}' AND conversation_id = 'a'"
    )
    found = errors(given.store, given.scope, DAY, NONE)
    assert [(one.error_type, one.turns) for one in found.items] == [("Timeout", 2), ("KeyError", 1)]
    found = errors(given.store, given.scope, replace(DAY, start=at(30 * 60)), NONE)
    assert [(one.error_type, one.trace_id) for one in found.items] == [
        ("Timeout", last["trace_id"])
    ]


def test_only_the_slowest_turns_of_a_day_are_kept(given: Given, rollup: Rollup) -> None:
    """Of 203 turns of 1.00 to 3.02 s the slowest 200; half a day is asked of all turns."""
    for number in range(LARGEST_PAGE + 3):
        given.turn("c", number * 60 - 2 * HOUR, 1 + number / 100)
    given.save()
    before = slowest(given.store, given.scope, DAY, NONE, LARGEST_PAGE)
    morning = replace(DAY, end=at(-1.9 * HOUR))
    rollup.keep(NOON.date())
    (kept,) = given.store.query(
        "SELECT count() AS n, min(duration) AS least FROM slow_turns WHERE tenant = {t:String}",
        {"t": given.tenant},
    )
    assert kept == {"n": LARGEST_PAGE, "least": 1.03}
    assert slowest(given.store, given.scope, DAY, NONE, LARGEST_PAGE) == before
    early = slowest(given.store, given.scope, morning, NONE, 2).items
    assert [one.duration for one in early] == [1.05, 1.04]


@pytest.mark.parametrize("all_of_it", [False, True], ids=["a conversation", "all before"])
def test_erased_errors_are_kept_nowhere(given: Given, rollup: Rollup, *, all_of_it: bool) -> None:
    """Two conversations with an error each; one of them is erased, or both."""
    for name in ("a", "b"):
        given.turn(name, status="error", error_type="Timeout")
    given.save()
    rollup.keep(NOON.date())
    eraser = Eraser(given.store, given.scope)
    if all_of_it:
        eraser.before(at(24 * HOUR))
    else:
        eraser.conversation("a")
    left = 0 if all_of_it else 1
    assert errors(given.store, given.scope, DAY, NONE).turns == left
    rollup.keep(NOON.date())
    assert errors(given.store, given.scope, DAY, NONE).turns == left
    assert len(slowest(given.store, given.scope, DAY, NONE).items) == left
    for table in ("failed_turns", "slow_turns"):
        kept = f"SELECT count() AS n FROM {table} WHERE tenant = {{tenant:String}}"
        assert given.store.query(kept, {"tenant": given.tenant}) == [{"n": left}]
