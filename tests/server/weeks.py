"""Two weeks of a support bot as OTLP: one as usual, one in which something goes wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from fastapi.testclient import TestClient
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from otel_chat import semconv as sc
from otel_chat.server.figures.window import Window
from tests.server.ingest.sending import PROTOBUF, SECOND, Telemetry, digest, put

BEFORE = datetime(2026, 11, 2, tzinfo=UTC)
MONDAY = datetime(2026, 11, 9, tzinfo=UTC)
TUESDAY = MONDAY + timedelta(days=1)
END = datetime(2026, 11, 16, tzinfo=UTC)
WEEK = Window(MONDAY, END, now=datetime(2026, 11, 20, tzinfo=UTC))
INTENTS = ("refund", "order_status", "opening_hours", "change_address")
A_DAY = 40


def _turn(telemetry: Telemetry, conversation: str, start: int, **attributes: object) -> Span:
    """A turn, half a second long unless it says otherwise."""
    length = attributes.pop("length", SECOND // 2)
    assert isinstance(length, int)
    span = Span(
        trace_id=digest(conversation, start, size=16), name="invoke_agent support", kind=1,
        span_id=digest(conversation, start, "turn", size=8), start_time_unix_nano=start,
        end_time_unix_nano=start + length,
    )  # fmt: skip
    put(span, {
        sc.TURN_ROOT: True, sc.OPERATION_NAME: sc.OPERATION_INVOKE_AGENT, sc.AGENT_NAME: "support",
        sc.CONVERSATION_ID: conversation, sc.STATUS: sc.STATUS_OK,
    } | attributes)  # fmt: skip
    telemetry.spans.append(span)
    return span


def _timed_out(telemetry: Telemetry, turn: Span) -> None:
    call = Span(
        trace_id=turn.trace_id, span_id=turn.span_id[::-1], parent_span_id=turn.span_id, kind=3,
        name="execute_tool track_return", start_time_unix_nano=turn.start_time_unix_nano,
        end_time_unix_nano=turn.start_time_unix_nano + SECOND // 4,
    )  # fmt: skip
    call.status.code = 2
    put(call, {
        sc.OPERATION_NAME: sc.OPERATION_EXECUTE_TOOL, sc.TOOL_NAME: "track_return",
        "error.type": "TimeoutError",
    })  # fmt: skip
    telemetry.spans.append(call)


def fortnight(tenant: str, *, fault: bool) -> Telemetry:
    """Forty conversations a day from 2 to 15 November, a quarter of them about refunds.

    Args:
        tenant: Whose they are.
        fault: Whether from Tuesday the 10th `track_return` times out: then a human is asked in
            four of five refunds, and the others wait. In one of three of the other conversations
            the last message is then not understood.
    """
    telemetry = Telemetry(tenant)
    for day in range(14):
        for number in range(A_DAY + (day * 7) % 5):
            begun = BEFORE + timedelta(days=day, minutes=10 + 30 * number)
            start = int(begun.timestamp()) * SECOND
            intent = INTENTS[number % len(INTENTS)]
            name = f"{tenant}-{day:02d}-{number:02d}"
            broken = fault and begun >= TUESDAY
            _turn(telemetry, name, start, **{sc.INTENT_NAME: "greet"})
            last: dict[str, object] = {sc.INTENT_NAME: intent}
            if broken and intent == "refund":
                last |= {"length": 4 * SECOND, sc.HANDOFF_TRIGGERED: number % 5 != 0}
            elif broken and number % 3 == 0:
                last |= {sc.FALLBACK: True}
            elif number % 17 == 0:
                last |= {sc.HANDOFF_TRIGGERED: True}
            turn = _turn(telemetry, name, start + 60 * SECOND, **last)
            if broken and intent == "refund":
                _timed_out(telemetry, turn)
    return telemetry


def send(telemetry: Telemetry, client: TestClient) -> None:
    """Sends all of it as an exporter does."""
    for path, body in telemetry.requests():
        answer = client.post(f"/v1/{path}", content=body, headers=PROTOBUF)
        assert answer.status_code == 200, answer.text
