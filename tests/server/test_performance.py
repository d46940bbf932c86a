"""Response times, routes, errors, slow turns and where time went, worked out by hand."""

from __future__ import annotations

import random

import pytest
from hypothesis import given as generated
from hypothesis import strategies as st

from otel_chat.errors import QueryError
from otel_chat.server.figures.filters import Filters
from otel_chat.server.questions import performance as queries
from otel_chat.server.questions.conversation import conversation
from otel_chat.server.questions.routes import routes
from otel_chat.server.questions.slow_turns import slowest
from otel_chat.server.questions.split import NANOSECONDS, PARTS, Interval, split_ns
from otel_chat.server.questions.traces import trace
from tests.server.given import DAY, Given, at

NONE = Filters()


def test_quantiles_interpolate_between_the_nearest_turns(given: Given) -> None:
    """1 to 5 s: the median is 3, p75 is 4, p90 lies at 3.6 of 4 steps: 4.6; the mean is 3."""
    for seconds in range(1, 6):
        given.turn(seconds=seconds, duration=seconds)
    given.save()
    found = queries.performance(given.store, given.scope, DAY, NONE)
    spread = found.response_time
    assert (spread.mean, spread.p50, spread.p75, spread.count) == (3, 3, 4, 5)
    assert (spread.p90, spread.p95, spread.p99) == pytest.approx((4.6, 4.8, 4.96))
    assert found.time_to_first_chunk.model_dump() == dict.fromkeys(
        ("mean", "p50", "p75", "p90", "p95", "p99")
    ) | {"count": 0}
    assert found.throughput == 5 / 1440


def test_quantiles_are_those_of_all_values(given: Given) -> None:
    """Of 400 values, many of them equal, against the two nearest to the rank in the sorted list."""
    rng = random.Random(5)
    values = [rng.choice((rng.lognormvariate(0, 1), 1.5)) for _ in range(400)]
    for number, seconds in enumerate(values):
        given.turn(f"c{number}", number, seconds)
    given.save()
    values.sort()
    spread = queries.performance(given.store, given.scope, DAY, NONE).response_time
    assert spread.count == 400
    assert spread.p50 == pytest.approx((values[199] + values[200]) / 2, rel=1e-12)
    last = values[395] + (0.99 * 399 - 395) * (values[396] - values[395])
    assert spread.p99 == pytest.approx(last, rel=1e-12)


def test_points_tell_conversations_and_errors_of_their_bucket(given: Given) -> None:
    """At noon three turns of two conversations, one in error; at 18:00 one turn of one of them."""
    given.turn("a", 0, duration=1)
    given.turn("a", 10, duration=3, status="error")
    given.turn("b", 20, duration=2)
    given.turn("b", 6 * 3600, duration=7, time_to_first_chunk=1)
    given.save()
    points = queries.performance(given.store, given.scope, DAY, NONE, "6h").points
    told = [
        (p.start, p.turns, p.conversations, p.error_rate, p.response_time_p50, p.first_chunk_p50)
        for p in points
    ]
    assert told == [
        (at(-12 * 3600), 0, 0, None, None, None),
        (at(-6 * 3600), 0, 0, None, None, None),
        (at(0), 3, 2, 1 / 3, 1.5, None),
        (at(6 * 3600), 1, 1, 0, 7, 1),
    ]


def test_errors_and_cancelled_turns_are_told_apart(given: Given) -> None:
    """Of four turns one failed and one was cut off; streamed ones have a first chunk."""
    given.turn(time_to_first_chunk=0.25)
    given.turn(seconds=2, time_to_first_chunk=0.75)
    given.turn(seconds=4, status="error")
    given.turn(seconds=6, status="cancelled")
    given.save()
    found = queries.performance(given.store, given.scope, DAY, NONE)
    assert (found.turns, found.errors, found.error_rate, found.cancelled) == (4, 1, 0.25, 1)
    assert (found.time_to_first_chunk.mean, found.time_to_first_chunk.p50) == (0.5, 0.5)


def test_without_turns_there_is_nothing_and_not_zero(given: Given) -> None:
    """Every figure that divides is null, every bucket is there."""
    found = queries.performance(given.store, given.scope, DAY, NONE, "6h")
    assert (found.error_rate, found.throughput, found.response_time.p50) == (None, None, None)
    assert [point.turns for point in found.points] == [0, 0, 0, 0]
    assert set(found.points[0].histogram) == {0}


def test_histograms_count_up_to_and_with_each_bound(given: Given) -> None:
    """0.05 s lies in the first bucket, 0.051 in the second, 120 in the last, 121 above it."""
    for number, seconds in enumerate((0.05, 0.051, 120, 121)):
        given.turn(seconds=number, duration=seconds)
    given.save()
    (point,) = [
        p for p in queries.performance(given.store, given.scope, DAY, NONE, "6h").points if p.turns
    ]
    assert point.start == at(0)
    assert point.histogram == [1, 1, *[0] * 13, 1, 1]
    assert sum(point.histogram) == point.turns


def test_routes_part_by_status_code(given: Given) -> None:
    """Two good answers of /chat, one bad one, and a turn without a route."""
    given.turn(seconds=0, route="/chat", http_status=200)
    given.turn(seconds=2, duration=3, route="/chat", http_status=200)
    given.turn(seconds=4, route="/chat", http_status=500, status="error")
    given.turn(seconds=6)
    given.save()
    items = routes(given.store, given.scope, DAY, NONE).items
    told = [(r.route, r.status_code, r.turns, r.errors, r.error_rate, r.mean) for r in items]
    assert told == [
        ("/chat", 200, 2, 0, 0, 2),
        ("", None, 1, 0, 0, 1),
        ("/chat", 500, 1, 1, 1, None),
    ]


