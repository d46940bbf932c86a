"""What leaves of a span, a log record, a metric: only what OTLP can carry and privacy allows.

Nothing is changed in place: the application's own exporters see what they saw before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from otel_chat import semconv as sc
from otel_chat._common import otlp_values, sizes
from otel_chat._sdk import content_attributes
from otel_chat._sdk.content_attributes import OURS, Redact, clean
from otel_chat._telemetry.runtime import installed

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricsData

OWN_TEXTS: Final = frozenset(
    {
        sc.INPUT_MESSAGES, sc.OUTPUT_MESSAGES, sc.EVALUATION_EXPLANATION, sc.EXCEPTION_MESSAGE,
        sc.EXCEPTION_STACKTRACE, sc.MESSAGE_TEXT, sc.ENTITY_VALUE,
    }
)  # fmt: skip
"""Redacted already where we made them."""


class _Copy:
    """An object with some of its fields replaced."""

    def __init__(self, original: object, **fields: object) -> None:
        self.__dict__.update(fields)
        self._original = original

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)


def span_of(span: Any) -> Any:
    """The span as it may and can leave."""
    redact = _redact()
    scope = span.instrumentation_scope
    parts = (*span.events, *span.links)
    status = _status(span.status, redact)
    attributes, told, *others = sizes.fit(
        [
            _attributes(span.attributes, redact, scope),
            {"": status.description} if status is not None else {},
            *(_attributes(part.attributes, redact) for part in parts),
        ]
    )
    copies = [_Copy(part, attributes=found) for part, found in zip(parts, others, strict=True)]
    return _Copy(
        span,
        name=content_attributes.name(otlp_values.text(str(span.name))),
        attributes=attributes,
        events=[_Copy(e, name=otlp_values.text(str(e.name))) for e in copies[: len(span.events)]],
        links=copies[len(span.events) :],
        status=status if status is None else _Copy(status, description=told[""]),
        resource=_resource(span.resource),
        instrumentation_scope=_scope(scope),
    )


def log_of(item: Any) -> Any:
    """The log record, with what surrounds it, as it may and can leave."""
    redact = _redact()
    record, scope = item.log_record, item.instrumentation_scope
    body = otlp_values.value(record.body)
    if body is not None and (scope is None or scope.name != OURS):
        body = None if redact is None else otlp_values.value(redact(body))
    attributes, whole = sizes.fit([_attributes(record.attributes, redact, scope), {"": body}])
    inner = _Copy(
        record,
        body=whole[""],
        attributes=attributes,
        severity_text=_text(record.severity_text),
        event_name=_text(record.event_name),
    )
    return _Copy(
        item,
        log_record=inner,
        resource=_resource(item.resource),
        instrumentation_scope=_scope(scope),
    )


def metrics_of(data: MetricsData) -> MetricsData:
    """Metrics as they may and can leave: their attributes hold no content, captured or not."""
    return replace(
        data,
        resource_metrics=[
            replace(
                of_resource,
                resource=_resource(of_resource.resource),
                scope_metrics=[
                    replace(
                        of_scope,
                        scope=_scope(of_scope.scope),
                        metrics=[_metric(metric) for metric in of_scope.metrics],
                    )
                    for of_scope in of_resource.scope_metrics
                ],
            )
            for of_resource in data.resource_metrics
        ],
    )


def _metric(metric: Any) -> Any:
    points: dict[str, Any] = {}
    latest = type(metric.data).__name__ == "Gauge"
    for point in map(_point, metric.data.data_points):
        # What is cut may have been all that told two apart
        key = str(sorted(point.attributes.items())) if point.attributes else ""
        known = None if latest else points.get(key)
        points[key] = point if known is None else _sum(known, point)
    return replace(
        metric,
        name=otlp_values.text(metric.name),
        description=_text(metric.description),
        unit=_text(metric.unit),
        data=replace(metric.data, data_points=[*points.values()]),
    )


def _point(point: Any) -> Any:
    fields: dict[str, Any] = {}
    given = dict(point.attributes or {})
    attributes = _attributes(given, None)
    if attributes != given:
        fields["attributes"] = attributes
    if point.exemplars:
        fields["exemplars"] = [
            replace(e, filtered_attributes=_attributes(e.filtered_attributes, None))
            for e in point.exemplars
        ]
    value = getattr(point, "value", None)
    if isinstance(value, int) and isinstance(otlp_values.number(value), str):
        fields["value"] = float(value)
    return replace(point, **fields) if fields else point


def _sum(one: Any, other: Any) -> Any:
    """Two points of what adds up as one. Buckets that differ do not add up: the fuller stays."""
    exemplars = [*one.exemplars, *other.exemplars]
    if hasattr(one, "value"):
        return replace(one, value=one.value + other.value, exemplars=exemplars)
    if getattr(one, "explicit_bounds", None) != getattr(other, "explicit_bounds", ()):
        return max(one, other, key=lambda point: point.count)
    return replace(
        one,
        count=one.count + other.count,
        sum=one.sum + other.sum,
        bucket_counts=[a + b for a, b in zip(one.bucket_counts, other.bucket_counts, strict=True)],
        min=min(one.min, other.min),
        max=max(one.max, other.max),
        exemplars=exemplars,
    )


def _redact() -> Redact | None:
    """Redacts content where it is captured; None where it stays at home."""
    runtime = installed()
    if runtime is None or not runtime.config.capture_content:
        return None
    return runtime.redact_data


def _attributes(given: object, redact: Redact | None, scope: Any = None) -> Mapping[str, Any]:
    found = otlp_values.attributes(given)
    if redact is None or scope is None or scope.name != OURS:
        return clean(found, redact)
    own = {key: value for key, value in found.items() if key in OWN_TEXTS}
    return {**clean({k: v for k, v in found.items() if k not in own}, redact), **own}


def _status(status: Any, redact: Redact | None) -> Any:
    """Its description is an exception's message wherever the SDK writes it."""
    if status is None or not status.description:
        return status
    description = None if redact is None else otlp_values.text(str(redact(status.description)))
    return _Copy(status, description=description)


def _text(value: object) -> Any:
    return otlp_values.text(value) if isinstance(value, str) else value


def _resource(resource: Any) -> Any:
    """The resource itself, so that spans of one are grouped; a clean one where it needs to be."""
    given = dict(resource.attributes)
    attributes = otlp_values.attributes(given)
    if attributes == given:
        return resource
    return type(resource)(attributes, resource.schema_url)


def _scope(scope: Any) -> Any:
    """The scope itself, so that spans of one are grouped; a clean one where it needs to be."""
    if scope is None:
        return scope
    name, version = _text(scope.name), _text(scope.version)
    given = dict(getattr(scope, "attributes", None) or {})
    attributes = otlp_values.attributes(given)
    if (name, version, attributes) == (scope.name, scope.version, given):
        return scope
    return type(scope)(name, version, scope.schema_url, attributes)
