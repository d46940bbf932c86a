"""Cases of the alerts on the telemetry itself."""

from __future__ import annotations

from typing import Final

from prometheus.cases.model import (
    APPLICATION,
    FALSIFIED,
    PIPELINE,
    Case,
    Series,
    Value,
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
SPENT: Final = of_application("process_cpu_time_seconds_total", cpu_mode="user")
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
BOUNDS: Final = series(
    "otelcol_processor_filter_datapoints_filtered", **TARGET, filter="filter/bounds"
)
EARLY: Final = series("otelcol_processor_tail_sampling_sampling_trace_dropped_too_early", **TARGET)
OF_TEMPO: Final = {"job": "tempo", "instance": "t"}
DISCARDED: Final = series(
    "tempo_discarded_spans_total", **OF_TEMPO, reason="trace_too_large", tenant="single-tenant"
)
CUT: Final = series(
    "tempo_distributor_attributes_truncated_total", **OF_TEMPO, scope="span", tenant="single-tenant"
)
FAILED_INSERTS: Final = series("otel_chat_server_ingest_failed_inserts_total", **SERVER)
COUNTED: Final = series("otel_chat_server_gauges_timestamp_seconds", **SERVER)
UNCOUNTED: Final = series("otel_chat_server_gauge_failures_total", **SERVER)
ALERTMANAGER: Final = {"job": "alertmanager", "instance": "m"}
RULES: Final = series("prometheus_rule_evaluation_failures_total", **ITSELF, rule_group="g")


def _process(name: str) -> str:
    return series("process_memory_usage_bytes", **APPLICATION, service_instance_id=name)


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
        {MEMORY: "100x1560 _x30 100x30"}, "1d2h5m", "5m", "1d2h32m",
        {
            "a process of several": {MEMORY: "100x1560 _x60", _process("b"): "9x1620"},
            "a short pause": {MEMORY: "100x1560 _x8 100x60"},
            "new, and known for less than a day": {MEMORY: "100x300 _x1300"},
        },
    ),
    Case(
        "TelemetryAbsent", {"severity": "page", **OF_APPLICATION, **FALSIFIED},
        {MEMORY: "100x1560 _x600"}, "1d2h5m", "5m", "1d8h20m",
        {"scaled to zero each night": {MEMORY: f"100x720 {'_x719 100x719 ' * 2}"}},
        until="2d12h",
    ),
    Case(
        "TelemetryInstanceShared",
        {"severity": "ticket", **OF_APPLICATION, "service_instance_id": "a"},
        # Two processes take turns
        {SPENT: f"{'100 10 ' * 20}{'11 ' * 40}"}, "1m", "10m", "50m",
        {
            "a process": {SPENT: "0+1x60"},
            "one that is started again now and then": {SPENT: "0+1x20 0+1x20 0+1x20"},
        },
    ),
    Case(
        "ChatProcessesShortLived", {"severity": "ticket", **OF_APPLICATION},
        {_process(f"p{n}"): f"{f'_x{4 * n} ' if n else ''}9 9 9" for n in range(5)},
        "20m", "5m", "40m",
        {
            "four of them": {
                _process(f"p{n}"): f"{f'_x{4 * n} ' if n else ''}9 9 9" for n in range(4)
            },
            "as many that lived for longer": {
                _process(f"p{n}"): f"{f'_x{4 * n} ' if n else ''}9x12" for n in range(5)
            },
        },
    ),
    # Its counter falls each time, but for most of the time it rises
    Case(
        "ChatProcessesShortLived", {"severity": "ticket", **OF_APPLICATION},
        {SPENT: f"{'0+1x4 ' * 8}0+1x90"}, "25m", "5m", "50m",
        {"started again four times": {SPENT: f"{'0+1x4 ' * 4}0+1x90"}},
        of="under one name",
    ),
)  # fmt: skip
COLLECTOR: Final = (
    Case(
        "TelemetryCollectorAway", {**PAGE, **TARGET},
        _up(TARGET, "1x5 0x20 1x20"), "6m", "2m", "30m",
        {"a restart": _up(TARGET, "1x5 0x1 1x30")},
    ),
    Case(
        "TelemetryCollectorAway", {**PAGE, "job": "otel-collector"},
        _up(TARGET, "1x5 _x20 1x20"), "10m", "2m", "30m", {},
        of="Prometheus does not know it any more",
    ),
    Case(
        "TelemetryPointsOutOfBounds", {**TICKET, **TARGET},
        {BOUNDS: "0x5 3+3x20 63x30"}, "6m", "10m", "40m",
        {
            "nothing dropped": {BOUNDS: "0x40"},
            "metrics that are not of chat": {
                BOUNDS.replace("filter/bounds", "filter/chat"): "0+9x40",
            },
        },
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
        "TelemetryExportStalled", {**PAGE, **TARGET, **ANALYTICS, "data_type": "traces"},
        _queue(ANALYTICS, "0x5 10+1x30 0x30", "0+9x5 45x30 54+9x30"), "10m", "5m", "45m",
        {
            "busy": _queue(ANALYTICS, "10x45", "0+9x45"),
            "nothing to send": _queue(ANALYTICS, "0x45", "45x45"),
            "Tempo's queue": _queue(TEMPO, "10x45", "45x45"),
        },
    ),
    Case(
        "TelemetryExportStalled", {**PAGE, **TARGET, **ANALYTICS, "data_type": "logs"},
        {
            series("otelcol_exporter_queue_size", **TARGET, **ANALYTICS, data_type="logs"):
                "0x5 10+1x30 0x30",
            series("otelcol_exporter_sent_log_records", **TARGET, **ANALYTICS):
                "0+9x5 45x30 54+9x30",
            series("otelcol_exporter_sent_spans", **TARGET, **ANALYTICS): "0+9x70",
        },
        "10m", "5m", "45m", {}, of="of logs none goes on, while spans do",
    ),
    Case(
        "TelemetryTempoAway", {**TICKET, **TARGET, **TEMPO, "data_type": "traces"},
        _queue(TEMPO, "0x5 10+1x30 0x30", "0+9x5 45x30 54+9x30"), "10m", "5m", "45m",
        {
            "busy": _queue(TEMPO, "10x45", "0+9x45"),
            "another queue": _queue(ANALYTICS, "10x45", "45x45"),
        },
    ),
    # Told only once there is a first one
    Case(
        "TelemetryTempoDiscarding", {**TICKET, **OF_TEMPO, "reason": "trace_too_large"},
        {DISCARDED: "_x5 7+7x20 147x30"}, "5m", "5m", "40m",
        {"nothing dropped since it started": {DISCARDED: "_x3 0x40"}},
    ),
    Case(
        "TelemetryTempoDiscarding", {**TICKET, **OF_TEMPO, "scope": "span"},
        {CUT: "0x5 7+7x20 147x30"}, "6m", "5m", "40m",
        {"nothing cut": {CUT: "0x40"}},
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
        "AnalyticsAway", {"severity": "page", "component": "analytics", "job": "otel-chat-server"},
        _up(SERVER, "1x5 _x20 1x20"), "10m", "2m", "30m", {},
        of="Prometheus does not know it any more",
    ),
    Case(
        "AnalyticsFiguresOld", {"severity": "ticket", "component": "analytics"},
        {COUNTED: "0+60x60 3600x60 7200+60x60"}, "1h31m", "5m", "2h5m",
        {
            "worked out now and then": {COUNTED: "0x20 1200x20 2400x20"},
            # Two servers on one store, of which one works them out
            "another server does": {
                COUNTED: "0x60", COUNTED.replace('instance="s"', 'instance="t"'): "0+60x60",
            },
        },
    ),
    Case(
        "AnalyticsFiguresOld", {"severity": "ticket", "component": "analytics", **SERVER},
        {UNCOUNTED: "0x5 1+1x20 21x40"}, "8m", "5m", "1h",
        {"once": {UNCOUNTED: "0x5 1x60"}}, of="to work them out fails",
    ),
    Case(
        "AlertmanagerAway", {**PAGE, **ALERTMANAGER},
        _up(ALERTMANAGER, "1x5 0x20 1x20"), "6m", "5m", "30m",
        {"a restart": _up(ALERTMANAGER, "1x5 0x3 1x30")},
    ),
    Case(
        "AlertmanagerAway", {**PAGE, "job": "alertmanager"},
        _up(ALERTMANAGER, "1x5 _x20 1x20"), "10m", "5m", "30m", {},
        of="Prometheus does not know it any more",
    ),
    Case(
        "AlertmanagerAway", {**PAGE, **ITSELF},
        {
            series("prometheus_notifications_alertmanagers_discovered", **ITSELF): "1x5 0x20 1x20",
            **_up(ALERTMANAGER, "1x60"),
        },
        "6m", "5m", "30m", {}, of="scraped, but Prometheus hands it nothing",
    ),
    Case(
        "TelemetryNotificationsFailing", {**PAGE, **ALERTMANAGER, "integration": "webhook"},
        {
            series(
                "alertmanager_notifications_failed_total", **ALERTMANAGER,
                integration="webhook", reason="other",
            ): "0x5 1+1x20 21x30"
        },
        "6m", "5m", "40m",
        {
            "none failed": {
                series(
                    "alertmanager_notifications_failed_total", **ALERTMANAGER,
                    integration="webhook", reason="other",
                ): "3x40"
            }
        },
    ),
    Case(
        "TelemetryNotificationsFailing", {**PAGE, **ITSELF},
        {series("prometheus_notifications_dropped_total", **ITSELF): "0x5 1+1x20 21x30"},
        "6m", "5m", "40m", {}, of="Prometheus drops them",
    ),
    Case(
        "TelemetryRulesFailing", {**TICKET, **ITSELF, "rule_group": "g"},
        {RULES: "0x5 1+1x20 21x30"}, "6m", "5m", "45m",
        {"nothing failed": {RULES: "0x45"}},
    ),
)  # fmt: skip
VALUES: Final = (
    Value(
        "it always fires",
        {},
        'ALERTS{alertname="Watchdog"}',
        "1m",
        {
            series(
                "ALERTS", alertname="Watchdog", alertstate="firing", severity="info", **PIPELINE
            ): 1
        },
        "servers",
    ),
)