def test_errors_are_counted_by_type_with_their_trend(given: Given) -> None:
    """Three timeouts in two conversations, one of them an hour later; one other error."""
    given.turn("a", 0, status="error", error_type="Timeout")
    given.turn("a", 10, status="error", error_type="Timeout")
    last = given.turn("b", 3600, status="error", error_type="Timeout")
    given.turn("b", 20, status="error", error_type="KeyError")
    given.turn("b", 30)
    given.save()
    found = queries.errors(given.store, given.scope, DAY, NONE)
    first, second = found.items
    assert (found.turns, first.error_type, first.turns, first.share) == (4, "Timeout", 3, 0.75)
    assert (first.conversations, first.first_seen, first.last_seen) == (2, at(0), at(3600))
    assert first.trace_id == last["trace_id"]
    assert {found.starts[n]: count for n, count in enumerate(first.trend) if count} == {
        at(0): 2,
        at(3600): 1,
    }
    assert (second.error_type, second.turns) == ("KeyError", 1)


def test_slow_turns_come_first_with_their_split(given: Given) -> None:
    """4 s, of which 1 s in a tool and 1 s in a model; the rest is the bot's own."""
    slow = given.turn("slow", 0, duration=4, intent="refund", response_model="m", agent="a")
    given.turn("quick", 100)
    given.span(slow["trace_id"], slow["span_id"], 1, operation="execute_tool")
    given.span(slow["trace_id"], slow["span_id"], 2, operation="chat")
    given.save()
    items = slowest(given.store, given.scope, DAY, NONE, 2).items
    assert [(i.conversation_id, i.duration) for i in items] == [("slow", 4), ("quick", 1)]
    assert (items[0].intent, items[0].model, items[0].agent) == ("refund", "m", "a")
    parts = items[0].split
    assert (parts.model, parts.tool, parts.retrieval, parts.own) == (1, 1, 0, 2)
    with pytest.raises(QueryError):
        slowest(given.store, given.scope, DAY, NONE, 0)


def test_a_trace_tells_where_its_turns_time_went(given: Given) -> None:
    """A model called inside a tool is the model's time; what is left is the tool's."""
    turn = given.turn("c", 0, duration=2)
    tool = given.span(turn["trace_id"], turn["span_id"], 0.5, operation="execute_tool")
    given.span(turn["trace_id"], tool["span_id"], 1, operation="chat")  # ends after the tool
    given.save()
    found = trace(given.store, given.scope, DAY, turn["trace_id"])
    (time,) = found.times
    assert (time.duration, time.model, time.tool, time.own) == (2, 1, 0.5, 0.5)


def test_a_conversation_tells_the_same(given: Given) -> None:
    """Two turns of one trace, the second inside of the first.

    The inner one, from 1 to 4 s of 6, calls a model from 2 to 3 s and a tool from 3 to 4 s. The
    outer one has what its inner one has, and its own 4 s.
    """
    outer = given.turn("c", 0, duration=6)
    inner = given.turn(
        "c", 1, duration=3, trace_id=outer["trace_id"], parent_span_id=outer["span_id"]
    )
    given.span(inner["trace_id"], inner["span_id"], 2, operation="chat")
    given.span(inner["trace_id"], inner["span_id"], 3, operation="execute_tool")
    given.save()
    first, second = conversation(given.store, given.scope, DAY, "c").times
    assert (first.duration, first.model, first.tool, first.own) == (6, 1, 1, 4)
    assert (second.duration, second.model, second.tool, second.own) == (3, 1, 1, 1)
    assert trace(given.store, given.scope, DAY, outer["trace_id"]).times == [first, second]
    assert [i.split for i in slowest(given.store, given.scope, DAY, NONE).items] == [first, second]


MOMENTS = st.integers(-50, 150)
SPANS = st.lists(
    st.tuples(
        st.integers(0, 12),
        MOMENTS,
        MOMENTS,
        st.sampled_from(["chat", "execute_tool", "retrieval", "", "embeddings"]),
    ),
    max_size=12,
)


@generated(SPANS, st.integers(0, 2**32))
def test_the_parts_of_a_turn_sum_to_it(spans: list[tuple[int, int, int, str]], seed: int) -> None:
    """Whatever runs at the same time, in whatever tree, in whatever order it arrived."""
    turn = Interval("0", "", 0, 100, "invoke_agent")
    made = [
        Interval(str(number), str(parent), min(a, b), max(a, b), operation)
        for number, (parent, a, b, operation) in enumerate(spans, start=1)
    ]
    parts = split_ns(turn, made)
    assert sum(parts.values()) == 100
    assert set(parts) == set(PARTS)
    assert min(parts.values()) >= 0
    random.Random(seed).shuffle(made)
    assert split_ns(turn, made) == parts


def test_work_side_by_side_is_counted_once() -> None:
    """A tool and a model at the same time: the model's, which is asked first."""
    turn = Interval("t", "", 0, 10 * NANOSECONDS, "")
    tool = Interval("a", "t", 0, 6 * NANOSECONDS, "execute_tool")
    model = Interval("b", "t", 4 * NANOSECONDS, 8 * NANOSECONDS, "chat")
    found = {k: v // NANOSECONDS for k, v in split_ns(turn, [tool, model]).items()}
    assert found == {"model": 4, "retrieval": 0, "tool": 4, "own": 2}
