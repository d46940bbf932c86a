"""`record_turn`: a finished turn in one call, with its own times."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from itertools import islice
from typing import Any, Final, TypedDict, Unpack

from otel_chat import semconv as sc
from otel_chat._common.checks import is_a, number, one_of
from otel_chat._telemetry.runtime import Runtime, current, report_error, reporting
from otel_chat._telemetry.workers import reader
from otel_chat._turns.conversation import Time, nanoseconds
from otel_chat._turns.fields import TurnFields, check_names, span_attributes
from otel_chat._turns.turn import Turn, new_turn
from otel_chat.errors import ArgumentError, ArgumentTypeError, ArgumentValueError


class Intent(TypedDict, total=False):
    """An intent of a finished turn; the arguments of `Turn.intent`."""

    name: str | None
    confidence: float | None
    fallback: bool | None
    success: bool | None
    source: str
    data: object


class TurnReport(TurnFields, total=False):
    """What can be said of a finished turn besides its fields; all optional."""

    user_message: str | None
    reply: str | None
    intents: Iterable[Intent]
    confidence: float | None
    response_model: str | None
    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    reasoning_tokens: int | None
    cost: float | Decimal | None
    handoff: str | None
    handoff_target: str | None
    sentiment: str | None
    cached: bool | None
    metadata: Mapping[str, object] | None
    time_to_first_chunk: float | None
    error_type: str | None


_USAGE = ("input_tokens", "output_tokens", "cache_read_tokens", "reasoning_tokens", "cost")
_REPORTED = frozenset(TurnReport.__annotations__)
MOST_INTENTS: Final = 1000
_FIELDS = frozenset(TurnFields.__annotations__)


@reporting("record_turn")
def record_turn(
    *,
    conversation_id: object,
    start: Time,
    end: Time | None = None,
    duration: float | None = None,
    agent: str | None = None,
    status: str = sc.STATUS_OK,
    **report: Unpack[TurnReport],
) -> str | None:
    """Reports a finished turn, for what was measured elsewhere.

    Args:
        conversation_id: As the application knows it.
        start: Aware datetime, seconds (float) or nanoseconds (int) since 1970.
        end: The same; or `duration` in seconds.
        duration: Seconds, not negative.
        agent: The agent's name.
        status: ok, error or cancelled.
        **report: Texts, intents, usage, model, handoff and fields, see `TurnReport`.

    Returns:
        The trace's id; None where the turn could not be recorded.

    Raises:
        ConfigurationError: there is no such argument.

    Example:
        >>> trace_id = record_turn(
        ...     conversation_id="c-1", agent="support", start=1_700_000_000.0, duration=0.8,
        ...     intents=[{"name": "greeting", "confidence": 0.9}], input_tokens=12, output_tokens=9,
        ... )
    """
    check_names({k: v for k, v in report.items() if k not in _REPORTED}, "record_turn()")
    start_ns = nanoseconds(start, "start")
    end_ns = _end(start_ns, end, duration)
    one_of(status, "status", (sc.STATUS_OK, sc.STATUS_ERROR, sc.STATUS_CANCELLED))
    return _record(current(), conversation_id, agent, (start_ns, end_ns, status), report)


def _end(start_ns: int, end: Time | None, duration: float | None) -> int:
    if (end is None) == (duration is None):
        raise ArgumentError("give either end or duration", "end")
    if end is not None:
        end_ns = nanoseconds(end, "end")
        if end_ns < start_ns:
            raise ArgumentValueError("end", "no earlier than start", end)
        return end_ns
    return start_ns + round(number(duration, "duration", 0) * 1e9)


def _record(
    runtime: Runtime,
    conversation_id: object,
    agent: str | None,
    when: tuple[int, int, str],
    report: TurnReport,
) -> str | None:
    start_ns, end_ns, status = when
    fields = {k: v for k, v in report.items() if k in _FIELDS}
    turn = new_turn(runtime, agent, span_attributes(runtime, fields), conversation_id)
    turn.start(start_ns, root=True)
    turn.fix_time(end_ns)
    try:
        _fill(turn, report)
    finally:
        turn.finish_as(status, report.get("error_type"), end_ns)
    return turn.trace_id


def _fill(turn: Turn, report: TurnReport) -> None:
    _fill_intents(turn, report.get("intents", ()))
    usage = {k: report[k] for k in _USAGE if report.get(k) is not None}  # type: ignore[literal-required]
    if usage:
        turn.usage(**usage)
    setters: dict[str, Callable[..., None]] = {
        "user_message": turn.message,
        "reply": turn.reply,
        "sentiment": turn.sentiment,
        "confidence": turn.confidence,
        "cached": turn.cached,
        "metadata": turn.metadata,
    }
    for name, report_it in setters.items():
        value = report.get(name)
        if value is not None:
            report_it(value)
    model, answered = report.get("model"), report.get("response_model")
    if answered is not None:
        turn.model(model or answered, response_model=answered)
    reason, first = report.get("handoff"), report.get("time_to_first_chunk")
    if reason is not None:
        turn.handoff(reason, target=report.get("handoff_target"))
    if first is not None:
        try:
            seconds = number(first, "time_to_first_chunk", 0)
        except ArgumentError as error:
            report_error("record_turn", error)
        else:
            turn.first_chunk(turn.start_ns + round(seconds * 1e9))


@reporting("record_turn")
def _fill_intents(turn: Turn, intents: Iterable[Intent]) -> None:
    """Reports each; one that is no mapping costs itself alone."""
    for intent in reader.read(intents, _listed):
        if is_a(intent, dict):
            turn.intent(**{"name": None, **intent})
        else:
            allowed = "mappings with name, confidence and so on"
            report_error("record_turn", ArgumentTypeError("intents", allowed, intent))


def _listed(intents: Iterable[Any]) -> list[Any]:
    """The intents, read in bounded time, mappings as dictionaries."""
    return [
        dict(islice(one.items(), MOST_INTENTS)) if is_a(one, Mapping) else one
        for one in islice(intents, MOST_INTENTS)
    ]
