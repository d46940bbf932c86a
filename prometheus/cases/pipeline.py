"""Cases of the alerts on the telemetry itself."""

from __future__ import annotations

from typing import Final

from prometheus.cases.model import (
    APPLICATION,
    FALSIFIED,
    PIPELINE,
    Case,
    Series,
    of_application,
    series,
)

TARGET: Final = {"job": "otel-collector", "instance": "c"}
SERVER: Final = {"job": "otel-chat-server", "instance": "s"}
ITSELF: Final = {"job": "prometheus", "instance": "p"}
PAGE: Final = {"severity": "page", **PIPELINE}
TICKET: Final = {"severity": "ticket", **PIPELINE}
OF_APPLICATION: Final = {"component": "application", **APPLICATION}
ANALYTICS: Final = {"exporter": "otlp_http/analytics"}
TEMPO: Final = {"exporter": "otlp_grpc/tempo"}
MEMORY: Final = of_application("process_memory_usage_bytes")
SPANS: Final = {"otel_chat_telemetry_signal": "spans"}
CHANNEL: Final = {"otel_chat_telemetry_attribute": "otel_chat.channel"}
CAPPED: Final = of_application("otel_chat_telemetry_capped_attributes_total", **CHANNEL)
DROPPED: Final = "otel_chat_telemetry_dropped_total"
REFUSED: Final = series(
    "otelcol_receiver_refused_spans", **TARGET, receiver="otlp", transport="http"
)
SEND_FAILED: Final = series("otelcol_exporter_send_failed_log_records", **TARGET, **ANALYTICS)
ENQUEUE_FAILED: Final = series("otelcol_exporter_enqueue_failed_spans", **TARGET, **ANALYTICS)
EARLY: Final = series("otelcol_processor_tail_sampling_sampling_trace_dropped_too_early", **TARGET)
FAILED_INSERTS: Final = series("otel_chat_server_ingest_failed_inserts_total", **SERVER)
RULES: Final = series("prometheus_rule_evaluation_failures_total", **ITSELF, rule_group="g")


def _queue(exporter: dict[str, str], size: str, sent: str) -> Series:
    traces = {**TARGET, **exporter, "data_type": "traces"}
    return {
        series("otelcol_exporter_queue_size", **traces): size,
        series("otelcol_exporter_queue_capacity", **traces): "100x200",
        series("otelcol_exporter_sent_spans", **TARGET, **exporter): sent,
    }


def _up(labels: dict[str, str], values: str) -> Series:
    return {series("up", **labels): values}


APPLICATIONS: Final = (
    Case(
        "TelemetryDropped", {"severity": "ticket", **OF_APPLICATION, **SPANS},
        {of_application(DROPPED, **SPANS): "0x5 3x60"}, "6m", "5m", "20m",
        {
            "calls outside of turns": {
                of_application(DROPPED, otel_chat_telemetry_signal="outside_turn"): "0+9x60"
            },
            "nothing dropped": {of_application(DROPPED, **SPANS): "0x60"},
        },
    ),
    Case(
        "TelemetryAttributeCapReached", {"severity": "info", **OF_APPLICATION, **CHANNEL},
        {CAPPED: "0+5x10 50x120"}, "2m", "5m", "1h15m",
        {"nine values": {CAPPED: "0+1x9 9x120"}},
    ),
    Case(
        "TelemetryAbsent", {"severity": "page", **OF_APPLICATION, **FALSIFIED},
        {MEMORY: "100x10 _x30 100x30"}, "15m", "5m", "42m",
        {
            "a process of several": {
                MEMORY: "100x10 _x60",
                series(
                    "process_memory_usage_bytes", **APPLICATION, service_instance_id="b"
                ): "9x70",
            },
            "a short pause": {MEMORY: "100x10 _x8 100x60"},
        },
    ),
    Case(
        "TelemetryAbsent", {"severity": "page", **OF_APPLICATION, **FALSIFIED},
        {MEMORY: "100x10 _x600"}, "15m", "5m", "6h20m", {},
    ),
)  # fmt: skip
COLLECTOR: Final = (
    Case(
        "TelemetryCollectorAway", {**PAGE, **TARGET},
        _up(TARGET, "1x5 0x20 1x20"), "6m", "2m", "30m",
        {"a restart": _up(TARGET, "1x5 0x1 1x30"), "another server": _up(ITSELF, "0x30")},
    ),
    Case(
        "TelemetryCollectorRefusing", {**PAGE, **TARGET, "receiver": "otlp", "signal": "spans"},
        {REFUSED: "0x5 7+7x20 147x30"}, "6m", "5m", "40m",
        {"nothing refused": {REFUSED: "0x40"}},
    ),
    Case(
        "TelemetryQueueFilling", {**TICKET, **TARGET, **ANALYTICS, "data_type": "traces"},
        _queue(ANALYTICS, "10x5 60x30 0x30", "0+9x70"), "6m", "10m", "40m",
        {"half full": _queue(ANALYTICS, "50x40", "0+9x40")},
    ),
    Case(
        "TelemetryTracesDecidedEarly", {**TICKET, **TARGET},
        {EARLY: "0x5 3+3x20 63x30"}, "6m", "10m", "40m",
        {"nothing dropped": {EARLY: "0x40"}},
    ),
    Case(
        "TelemetryExportFailing", {**PAGE, **TARGET, **ANALYTICS, "signal": "log_records"},
        # Told only once there is a first one
        {SEND_FAILED: "_x5 7x60"}, "5m", "5m", "20m", {},
    ),
    Case(
        "TelemetryExportFailing", {**PAGE, **TARGET, **ANALYTICS, "signal": "spans"},
        {ENQUEUE_FAILED: "0x5 7+7x20 147x30"}, "6m", "5m", "40m",
        {"nothing lost": {ENQUEUE_FAILED: "0x40"}},
    ),
    Case(
        "TelemetryExportStalled", {**PAGE, **TARGET, **ANALYTICS},
        _queue(ANALYTICS, "0x5 10+1x30 0x30", "0+9x5 45x30 54+9x30"), "10m", "5m", "45m",
        {
            "busy": _queue(ANALYTICS, "10x45", "0+9x45"),
            "nothing to send": _queue(ANALYTICS, "0x45", "45x45"),
            "Tempo's queue": _queue(TEMPO, "10x45", "45x45"),
        },
    ),
    Case(
        "TelemetryTempoAway", {**TICKET, **TARGET, **TEMPO},
        _queue(TEMPO, "0x5 10+1x30 0x30", "0+9x5 45x30 54+9x30"), "10m", "5m", "45m",
        {
            "busy": _queue(TEMPO, "10x45", "0+9x45"),
            "another queue": _queue(ANALYTICS, "10x45", "45x45"),
        },
    ),
)  # fmt: skip
SERVERS: Final = (
    Case(
        "AnalyticsAway", {"severity": "page", "component": "analytics", **SERVER},
        _up(SERVER, "1x5 0x20 1x20"), "6m", "2m", "30m",
        {"a restart": _up(SERVER, "1x5 0x1 1x30")},
    ),
    Case(
        "AnalyticsInsertsFailing", {"severity": "page", "component": "analytics", **SERVER},
        {FAILED_INSERTS: "0x5 1+1x20 21x30"}, "6m", "5m", "45m",
        {"nothing failed": {FAILED_INSERTS: "0x45"}},
    ),
    Case(
        "TelemetryRulesFailing", {**TICKET, **ITSELF, "rule_group": "g"},
        {RULES: "0x5 1+1x20 21x30"}, "6m", "5m", "45m",
        {"nothing failed": {RULES: "0x45"}},
    ),
)  # fmt: skip
