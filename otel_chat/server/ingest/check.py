"""What is checked of a body before the engine reads it: the engine is lenient where OTLP is not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_chat import semconv
from otel_chat.errors import AccessError, IngestError
from otel_chat.server.ingest.bodies import JSON
from otel_chat.server.ingest.otlp_json import parse_json
from otel_chat.times import EARLIEST, LATEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from opentelemetry.proto.common.v1.common_pb2 import KeyValue
    from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
    from opentelemetry.proto.resource.v1.resource_pb2 import Resource
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from otel_chat.server.access import IngestGrant

Signal = Literal["traces", "logs"]
M = TypeVar("M", bound=Message)

TRACE_ID_BYTES: Final = 16
SPAN_ID_BYTES: Final = 8
_KINDS: Final = 5
_CODES: Final = 2
_SEVERITIES: Final = 24
# Field 100, length-delimited: `sender_tenant` of the messages in schema/otlp.proto.
_TENANT_TAG: Final = b"\xa2\x06"
_TENANT_BYTES: Final = 127
_EVENT_NAME: Final = "event.name"


@dataclass(frozen=True, slots=True)
class Batch:
    """A body that may be stored.

    Args:
        signal: What it holds.
        body: The protobuf message, with the tenant of its sender where that is fixed.
        items: Its spans or events.
        rejected: Its records that are no events and are not kept.
        message: What to tell the sender of those.
    """

    signal: Signal
    body: bytes
    items: int
    rejected: int = 0
    message: str = ""


def parse(body: bytes, kind: str, message: M) -> M:
    """Reads a body into the message that OTLP defines for it.

    Args:
        body: The bytes, unpacked.
        kind: The content type.
        message: The empty message to fill.

    Raises:
        IngestError: If it cannot be read.
    """
    if kind == JSON:
        return parse_json(body, message)
    try:
        message.ParseFromString(body)
    except (DecodeError, RecursionError) as error:
        raise IngestError(f"The body is no {message.DESCRIPTOR.name}: {error}.") from error
    return message


def _wire(message: Message, tenant: str | None) -> bytes:
    if len(UnknownFieldSet(message)):
        # What OTLP does not know could pose as the tenant that is appended below.
        message.DiscardUnknownFields()
    # Written anew: a field that stands twice is read in another way by the engine than it was here.
    body = message.SerializeToString()
    if tenant is None:
        return body
    encoded = tenant.encode()
    if len(encoded) > _TENANT_BYTES:
        raise IngestError(f"The token's tenant has more than {_TENANT_BYTES} bytes.", status=403)
    return body + _TENANT_TAG + bytes([len(encoded)]) + encoded


def _named_tenant(attributes: Iterable[KeyValue]) -> str | None:
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


def _check_tenants(grant: IngestGrant, items: Iterable[tuple[str, Any, Resource]]) -> None:
    """Refuses telemetry that names no tenant, or one outside the grant, where it must choose."""
    if grant.tenants is None or grant.fixed is not None:
        return
    for path, item, resource in items:
        try:
            of_resource = _named_tenant(resource.attributes)
            grant.tenant_for(_named_tenant(item.attributes) or of_resource)
        except AccessError as error:
            raise IngestError(f"{path}: {semconv.TENANT}: {error}", status=403) from error


def _spans(request: ExportTraceServiceRequest) -> Iterator[tuple[str, Span, Resource]]:
    for i, part in enumerate(request.resource_spans):
        for j, scoped in enumerate(part.scope_spans):
            for k, span in enumerate(scoped.spans):
                yield f"resource_spans[{i}].scope_spans[{j}].spans[{k}]", span, part.resource


def _records(request: ExportLogsServiceRequest) -> Iterator[tuple[str, LogRecord, Resource]]:
    for i, part in enumerate(request.resource_logs):
        for j, scoped in enumerate(part.scope_logs):
            for k, record in enumerate(scoped.log_records):
                yield f"resource_logs[{i}].scope_logs[{j}].log_records[{k}]", record, part.resource


def _span_fault(span: Span) -> str | None:  # noqa: PLR0911 - one return a field
    """What is wrong with a span, as `field: reason`."""
    start, end = span.start_time_unix_nano, span.end_time_unix_nano
    if len(span.trace_id) != TRACE_ID_BYTES or not any(span.trace_id):
        return f"trace_id: {TRACE_ID_BYTES} bytes, not all zero, are needed"
    if len(span.span_id) != SPAN_ID_BYTES or not any(span.span_id):
        return f"span_id: {SPAN_ID_BYTES} bytes, not all zero, are needed"
    if len(span.parent_span_id) not in (0, SPAN_ID_BYTES):
        return f"parent_span_id: {SPAN_ID_BYTES} bytes or none are needed"
    if not EARLIEST <= start <= LATEST:
        return "start_time_unix_nano: a time from 2000 to 2100 in nanoseconds is needed"
    if not start <= end <= LATEST:
        return "end_time_unix_nano: a time from the start to 2100 in nanoseconds is needed"
    if not 0 <= span.kind <= _KINDS:
        return f"kind: a number from 0 to {_KINDS} is needed"
    if not 0 <= span.status.code <= _CODES:
        return f"status.code: a number from 0 to {_CODES} is needed"
    return None


def _record_fault(record: LogRecord) -> str | None:
    """What is wrong with a log record, as `field: reason`."""
    time = record.time_unix_nano or record.observed_time_unix_nano
    if not EARLIEST <= time <= LATEST:
        return "time_unix_nano: a time from 2000 to 2100 in nanoseconds is needed"
    if len(record.trace_id) not in (0, TRACE_ID_BYTES):
        return f"trace_id: {TRACE_ID_BYTES} bytes or none are needed"
    if len(record.span_id) not in (0, SPAN_ID_BYTES):
        return f"span_id: {SPAN_ID_BYTES} bytes or none are needed"
    if not 0 <= record.severity_number <= _SEVERITIES:
        return f"severity_number: a number from 0 to {_SEVERITIES} is needed"
    return None


def check_traces(body: bytes, kind: str, grant: IngestGrant) -> Batch:
    """Checks a body of spans.

    Args:
        body: The bytes, unpacked.
        kind: The content type.
        grant: The tenants that the sender may write.

    Raises:
        IngestError: With status 400 if anything is malformed, 403 for a tenant outside the grant;
            names the field.
    """
    request = parse(body, kind, ExportTraceServiceRequest())
    count = 0
    for i, part in enumerate(request.resource_spans):
        for j, scoped in enumerate(part.scope_spans):
            for k, span in enumerate(scoped.spans):
                if fault := _span_fault(span):
                    raise IngestError(f"resource_spans[{i}].scope_spans[{j}].spans[{k}].{fault}.")
            count += len(scoped.spans)
    _check_tenants(grant, _spans(request))
    return Batch("traces", _wire(request, grant.fixed), count)


def _is_event(record: LogRecord) -> bool:
    return bool(record.event_name) or any(
        attribute.key == _EVENT_NAME and attribute.value.string_value
        for attribute in record.attributes
    )


def check_logs(body: bytes, kind: str, grant: IngestGrant) -> Batch:
    """Checks a body of log records, of which those with an event name are kept.

    Args:
        body: The bytes, unpacked.
        kind: The content type.
        grant: The tenants that the sender may write.

    Raises:
        IngestError: With status 400 if anything is malformed, 403 for a tenant outside the grant;
            names the field.
    """
    request = parse(body, kind, ExportLogsServiceRequest())
    events = plain = 0
    for path, record, _ in _records(request):
        if fault := _record_fault(record):
            raise IngestError(f"{path}.{fault}.")
        if _is_event(record):
            events += 1
        else:
            plain += 1
    _check_tenants(grant, _records(request))
    told = "Only records with an event name are kept." if plain else ""
    return Batch("logs", _wire(request, grant.fixed), events, plain, told)
