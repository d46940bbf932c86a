"""What is checked of a body before the engine reads it: the engine is lenient where OTLP is not.

Each span or record is checked by itself. The engine gets what was checked and nothing else: every
message is written anew, without what OTLP does not know, and where a token limits the tenants the
tenant stands beside it, so that the engine never chooses one.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from otel_chat import semconv
from otel_chat._common.time_bounds import EARLIEST, LATEST
from otel_chat.errors import AccessError, IngestError
from otel_chat.server.ingest.nested import flatten, may_hold
from otel_chat.server.ingest.reading import ITEMS, LOGS, TRACES, Reader
from otel_chat.server.ingest.wire import framed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from opentelemetry.proto.common.v1.common_pb2 import KeyValue
    from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from otel_chat.server.access import IngestGrant
    from otel_chat.server.ingest.nested import flatten, may_hold
from otel_chat.server.ingest.reading import Item, Origin

Signal = Literal["traces", "logs"]

TRACE_ID_BYTES: Final = 16
SPAN_ID_BYTES: Final = 8
_NO_TRACE: Final = bytes(TRACE_ID_BYTES)
_NO_SPAN: Final = bytes(SPAN_ID_BYTES)
_KINDS: Final = 5
_CODES: Final = 2
_SEVERITIES: Final = 24
# `sender_tenant` of the messages in schema/otlp.proto.
_TENANT_FIELD: Final = 100
_EVENT_NAME: Final = "event.name"
_NO_EVENT: Final = "Only records with an event name are kept."
# The engine writes what a resource says beside each of its items.
_RESOURCE_BYTES: Final = 256 * 1024**2
_REASONS: Final = 3


@dataclass(frozen=True, slots=True)
class Batch:
    """What of a body may be stored.

    Args:
        signal: What it holds.
        bodies: Protobuf messages, each with the tenant of its sender where that is limited.
        items: Their spans or events.
        rejected: Its spans or records that are not kept.
        message: What to tell the sender of those, and of attributes that were left out.
    """

    signal: Signal
    bodies: tuple[bytes, ...]
    items: int
    rejected: int = 0
    message: str = ""


@dataclass(slots=True)
class Refusals:
    """What of a body is not kept, and why.

    Args:
        count: How many items are refused.
        elsewhere: How many are left to another store on purpose.
    """

    count: int = 0
    elsewhere: int = 0
    _reasons: list[str] = field(default_factory=list)
    _plain: Counter[str] = field(default_factory=Counter)
    _unreadable: bool = False

    def add(self, reason: str, *, unreadable: bool = False) -> None:
        """Notes an item that is faulty.

        Args:
            reason: Which, and why.
            unreadable: Whether not even its fields could be read.
        """
        self.count += 1
        self._unreadable = self._unreadable or unreadable
        self._reasons.append(reason)

    def pass_over(self, reason: str, items: int = 1, *, elsewhere: bool = False) -> None:
        """Notes sound items of a kind that is not kept, or is kept elsewhere."""
        if items:
            if elsewhere:
                self.elsewhere += items
            else:
                self.count += items
            self._plain[reason] += items

    def close(self, kept: int, reader: Reader) -> str:
        """What to tell the sender.

        Args:
            kept: How many items are stored.
            reader: Who read the body.

        Raises:
            IngestError: With status 400, where nothing is kept and something cannot be read at all.
        """
        told = "; ".join(self._reasons[:_REASONS])
        if more := len(self._reasons) - _REASONS:
            told += f"; and {more} more" if more > 0 else ""
        if self._unreadable and not kept and not self._plain:
            raise IngestError(f"{told}.")
        parts = [f"{told}."] if told else []
        if reader.lost:
            noun = "attribute was" if reader.lost == 1 else "attributes were"
            parts.append(
                f"{reader.lost} {noun} left out that cannot be read, the first of"
                f" {reader.first_lost}."
            )
        return " ".join((*parts, *self._plain))


def _of_tenant(tenant: str | None) -> bytes:
    """The field that says whose a message is, to stand last in it."""
    return b"" if tenant is None else framed(_TENANT_FIELD, tenant.encode())


class _Writer:
    """Writes what was checked, for each tenant a message of its own."""

    def __init__(self) -> None:
        self.items = 0
        self._tenants: dict[str | None, dict[Origin, list[bytes]]] = {}
        self._repeated = 0

    def add(self, tenant: str | None, item: Item) -> None:
        origin, message = item.origin, item.message
        if not origin.written:
            origin.resource.DiscardUnknownFields()
            origin.written = origin.resource.SerializeToString()
        self._repeated += len(origin.written)
        if self._repeated > _RESOURCE_BYTES:
            text = "What the resources say is too much to stand beside each of their items:"
            raise IngestError(f"{text} send fewer at once.", status=413)
        # What OTLP does not know, or not of this type, the engine might read all the same.
        message.DiscardUnknownFields()
        written = message.SerializeToString()
        if may_hold(written):
            flatten(message)
            written = message.SerializeToString()
        self._tenants.setdefault(tenant, {}).setdefault(origin, []).append(framed(2, written))
        self.items += 1

    def bodies(self) -> tuple[bytes, ...]:
        """The messages, in which the tenant stands last."""
        return tuple(
            b"".join(self._groups(origins)) + _of_tenant(tenant)
            for tenant, origins in self._tenants.items()
        )

    @staticmethod
    def _groups(origins: dict[Origin, list[bytes]]) -> Iterable[bytes]:
        for origin, held in origins.items():
            scope = framed(1, framed(1, origin.scope.encode()))
            resource = framed(1, origin.written)
            yield framed(1, resource + framed(2, scope + b"".join(held)))


def named_tenant(attributes: Iterable[KeyValue]) -> str | None:
    """The tenant that attributes name.

    Raises:
        AccessError: With status 403, if it is no text, or there are several: which of them counts
            must not be a matter of who reads them.
    """
    named = [one.value for one in attributes if one.key == semconv.TENANT]
    if not named:
        return None
    if len(named) > 1 or named[0].WhichOneof("value") not in ("string_value", None):
        raise AccessError("The tenant is one attribute, and a text.", status=403)
    return named[0].string_value or None


def tenant_of(grant: IngestGrant, item: Item) -> str | None:
    """The tenant to store an item under; `None` where the telemetry chooses freely.

    Raises:
        IngestError: With status 403, if it names none, or one outside the grant, where it must
            choose. That is no accident of one item: nothing of such a body is stored.
    """
    if grant.tenants is None or grant.fixed is not None:
        return grant.fixed
    try:
        of_resource = named_tenant(item.origin.resource.attributes)
        return grant.tenant_for(_own_tenant(item) or of_resource)
    except AccessError as error:
        raise IngestError(f"{item.path}: {semconv.TENANT}: {error}", status=403) from error


def _own_tenant(item: Item) -> str | None:
    """The tenant that an item names itself; metrics name it in their resource alone."""
    return named_tenant(getattr(item.message, "attributes", ()))


def _span_fault(span: Span) -> str | None:  # noqa: PLR0911 - one return a field
    """What is wrong with a span, as `field: reason`."""
    start, end = span.start_time_unix_nano, span.end_time_unix_nano
    trace_id, span_id = span.trace_id, span.span_id
    if len(trace_id) != TRACE_ID_BYTES or trace_id == _NO_TRACE:
        return f"trace_id: {TRACE_ID_BYTES} bytes, not all zero, are needed"
    if len(span_id) != SPAN_ID_BYTES or span_id == _NO_SPAN:
        return f"span_id: {SPAN_ID_BYTES} bytes, not all zero, are needed"
    if len(span.parent_span_id) not in (0, SPAN_ID_BYTES):
        return f"parent_span_id: {SPAN_ID_BYTES} bytes or none are needed"
    if not EARLIEST <= start <= LATEST:
        return "start_time_unix_nano: a time from 2000 to 2100 in nanoseconds is needed"
    if not EARLIEST <= end <= LATEST:
        return "end_time_unix_nano: a time from 2000 to 2100 in nanoseconds is needed"
    if not 0 <= span.kind <= _KINDS:
        return f"kind: a number from 0 to {_KINDS} is needed"
    if not 0 <= span.status.code <= _CODES:
        return f"status.code: a number from 0 to {_CODES} is needed"
    if end < start:
        # The clock was set back meanwhile; how long it took nobody knows.
        span.end_time_unix_nano = start
        span.attributes.add(key=semconv.CLOCK_ADJUSTED).value.bool_value = True
    return None


def _record_fault(record: LogRecord) -> str | None:
    """What is wrong with a log record, as `field: reason`, or that it is no event."""
    if not _is_event(record):
        return _NO_EVENT
    if not record.time_unix_nano:
        # As OTLP says of a time that is unknown; one that arrives is observed at the latest here.
        record.time_unix_nano = record.observed_time_unix_nano or time.time_ns()
    if not EARLIEST <= record.time_unix_nano <= LATEST:
        return "time_unix_nano: a time from 2000 to 2100 in nanoseconds is needed, or none"
    if len(record.trace_id) not in (0, TRACE_ID_BYTES):
        return f"trace_id: {TRACE_ID_BYTES} bytes or none are needed"
    if len(record.span_id) not in (0, SPAN_ID_BYTES):
        return f"span_id: {SPAN_ID_BYTES} bytes or none are needed"
    if not 0 <= record.severity_number <= _SEVERITIES:
        return f"severity_number: a number from 0 to {_SEVERITIES} is needed"
    return None


def _whole(
    signal: Signal, reader: Reader, grant: IngestGrant, fault_of: Callable[[Any], str | None]
) -> Batch | None:
    """The body in one piece, if all of it may be stored under one rule for its tenant.

    None where something is to be refused, told or sorted by tenants: then item by item.
    """
    if (grant.tenants is not None and grant.fixed is None) or (request := reader.whole()) is None:
        return None
    shape = reader.shape
    steps = items = repeated = 0
    nested = may_hold(reader.body)
    for group in getattr(request, shape.groups):
        said = group.resource.ByteSize()
        for scoped in getattr(group, shape.scopes):
            held = getattr(scoped, shape.items)
            if any(map(fault_of, held)):
                return None
            for item in held if nested else ():
                flatten(item)
            items += len(held)
            repeated += said * len(held)
            steps += 1
        steps += 1
    if not items or steps + items > ITEMS or repeated > _RESOURCE_BYTES:
        return None
    # What OTLP does not know, or not of this type, the engine might read all the same.
    request.DiscardUnknownFields()
    return Batch(signal, (request.SerializeToString() + _of_tenant(grant.fixed),), items)


def _check(
    signal: Signal, reader: Reader, grant: IngestGrant, fault_of: Callable[[Any], str | None]
) -> Batch:
    if batch := _whole(signal, reader, grant, fault_of):
        return batch
    writer, refused = _Writer(), Refusals()
    for item in reader.read():
        if item.message is None:
            refused.add(item.fault, unreadable=True)
        elif (fault := fault_of(item.message)) == _NO_EVENT:
            refused.pass_over(_NO_EVENT)
        elif fault:
            refused.add(f"{item.path}.{fault}")
        else:
            writer.add(tenant_of(grant, item), item)
    message = refused.close(writer.items, reader)
    return Batch(signal, writer.bodies(), writer.items, refused.count, message)


def check_traces(body: bytes, kind: str, grant: IngestGrant) -> Batch:
    """Checks a body of spans; those that end before they start end when they start, and say so.

    Args:
        body: The bytes, unpacked.
        kind: The content type.
        grant: The tenants that the sender may write.

    Raises:
        IngestError: With status 400 if nothing can be read, 403 for a tenant outside the grant,
            413 if there is too much; names the field.
    """
    return _check("traces", Reader(body, kind, TRACES), grant, _span_fault)


def _is_event(record: LogRecord) -> bool:
    return bool(record.event_name) or any(
        attribute.key == _EVENT_NAME and attribute.value.string_value
        for attribute in record.attributes
    )


def check_logs(body: bytes, kind: str, grant: IngestGrant) -> Batch:
    """Checks a body of log records, of which those with an event name are kept.

    One without a time has that of its observation, else that of its arrival.

    Args:
        body: The bytes, unpacked.
        kind: The content type.
        grant: The tenants that the sender may write.

    Raises:
        IngestError: As `check_traces` does.
    """
    return _check("logs", Reader(body, kind, LOGS), grant, _record_fault)
