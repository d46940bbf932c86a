"""Turns and events as the bodies tell them: each once, however often it was sent."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_chat import semconv as sc

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opentelemetry.proto.common.v1.common_pb2 import KeyValue

Attributes = dict[str, Any]
BILLIONTH: Final = Decimal("1e-9")
HANDOFFS: Final = (
    sc.EVENT_HANDOFF_REQUESTED,
    sc.EVENT_HANDOFF_ACCEPTED,
    sc.EVENT_HANDOFF_ENDED,
)
WORKFLOWS: Final = (
    sc.EVENT_WORKFLOW_STARTED,
    sc.EVENT_WORKFLOW_COMPLETED,
    sc.EVENT_WORKFLOW_FAILED,
)


@dataclass(frozen=True)
class Turn:
    """A marked turn."""

    tenant: str
    environment: str
    trace: bytes
    span: bytes
    start: int
    end: int
    told: Attributes

    @property
    def order(self) -> tuple[int, bytes, bytes]:
        """Its place among all turns."""
        return (self.start, self.trace, self.span)

    @property
    def conversation(self) -> str:
        """The id of its conversation."""
        return str(self.told[sc.CONVERSATION_ID])

    def text(self, name: str) -> str:
        """An attribute, empty without."""
        return str(self.told.get(name, ""))

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (self.end - self.start) / 1e9

    @property
    def model(self) -> str:
        """The model that answered, else the one asked for."""
        return self.text(sc.RESPONSE_MODEL) or self.text(sc.REQUEST_MODEL)

    @property
    def status(self) -> str:
        """ok, error or cancelled."""
        return self.text(sc.STATUS)

    @property
    def first_chunk(self) -> float | None:
        """Seconds to the first part of a streamed reply."""
        return self.told.get(sc.TIME_TO_FIRST_CHUNK)

    @property
    def without_reply(self) -> bool:
        """Whether it ended well with nothing to say."""
        return self.status == sc.STATUS_OK and self.told.get(sc.REPLY) is False

    @property
    def replied(self) -> bool:
        """Whether any reply came, whole or not."""
        if self.status == sc.STATUS_OK:
            return not self.without_reply
        return self.first_chunk is not None

    @property
    def answered(self) -> bool:
        """Whether its time is a response time."""
        return self.replied and self.status != sc.STATUS_ERROR

    @property
    def confidence(self) -> float | None:
        """How sure it was, where known."""
        return self.told.get(sc.CONFIDENCE)

    @property
    def unsure(self) -> bool:
        """Whether it lies below the threshold."""
        return self.confidence is not None and self.confidence < sc.LOW_CONFIDENCE_THRESHOLD

    @property
    def fallback(self) -> bool:
        """Whether no intent matched."""
        return self.told.get(sc.FALLBACK) is True

    @property
    def handoff(self) -> bool:
        """Whether it asked for a human."""
        return self.told.get(sc.HANDOFF_TRIGGERED) is True

    @property
    def tokens(self) -> tuple[int | None, int | None]:
        """Input and output."""
        return (self.told.get(sc.USAGE_INPUT_TOKENS), self.told.get(sc.USAGE_OUTPUT_TOKENS))

    @property
    def cost(self) -> Decimal | None:
        """In billionths of a dollar, rounded half even."""
        amount = self.told.get(sc.COST_AMOUNT)
        return None if amount is None else Decimal(str(amount)).quantize(BILLIONTH, ROUND_HALF_EVEN)

    @property
    def unpriced(self) -> bool:
        """Whether it used a model without a known price."""
        used = self.told.get(sc.COST_SOURCE) == "unpriced" or self.tokens != (None, None)
        return self.cost is None and used


@dataclass(frozen=True)
class Event:
    """A log record with the name of an event."""

    tenant: str
    name: str
    time: int
    uid: str
    trace: bytes
    span: bytes
    told: Attributes

    @property
    def order(self) -> tuple[int, str]:
        """Its place among all events."""
        return (self.time, self.uid)

    def text(self, name: str) -> str:
        """An attribute, empty without."""
        return str(self.told.get(name, ""))

    @property
    def score(self) -> float | None:
        """Of a rating, 0 to 1: as told, else by its scale."""
        told = self.told.get(sc.EVALUATION_SCORE)
        if told is not None:
            return float(told)
        low, high = self.scale
        return (self.value - low) / (high - low)

    @property
    def value(self) -> float:
        """Of a rating, on its scale."""
        return float(self.told[sc.FEEDBACK_VALUE])

    @property
    def scale(self) -> tuple[float, float]:
        """Of a rating."""
        return (self.told[sc.FEEDBACK_SCALE_MIN], self.told[sc.FEEDBACK_SCALE_MAX])

    @property
    def box(self) -> str:
        """Of a rating: top, bottom or between."""
        low, high = self.scale
        if 4 <= high - low + 1 <= 11:
            top, bottom = self.value >= high - 1, self.value <= low + 1
        else:
            top, bottom = (self.score or 0) >= 0.75, (self.score or 0) <= 0.25
        return "top" if top else "bottom" if bottom else "between"


@dataclass(frozen=True)
class Facts:
    """All turns and events, in order."""

    turns: tuple[Turn, ...]
    events: tuple[Event, ...]


def read(sent: Iterable[tuple[str, bytes]]) -> Facts:
    """The facts that bodies tell, but what is synthetic: it is in no figure.

    Args:
        sent: Paths (`traces`, `logs`) and bodies, in any order, any of them twice.
    """
    turns: dict[tuple[str, bytes, bytes], Turn] = {}
    events: dict[tuple[str, str], Event] = {}
    for path, body in sent:
        if path == "traces":
            for turn in _turns(ExportTraceServiceRequest.FromString(body)):
                if sc.SYNTHETIC not in turn.told:
                    turns[turn.tenant, turn.trace, turn.span] = turn
        else:
            for event in _events(ExportLogsServiceRequest.FromString(body)):
                if sc.SYNTHETIC not in event.told:
                    events[event.tenant, event.uid] = event
    return Facts(
        tuple(sorted(turns.values(), key=lambda one: one.order)),
        tuple(sorted(events.values(), key=lambda one: one.order)),
    )


def _turns(request: ExportTraceServiceRequest) -> Iterable[Turn]:
    for part in request.resource_spans:
        resource = _plain(part.resource.attributes)
        for scope in part.scope_spans:
            for span in scope.spans:
                told = _plain(span.attributes)
                if told.get(sc.TURN_ROOT) is True:
                    yield Turn(
                        resource[sc.TENANT], resource["deployment.environment.name"],
                        span.trace_id, span.span_id, span.start_time_unix_nano,
                        span.end_time_unix_nano, told,
                    )  # fmt: skip


def _events(request: ExportLogsServiceRequest) -> Iterable[Event]:
    for part in request.resource_logs:
        tenant = _plain(part.resource.attributes)[sc.TENANT]
        for scope in part.scope_logs:
            for record in scope.log_records:
                told = _plain(record.attributes)
                yield Event(
                    tenant, record.event_name, record.time_unix_nano, told[sc.EVENT_UID],
                    record.trace_id, record.span_id, told,
                )  # fmt: skip


def _plain(attributes: Iterable[KeyValue]) -> Attributes:
    return {one.key: getattr(one.value, str(one.value.WhichOneof("value"))) for one in attributes}
