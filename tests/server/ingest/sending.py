"""Telemetry as a client would send it, small enough to be worked out by hand."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any
from uuid import uuid4

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from otel_chat import semconv as sc

NOON_NS = 1_794_312_000_000_000_000  # 2026-11-10T12:00:00Z
SECOND = 1_000_000_000
PROTOBUF = {"content-type": "application/x-protobuf"}


def put(record: Any, values: dict[str, object]) -> None:
    """Sets attributes of any type that OTLP has."""
    for key, value in values.items():
        attribute = record.attributes.add()
        attribute.key = key
        if isinstance(value, list | tuple):
            for item in value:
                attribute.value.array_value.values.add().string_value = str(item)
            attribute.value.array_value.SetInParent()
            continue
        kinds = {bool: "bool_value", int: "int_value", float: "double_value", bytes: "bytes_value"}
        setattr(attribute.value, kinds.get(type(value), "string_value"), value)


def digest(*parts: object, size: int) -> bytes:
    return blake2b(repr(parts).encode(), digest_size=size).digest()


@dataclass
class Telemetry:
    """Spans and events of one tenant, to be sent in any grouping and order.

    Args:
        tenant: Named by the resource of every request.
    """

    tenant: str
    spans: list[Span] = field(default_factory=list)
    events: list[LogRecord] = field(default_factory=list)

    def turn(self, conversation: str, number: int, **attributes: object) -> Span:
        """A turn of one second, half a minute after the one before it, with a model call inside."""
        trace = digest(conversation, number, size=16)
        start = NOON_NS + number * 30 * SECOND
        root = Span(
            trace_id=trace, span_id=digest(conversation, number, "turn", size=8), kind=1,
            name="invoke_agent support", start_time_unix_nano=start,
            end_time_unix_nano=start + SECOND,
        )  # fmt: skip
        put(
            root,
            {
                sc.TURN_ROOT: True,
                sc.OPERATION_NAME: sc.OPERATION_INVOKE_AGENT,
                sc.AGENT_NAME: "support",
                sc.CONVERSATION_ID: conversation,
                sc.STATUS: sc.STATUS_OK,
            }
            | attributes,
        )
        call = Span(
            trace_id=trace, span_id=digest(conversation, number, "chat", size=8), kind=3,
            parent_span_id=root.span_id, name="chat m", start_time_unix_nano=start,
            end_time_unix_nano=start + SECOND // 2,
        )  # fmt: skip
        put(call, {sc.OPERATION_NAME: sc.OPERATION_CHAT, sc.REQUEST_MODEL: "m"})
        self.spans += [root, call]
        return root

    def event(
        self, name: str, conversation: str, number: int, *, uid: bool = True, **attributes: object
    ) -> LogRecord:
        """An event in a turn, with or without an id of its own."""
        record = LogRecord(
            time_unix_nano=NOON_NS + number * 30 * SECOND + 1, event_name=name,
            trace_id=digest(conversation, number, size=16),
            span_id=digest(conversation, number, "turn", size=8),
        )  # fmt: skip
        values = {sc.CONVERSATION_ID: conversation, sc.AGENT_NAME: "support"} | attributes
        if uid:
            values[sc.EVENT_UID] = digest(conversation, number, name, values, size=8).hex()
        put(record, values)
        self.events.append(record)
        return record

    def traces(self, spans: Sequence[Span]) -> ExportTraceServiceRequest:
        """One request of these spans."""
        request = ExportTraceServiceRequest()
        part = request.resource_spans.add()
        put(part.resource, {"service.name": "bot", sc.TENANT: self.tenant})
        part.scope_spans.add().spans.extend(spans)
        return request

    def logs(self, events: Sequence[LogRecord]) -> ExportLogsServiceRequest:
        """One request of these events."""
        request = ExportLogsServiceRequest()
        part = request.resource_logs.add()
        put(part.resource, {"service.name": "bot", sc.TENANT: self.tenant})
        part.scope_logs.add().log_records.extend(events)
        return request

    def requests(self, rng: random.Random | None = None) -> list[tuple[str, bytes]]:
        """All of it as paths and bodies: whole, or cut and shuffled by chance."""
        if rng is None:
            whole = self.traces(self.spans).SerializeToString()
            return [("traces", whole), ("logs", self.logs(self.events).SerializeToString())]
        made = []
        for path, items, build in (
            ("traces", self.spans, self.traces),
            ("logs", self.events, self.logs),
        ):
            pool = [*items, *rng.sample(items, len(items) // 3)]
            rng.shuffle(pool)
            while pool:
                size = rng.randint(1, 7)
                made.append((path, build(pool[:size]).SerializeToString()))
                pool = pool[size:]
        rng.shuffle(made)
        return made


def conversations(count: int = 6) -> Telemetry:
    """Conversations that touch every figure, the same ones each time, in a tenant of their own."""
    # By chance, and long: a body of which a byte was changed must not reach another test's.
    telemetry = Telemetry(f"sent-{uuid4().hex[:12]}")
    for c in range(count):
        name = f"conversation-{c}"
        for n in range(1 + c % 4):
            telemetry.turn(
                name, n,
                **{
                    sc.USAGE_INPUT_TOKENS: 10 + c, sc.USAGE_OUTPUT_TOKENS: n,
                    sc.COST_AMOUNT: 0.001 * (c + 1), sc.COST_SOURCE: "provider",
                    sc.INTENT_NAME: f"intent_{n}", sc.CONFIDENCE: 0.5 + c / 20,
                    sc.FALLBACK: c == 2, sc.CHANNEL: "web", sc.REQUEST_MODEL: "m",
                    sc.HANDOFF_TRIGGERED: c == 1 and n == 1, sc.HANDOFF_REASON: "asked",
                    sc.TIME_TO_FIRST_CHUNK: 0.1 * n,
                    sc.STATUS: sc.STATUS_ERROR if c == 3 and n == 3 else sc.STATUS_OK,
                },
            )  # fmt: skip
            intent = {sc.INTENT_NAME: f"intent_{n}", sc.CONFIDENCE: 0.9}
            telemetry.event(sc.EVENT_INTENT, name, n, uid=c % 2 == 0, **intent)
        telemetry.event(sc.EVENT_TOPIC, name, 0, uid=False, **{sc.TOPIC_NAME: f"topic-{c % 2}"})
        if c == 4:
            score = {sc.EVALUATION_NAME: "user_feedback", sc.EVALUATION_SCORE: 1.0}
            telemetry.event(sc.EVENT_EVALUATION, name, 1, **score)
        if c == 5:
            telemetry.event(sc.EVENT_CONVERSATION_END, name, 2, **{sc.OUTCOME: "resolved"})
    return telemetry
