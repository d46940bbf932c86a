"""Events that are told without OpenTelemetry: the log record that a library would have sent."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from otel_chat import semconv as sc
from otel_chat._common.moments import nanoseconds
from otel_chat.errors import IngestError
from otel_chat.server.ingest.bodies import PROTOBUF
from otel_chat.server.ingest.check import check_logs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.proto.common.v1.common_pb2 import KeyValue
    from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

    from otel_chat.server.access import IngestGrant
    from otel_chat.server.ingest.check import Batch

Value = str | float
EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2100, 1, 1, tzinfo=UTC)


def new_id() -> str:
    """An id for an event that came without one."""
    return uuid4().hex


def _put(item: KeyValue, key: str, value: Value) -> None:
    item.key = key
    if isinstance(value, str):
        item.value.string_value = value
    else:
        item.value.double_value = value


def event_batch(
    name: str,
    attributes: Mapping[str, Value | None],
    *,
    uid: str,
    time: datetime,
    grant: IngestGrant,
    tenant: str,
    turn: tuple[str, str] | None = None,
) -> Batch:
    """One event, checked like any that is sent as telemetry.

    Args:
        name: Of the events in `otel_chat.semconv`.
        attributes: Its attributes; those that are `None` are left out.
        uid: What makes a second delivery known as such, together with the time.
        time: When it was.
        grant: The tenants that the sender may write.
        tenant: The one to write, of the grant.
        turn: Trace id and span id of the turn it is about, in hexadecimal.

    Raises:
        IngestError: If it cannot be taken.
    """
    request = ExportLogsServiceRequest()
    part = request.resource_logs.add()
    _put(part.resource.attributes.add(), sc.TENANT, tenant)
    record: LogRecord = part.scope_logs.add().log_records.add()
    record.time_unix_nano = nanoseconds(time)
    record.event_name = name
    if turn is not None:
        record.trace_id, record.span_id = map(bytes.fromhex, turn)
    for key, value in {**attributes, sc.EVENT_UID: uid}.items():
        if value is not None:
            _put(record.attributes.add(), key, value)
    batch = check_logs(request.SerializeToString(), PROTOBUF, grant)
    if batch.rejected:
        raise IngestError(batch.message)
    return batch
