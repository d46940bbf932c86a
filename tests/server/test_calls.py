"""What turns depend on: the same from bins of calls that are kept as from the calls themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hypothesis import given as generated
from hypothesis import strategies as st

from otel_chat.server.erase import Eraser
from otel_chat.server.queries.dependencies import MOST, Dependencies, dependencies
from otel_chat.server.queries.filters import Filters
from tests.examples import examples
from tests.server.given import DAY, NOON, Given, at

if TYPE_CHECKING:
    from otel_chat.server.queries.window import Window
    from otel_chat.server.rollup import Rollup
    from otel_chat.server.store import Store

HOUR = 3600
NONE = Filters()
CALLS: tuple[dict[str, Any], ...] = (
    {"operation": "execute_tool", "tool": "lookup"},
    {"operation": "execute_tool", "tool": "lookup", "error_type": "Timeout"},
    {"operation": "execute_tool", "name": "unnamed", "status_code": "error"},
    {"operation": "chat", "model": "gpt 4"},
    {"operation": "embeddings", "model": "gpt 4", "error_type": "Refused"},
    {"operation": "retrieval", "attributes": {"gen_ai.data_source.id": "faq"}},
    {"operation": "invoke_workflow", "name": "no call"},
    {"api_name": "crm", "duration": 0.5, "status": "503"},
    {"api_name": "crm", "status": "ok"},
    {"api_name": "slow", "duration": 30.0, "status": "broken", "error_type": "Timeout"},
    {"api_name": "untimed", "status": ""},
)


def told(given: Given, window: Window) -> list[Dependencies]:
    limits = (NONE, Filters(channel="web"))
    return [dependencies(given.store, given.scope, window, one) for one in limits]


def add(given: Given, call: dict[str, Any], seconds: float, took: float) -> None:
    """A call in a turn of the same hour; spans take so long, events say it themselves."""
    turn = given.turn("c", seconds, channel="web" if seconds > 0 else "voice")
    if "api_name" in call:
        given.event("api_call", "c", seconds, **call)
        return
    given.span(
        turn["trace_id"],
        turn["span_id"],
        seconds,
        **{"end": at(seconds + took).strftime("%Y-%m-%d %H:%M:%S.%f"), **call},
    )


@examples(2, 25)
@generated(
    made=st.lists(
        st.tuples(
            st.integers(-70, 30),
            st.sampled_from(CALLS),
            st.sampled_from((0.0, 0.25, 1.0, 1.000001))
            | st.floats(0, 90).map(lambda x: round(x, 6)),
        ),
        min_size=1,
        max_size=40,
    ),
    span=st.tuples(st.integers(-60 * 60, -20 * 60), st.integers(1 - 20 * 60, 30 * 60)),
    kept=st.lists(st.integers(-3, 0), min_size=1, max_size=4),
)
def test_kept_days_change_no_call(
    store: Store,
    rollup: Rollup,
    made: list[tuple[int, dict[str, Any], float]],
    span: tuple[int, int],
    kept: list[int],
) -> None:
    """Windows from any minute to any other; not all days are kept; a span alone comes late."""
    given = Given(store)
    for hours, call, took in made:
        add(given, call, hours * HOUR, took)
    given.save()
    start, end = (at(minutes * 60) for minutes in span)
    window = replace(DAY, start=start, end=end)
    before = told(given, window)
    for day in kept:
        rollup.keep(at(day * 24 * HOUR).date())
    assert told(given, window) == before
    given.rows.clear()
    given.span("f" * 32, "", kept[0] * 24 * HOUR, operation="execute_tool", tool="late")
    given.save()
    late = told(given, window)
    inside = start <= at(kept[0] * 24 * HOUR) < end
    assert ("late" in {one.name for one in late[0].items}) == inside
    rollup.keep(at(kept[0] * 24 * HOUR).date())
    assert told(given, window) == late


def test_calls_of_a_kept_day_are_read_from_what_is_kept(given: Given, rollup: Rollup) -> None:
    """1 and 3 s of a tool, and one of an API without a time; a third of the tool is put in."""
    add(given, CALLS[0], 0, 1)
    add(given, CALLS[1], 60, 3)
    add(given, CALLS[8], 120, 0)
    given.save()
    rollup.keep(NOON.date())
    given.store.command(
        "INSERT INTO call_speeds SELECT * REPLACE (3 AS quarter) FROM call_speeds"
        f" WHERE tenant = '{given.tenant}' AND failures = 1"
    )
    items = dependencies(given.store, given.scope, DAY, NONE).items
    found = [(one.name, one.calls, one.failures, one.timed, one.p50, one.mean) for one in items]
    assert found == [("lookup", 3, 2, 3, 3.0, 7 / 3), ("crm", 1, 0, 0, None, None)]
    assert items[0].last_failure == at(60)


def test_more_dependencies_than_are_listed_are_counted(given: Given, rollup: Rollup) -> None:
    """Three more tools than fit, one of them called twice: kept or not, the same are listed."""
    for number in range(MOST + 3):
        add(given, {"operation": "execute_tool", "tool": f"t{number:03}"}, 0, number / 100)
    add(given, {"operation": "execute_tool", "tool": f"t{MOST + 2:03}"}, 1, 1)
    given.save()
    before = told(given, DAY)
    assert (before[0].others, before[0].items[0].name) == (3, f"t{MOST + 2:03}")
    rollup.keep(NOON.date())
    assert told(given, DAY) == before


def test_calls_of_an_erased_conversation_are_kept_nowhere(given: Given, rollup: Rollup) -> None:
    """Its turn ended at midnight, and a call of it lies on the next day."""
    turn = given.turn("a", 12 * HOUR - 1, 2)
    given.span(turn["trace_id"], turn["span_id"], 12 * HOUR, operation="execute_tool", tool="late")
    given.save()
    window = replace(DAY, end=at(36 * HOUR))
    for day in (0, 1):
        rollup.keep(at(day * 24 * HOUR).date())
    assert [one.name for one in told(given, window)[0].items] == ["late"]
    assert Eraser(given.store, given.scope).conversation("a").spans == 1
    for _ in range(2):
        assert told(given, window)[0].items == []
        rollup.keep(at(24 * HOUR).date())
