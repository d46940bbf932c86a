"""What pages make of answers: trends, small lines, bars, and what stands out in a turn."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from otel_chat.server.pages import formats, waterfall
from otel_chat.server.pages.charts import HEIGHT, WIDTH, sparkline
from otel_chat.server.pages.conversation import flags_of
from otel_chat.server.pages.overview import trend
from otel_chat.server.questions.overview import Change
from otel_chat.server.questions.traces import Span, Trace
from otel_chat.server.questions.turns import Turn, TurnHandoff

MOMENT = datetime(2026, 3, 4, tzinfo=UTC)


def span(
    number: int, offset: float, duration: float, depth: int = 0, *, turn: bool = False
) -> Span:
    return Span(
        span_id=f"{number:016x}",
        parent_span_id="",
        name=f"span {number}",
        kind="internal",
        operation="",
        turn=turn,
        start=MOMENT,
        offset=offset,
        duration=duration,
        status="unset",
        error_type="",
        depth=depth,
        attributes={},
    )


def trace(*spans: Span) -> Trace:
    return Trace(
        trace_id="0" * 32,
        tenant="t",
        conversation_id="c",
        turn_span_id=None,
        spans=list(spans),
        times=[],
    )


def turn(**changes: object) -> Turn:
    plain = {
        "status": "ok",
        "duration": 1.0,
        "confidence": None,
        "fallback": None,
        "handoff": TurnHandoff(triggered=False, reason="", target=""),
    }
    return Turn.model_construct(**{**plain, **changes})


@for_all(
    st.lists(
        st.tuples(st.floats(0, 1e4), st.floats(0, 1e4), st.integers(0, 30)),
        max_size=20,
    )
)
def test_bars_lie_within_the_waterfall(spans: list[tuple[float, float, int]]) -> None:
    """Whatever the times, every bar is seen, starts and ends inside, and keeps the order."""
    stored = trace(*(span(n, *times) for n, times in enumerate(spans)))
    fall = waterfall.of_turn(stored, "0" * 16)
    assert [bar.span for bar in fall.bars] == stored.spans
    for bar in fall.bars:
        assert bar.width >= waterfall.LEAST_WIDTH
        assert bar.x >= 0
        assert bar.x + bar.width <= 100.01
        assert 0 <= bar.level <= waterfall.DEEPEST


def test_a_trace_of_several_turns_is_parted() -> None:
    """Where a trace holds several turns, each shows what happened within it alone."""
    stored = trace(
        span(1, 0, 10),
        span(2, 1, 2, 1, turn=True),
        span(3, 1.5, 1, 2),
        span(4, 5, 4, 1, turn=True),
        span(5, 6, 1, 2),
        span(6, 6, 1, 3),
    )
    first = waterfall.of_turn(stored, f"{2:016x}")
    assert [bar.span.span_id[-1] for bar in first.bars] == ["2", "3"]
    assert first.length == 2
    assert (first.bars[1].x, first.bars[1].width, first.bars[1].level) == (25, 50, 1)
    second = waterfall.of_turn(stored, f"{4:016x}")
    assert [bar.span.span_id[-1] for bar in second.bars] == ["4", "5", "6"]
    assert waterfall.of_turn(stored, "f" * 16).bars == ()


@pytest.mark.parametrize(
    ("changes", "flags"),
    [
        ({}, []),
        ({"status": "error"}, ["failed"]),
        ({"status": "cancelled"}, []),
        ({"duration": 2.99}, []),
        ({"duration": 3.0}, ["slow"]),
        ({"confidence": 0.69}, ["unsure"]),
        ({"confidence": 0.7}, []),
        ({"fallback": True, "confidence": 0.9}, ["unsure"]),
        ({"fallback": False}, []),
        ({"handoff": TurnHandoff(triggered=True, reason="", target="")}, ["handed_off"]),
    ],
)
def test_what_stands_out_in_a_turn(changes: dict[str, object], flags: list[str]) -> None:
    """Errors, 3 s or longer, confidence below 0.7 or no intent, and handoffs stand out."""
    assert flags_of(turn(**changes), 0.7) == flags


@for_all(st.lists(st.none() | st.floats(0, 1e12), max_size=60))
def test_small_lines_stay_in_their_box(values: list[float | None]) -> None:
    """Every point of a sparkline lies in its box, and one stands for each value beside another."""
    path = sparkline(values)
    points = [tuple(map(float, point.split())) for point in re.split("[ML]", path) if point]
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points)
    beside = sum(
        value is not None
        and any(0 <= other < len(values) and values[other] is not None for other in (i - 1, i + 1))
        for i, value in enumerate(values)
    )
    assert len(points) == beside


def change(value: float | None, previous: float | None) -> Change:
    difference = None if value is None or previous is None else value - previous
    relative = difference / previous if difference is not None and previous else None
    return Change(value=value, previous=previous, difference=difference, relative=relative)


def test_trends_are_told_in_percent_and_shares_in_points() -> None:
    """A figure's change is relative, a share's in points; good or bad if it is beyond chance."""
    slower = trend(change(1.2, 1.0), formats.duration, better="down", clear=True)
    assert slower
    assert (slower.text.replace("\u202f", " "), slower.direction, slower.tone) == (
        "20 %",
        "up",
        "bad",
    )
    fewer = trend(change(0.10, 0.16), formats.percent, better="down", ratio=True, clear=True)
    assert fewer
    assert (fewer.text.replace("\u202f", " "), fewer.tone) == ("6.0 pts", "good")
    for unclear in (False, None):
        by_chance = trend(change(1.2, 1.0), formats.duration, better="down", clear=unclear)
        assert by_chance
        assert by_chance.tone == "plain"
    assert trend(change(5, 0), formats.duration, better="up") is None
    assert trend(change(None, 3), formats.duration, better="up") is None
    same = trend(change(3, 3), formats.duration, better="up")
    assert same
    assert (same.text, same.tone) == ("unchanged", "plain")


@for_all(st.floats(0, 1e9))
def test_durations_read_back_to_what_they_were(seconds: float) -> None:
    """What is written is within a twentieth of the value, or within what its last unit tells."""
    sizes = {"ms": 0.001, "s": 1, "min": 60, "h": 3600, "d": 86_400}
    parts = re.findall(r"([\d.]+)\u202f(ms|s|min|h|d)", formats.duration(seconds))
    assert parts
    told = sum(float(number) * sizes[unit] for number, unit in parts)
    assert told == pytest.approx(seconds, rel=0.05, abs=0.00001)


@for_all(st.decimals(0, 10**9, allow_nan=False, places=9))
def test_money_is_never_rounded_to_nothing(amount: Decimal) -> None:
    """Only nothing is $0; below a dollar two digits are kept, from a dollar on the cents."""
    text = formats.money(amount)
    told = Decimal(text.removeprefix("$").replace(",", ""))
    assert (told == 0) == (amount == 0)
    assert abs(told - amount) <= max(Decimal("0.005"), amount / 10)
    if amount < Decimal("0.99"):
        assert abs(told - amount) <= amount / 10


@for_all(st.floats(0, 1))
def test_percentages_tell_whole_and_nothing_apart(ratio: float) -> None:
    """100 % is written for the whole alone, 0 % for nothing alone."""
    text = formats.percent(ratio).replace("\u202f", " ")
    assert (text == "100 %") == (ratio == 1)
    assert (text == "0 %") == (ratio == 0)
