"""The few metrics that the store keeps: the application's own state and its telemetry's losses."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import DataPointFlags

from otel_chat import semconv
from otel_chat.errors import AccessError, IngestError
from otel_chat.server.ingest.check import parse
from otel_chat.times import EARLIEST, LATEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

    from otel_chat.server.access import IngestGrant

KEPT: Final = ("process.", "otel_chat.telemetry.")
NO_VALUE: Final = DataPointFlags.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK
TOLD: Final = "Only process.* and otel_chat.telemetry.* are kept; send the others to Prometheus."


@dataclass(slots=True)
class Metrics:
    """What a body of metrics comes to.

    Args:
        rows: Rows of the table `metrics`.
        items: Data points that are kept.
        rejected: Data points that are not.
    """

    rows: list[dict[str, object]] = field(default_factory=list)
    items: int = 0
    rejected: int = 0

    @property
    def message(self) -> str:
        """What to tell the sender of what is not kept."""
        return TOLD if self.rejected else ""


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
        IngestError: With status 400 if anything is malformed, 403 for a tenant outside the grant;
            names the field.
    """
    request = parse(body, kind, ExportMetricsServiceRequest())
    found = Metrics()
    for i, part in enumerate(request.resource_metrics):
        resource = _attributes(part.resource.attributes)
        for j, scoped in enumerate(part.scope_metrics):
            for k, metric in enumerate(scoped.metrics):
                shape, points = _points(metric)
                if not metric.name.startswith(KEPT):
                    found.rejected += len(points)
                    continue
                path = f"resource_metrics[{i}].scope_metrics[{j}].metrics[{k}]"
                common = _common(metric, shape, resource, grant, path)
                for n, point in enumerate(points):
                    where = f"{path}.{shape}.data_points[{n}]"
                    found.rows += _rows(metric.name, shape, point, common, where)
                found.items += len(points)
    return found


def _common(
    metric: Metric, shape: str, resource: dict[str, str], grant: IngestGrant, path: str
) -> dict[str, object]:
    fixed = grant.fixed
    try:
        tenant = fixed or grant.tenant_for(resource.get(semconv.TENANT))
    except AccessError as error:
        raise IngestError(f"{path}: {semconv.TENANT}: {error}", status=403) from error
    return {
        "tenant": tenant,
        "kind": shape,
        "unit": metric.unit,
        "service_name": resource.get("service.name", ""),
        "instance_id": resource.get("service.instance.id", ""),
    }


def _rows(
    name: str, shape: str, point: Any, common: dict[str, object], path: str
) -> Iterator[dict[str, object]]:
    if not EARLIEST <= point.time_unix_nano <= LATEST:
        message = f"{path}.time_unix_nano: a time from 2000 to 2100 in nanoseconds is needed."
        raise IngestError(message)
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
