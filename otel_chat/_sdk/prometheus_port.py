"""Metrics that Prometheus fetches from the application itself, where there is no collector.

Stands on OpenTelemetry's own exporter and on prometheus-client, the extra `prometheus`. What the
application counts by prometheus-client stands beside on the same page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics.export import ExponentialHistogram, MetricsData
from prometheus_client import start_http_server

from otel_chat._sdk.otlp_items import metrics_of
from otel_chat._telemetry.runtime import say_once

PROMOTED: Final = frozenset(
    {
        "service.name", "service.namespace", "service.instance.id", "service.version",
        "deployment.environment.name",
    }
)  # fmt: skip
"""Attributes of the resource that are labels, too: what prometheus.yml promotes of OTLP."""


class ScrapedReader(PrometheusMetricReader):
    """OpenTelemetry's reader, of which one metric that it cannot write costs only itself."""

    def __init__(self) -> None:
        # The series are those that come by way of a collector, without labels of scopes
        super().__init__(scope_info_enabled=False)

    def force_flush(self, timeout_millis: float = 10_000) -> bool:  # noqa: ARG002 - as the SDK has it
        """Nothing waits here; what was collected would be told by the next page once more."""
        return True

    def _receive_metrics(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> None:
        super()._receive_metrics(_writable(metrics_of(metrics_data)), timeout_millis, **kwargs)


def serve(host: str, port: int) -> Callable[[], None] | None:
    """Answers Prometheus on a port of its own, in a thread.

    Args:
        host: The address to listen on.
        port: 1 to 65535.

    Returns:
        What closes it; None where the port cannot be had, which is said.
    """
    try:
        server, thread = start_http_server(port, addr=host)
    except OSError as error:
        say_once(
            ("prometheus", str(port)),
            f"prometheus_port: {host}:{port} cannot be listened on ({error.strerror}), so nobody"
            " can fetch the metrics of this process: give another port, or send to a collector"
            " where several processes serve",
        )
        return None

    def close() -> None:
        server.shutdown()
        server.server_close()
        thread.join(1)

    return close


def _writable(data: MetricsData) -> MetricsData:
    """With the labels of the resource; without what the exporter would fail on for the page."""
    return replace(
        data,
        resource_metrics=[
            replace(
                resource,
                scope_metrics=[
                    replace(
                        scope,
                        metrics=[
                            _labelled(metric, resource.resource.attributes)
                            for metric in scope.metrics
                            if _is_writable(metric)
                        ],
                    )
                    for scope in resource.scope_metrics
                ],
            )
            for resource in data.resource_metrics
        ],
    )


def _labelled(metric: Any, resource: Mapping[str, Any]) -> Any:
    labels = {name: value for name, value in resource.items() if name in PROMOTED}
    points = [
        replace(point, attributes={**(point.attributes or {}), **labels})
        for point in metric.data.data_points
    ]
    return replace(metric, data=replace(metric.data, data_points=points))


def _is_writable(metric: Any) -> bool:
    if not isinstance(metric.data, ExponentialHistogram):
        return True
    say_once(
        ("prometheus", metric.name),
        f"the exponential histogram {metric.name} is left out of what Prometheus fetches here",
    )
    return False
