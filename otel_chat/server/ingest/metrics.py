"""The few metrics that the store keeps: the application's own state and its telemetry's losses."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.proto.metrics.v1.metrics_pb2 import DataPointFlags

from otel_chat import semconv
from otel_chat._common.time_bounds import EARLIEST, LATEST
from otel_chat.server.ingest.check import Refusals, tenant_of
from otel_chat.server.ingest.reading import METRICS, Reader

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

    from otel_chat.server.access import IngestGrant
    from otel_chat.server.ingest.reading import Item

KEPT: Final = ("process.", "otel_chat.telemetry.")
NO_VALUE: Final = DataPointFlags.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK
# What a row takes in memory, in attributes.
_OF_A_ROW: Final = 10
TOLD: Final = "Only process.* and otel_chat.telemetry.* are kept; send the others to Prometheus."


@dataclass(slots=True)
class Metrics:
    """What a body of metrics comes to.

    Args:
        rows: Rows of the table `metrics`.
        items: Data points that are kept.
        rejected: Data points that are not.
        elsewhere: Those of metrics that are left to Prometheus on purpose.
        message: What to tell the sender of those.
    """

    rows: list[dict[str, object]] = field(default_factory=list)
    items: int = 0
    rejected: int = 0
    elsewhere: int = 0
    message: str = ""


def _text(value: AnyValue) -> str:
    kind = value.WhichOneof("value")
    if kind is None:
        return ""
    raw = getattr(value, kind)
    if isinstance(raw, bool):
        return "true" if raw else "false"
    return str(raw)


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, str]:
    return dict(sorted((pair.key, _text(pair.value)) for pair in pairs))


def _moment(nanoseconds: int) -> datetime:
    return datetime.fromtimestamp(nanoseconds / 1e9, tz=UTC)


def _values(kind: str, name: str, point: Any) -> Iterator[tuple[str, float]]:
    if point.flags & NO_VALUE:
        return
    if kind in ("gauge", "sum"):
        if which := point.WhichOneof("value"):
            yield name, float(getattr(point, which))
        return
    if kind == "summary" or point.HasField("sum"):
        yield f"{name}.sum", float(point.sum)
    yield f"{name}.count", float(point.count)


def _points(metric: Metric) -> tuple[str, list[Any]]:
    kind = metric.WhichOneof("data") or "gauge"
    return kind, list(getattr(metric, kind).data_points)


def read_metrics(body: bytes, kind: str, grant: IngestGrant) -> Metrics:
    """Reads a body of metrics.

    Args:
        body: The bytes, unpacked.
        kind: The content type.
        grant: The tenants that the sender may write.

    Raises:
        IngestError: With status 400 if nothing can be read, 403 for a tenant outside the grant,
            413 if there is too much; names the field.
    """
    reader = Reader(body, kind, METRICS)
    found, refused = Metrics(), Refusals()
    for item in reader.read():
        if item.message is None:
            refused.add(item.fault, unreadable=True)
            continue
        shape, points = _points(item.message)
        if not item.message.name.startswith(KEPT):
            refused.pass_over(TOLD, len(points), elsewhere=True)
            continue
        common = _common(item, shape, grant)
        for n, point in enumerate(points):
            reader.count(_OF_A_ROW + len(point.attributes))
            if not EARLIEST <= point.time_unix_nano <= LATEST:
                place = f"{item.path}.{shape}.data_points[{n}].time_unix_nano"
                refused.add(f"{place}: a time from 2000 to 2100 in nanoseconds is needed")
                continue
            found.rows += _rows(item.message.name, shape, point, common)
            found.items += 1
    found.message = refused.close(found.items, reader)
    found.rejected, found.elsewhere = refused.count, refused.elsewhere
    return found


def _common(item: Item, shape: str, grant: IngestGrant) -> dict[str, object]:
    resource = _attributes(item.origin.resource.attributes)
    return {
        "tenant": tenant_of(grant, item) or grant.tenant_for(resource.get(semconv.TENANT)),
        "kind": shape,
        "unit": item.message.unit,
        "service_name": resource.get("service.name", ""),
        "instance_id": resource.get("service.instance.id", ""),
    }


def _rows(
    name: str, shape: str, point: Any, common: dict[str, object]
) -> Iterator[dict[str, object]]:
    start = point.start_time_unix_nano
    attributes = _attributes(point.attributes)
    for row_name, value in _values(shape, name, point):
        yield {
            **common,
            "name": row_name,
            "time": _moment(point.time_unix_nano),
            "start": _moment(start if EARLIEST <= start <= LATEST else point.time_unix_nano),
            "attributes": attributes,
            "value": value,
        }
