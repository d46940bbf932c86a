"""Alerts on the telemetry itself: in the application, in the collector, behind it."""

from __future__ import annotations

from typing import Final

from otel_chat import semconv as sc
from prometheus.book import INFO, LEVELS, PAGE, TICKET, Alert, Book
from prometheus.measures import FALSIFIED, SERVICE_NAME, SHARE, grown, recorded
from prometheus.names import (
    COLLECTOR_JOB,
    SERVER_JOB,
    SERVICE,
    SIGNALS,
    Metric,
    counter,
    gauge,
    label,
    scraped,
)

PIPELINE: Final = {"component": "pipeline"}
ANALYTICS: Final = {"component": "analytics"}
APPLICATION: Final = {"component": "application"}
EXPORTER: Final = "{{ $labels.exporter }}"
OF_TEMPO: Final = ".*tempo.*"


def appeared(metric: Metric, window: str, level: str) -> str:
    """What a scraped counter grew by; one that is told only after its first count is new."""
    by = LEVELS[level]
    metric.require(by)
    new = f"sum by ({', '.join(by)}) ({metric} unless {metric} offset {window})"
    return f"({new} > 0)\nor {grown(metric, window, by)}"


def add_application(book: Book) -> None:
    """Adds the alerts on telemetry that applications drop, fold or do not send."""
    lost = counter(sc.METRIC_TELEMETRY_DROPPED)
    signal = label(sc.TELEMETRY_SIGNAL)
    lost = lost.where(signal, sc.SIGNAL_OUTSIDE_TURN, "!=")
    dropped = recorded(
        book,
        "otel_chat_telemetry_dropped",
        "10m",
        grown(lost, book.time("10m"), LEVELS["signal"]),
        level="signal",
    )
    book.alert(
        "telemetry",
        Alert(
            "TelemetryDropped",
            TICKET,
            f"{dropped} > 0",
            "5m",
            f"{SERVICE_NAME} dropped {{{{ $value | humanize }}}} {{{{ $labels.{signal} }}}}",
            "The application made more telemetry than it could send: figures are too low.",
            "pipeline",
            dict(APPLICATION),
        ),
    )
    attribute = label(sc.TELEMETRY_ATTRIBUTE)
    capped = recorded(
        book,
        "otel_chat_telemetry_capped_attributes",
        "1h",
        grown(counter(sc.METRIC_CAPPED_ATTRIBUTES), book.time("1h"), LEVELS["attribute"]),
        level="attribute",
    )
    book.alert(
        "telemetry",
        Alert(
            "TelemetryAttributeCapReached",
            INFO,
            f"{capped} >= {book.settings.capped_values}",
            "5m",
            f"{SERVICE_NAME}: too many values of {{{{ $labels.{attribute} }}}}",
            f"{{{{ $value | humanize }}}} values were folded into {sc.OTHER} in an hour; metrics no"
            " longer tell them apart. Traces and analytics still do.",
            "pipeline",
            dict(APPLICATION),
        ),
    )
    _add_absent(book)


def _add_absent(book: Book) -> None:
    by = LEVELS["application"]
    memory = gauge(sc.METRIC_PROCESS_MEMORY).where(SERVICE, sc.DOCTOR, "!=")  # it ends at once
    memory.require(by)
    there, lately = (
        f"group by ({', '.join(by)}) (present_over_time({memory}[{book.time(window)}]))"
        for window in ("5m", "6h")
    )
    book.alert(
        "telemetry",
        Alert(
            "TelemetryAbsent",
            PAGE,
            f"{lately}\nunless {there}",
            "5m",
            f"{SERVICE_NAME} sends no telemetry any more",
            "It did within 6 hours; no process of it has told its memory for 5 minutes.",
            "pipeline",
            {**APPLICATION, **FALSIFIED},
        ),
    )


def add_collector(book: Book) -> None:
    """Adds the alerts on the collector: away, refusing, filling, losing, waiting."""
    refusing = _each_signal(book, "otelcol_receiver_refused", "receiver")
    size, capacity = (scraped(f"otelcol_exporter_queue_{part}") for part in ("size", "capacity"))
    early = scraped("otelcol_processor_tail_sampling_sampling_trace_dropped_too_early")
    for name, severity, expr, wait, summary, description in (
        (
            "TelemetryCollectorAway",
            PAGE,
            f"{scraped('up').where('job', COLLECTOR_JOB)} == 0",
            "2m",
            "The collector does not answer",
            "Applications keep telemetry for some seconds, then it is lost.",
        ),
        (
            "TelemetryCollectorRefusing",
            PAGE,
            f"{refusing} > 0",
            "5m",
            "The collector refuses {{ $labels.signal }}",
            (
                "{{ $value | humanize }} in 5 minutes. Its memory is at the limit, or a queue on"
                " disk is full: applications try again for some seconds, then it is lost."
            ),
        ),
        (
            "TelemetryQueueFilling",
            TICKET,
            f"{size} / {capacity} > {book.settings.queue_filled:g}",
            "10m",
            f"The queue to {EXPORTER} is {SHARE} full ({{{{ $labels.data_type }}}})",
            "The receiver is away or too slow; when the queue is full, the collector refuses.",
        ),
        (
            "TelemetryTracesDecidedEarly",
            TICKET,
            f"{grown(early, book.time('10m'), ('job', 'instance'))} > 0",
            "10m",
            "Tail sampling dropped {{ $value | humanize }} traces before they were decided on",
            (
                "More traces are open at once than num_traces allows; Tempo misses some that"
                " matter. Analytics has all."
            ),
        ),
    ):
        alert = Alert(name, severity, expr, wait, summary, description, "pipeline", dict(PIPELINE))
        book.alert("collector", alert)
    _add_exporters(book)


def _each_signal(book: Book, prefix: str, level: str, window: str = "5m") -> str:
    """Records a counter of the collector for each signal under one name."""
    for signal in SIGNALS:
        name = book.record(
            level,
            f"{level}:{prefix}:increase{window}",
            appeared(scraped(f"{prefix}_{signal}"), book.time(window), level),
            signal=signal,
        )
    return name


def _add_exporters(book: Book) -> None:
    # What is lost is told even where it happened once: the window is longer than the wait
    failed, full = (
        _each_signal(book, f"otelcol_exporter_{what}", "exporter", "10m")
        for what in ("send_failed", "enqueue_failed")
    )
    sent = _each_signal(book, "otelcol_exporter_sent", "exporter")
    size = scraped("otelcol_exporter_queue_size")
    by = ", ".join(LEVELS["exporter"])
    for name, severity, expr, wait, summary, description in (
        (
            "TelemetryExportFailing",
            PAGE,
            f"({failed} > 0)\nor ({full} > 0)",
            "5m",
            f"The collector loses {{{{ $labels.signal }}}} for {EXPORTER}",
            (
                "{{ $value | humanize }} in 10 minutes: refused for good by the receiver, or more"
                " than the queue can take."
            ),
        ),
        (
            "TelemetryExportStalled",
            PAGE,
            _stalled(size.where("exporter", OF_TEMPO, "!~"), sent, by),
            "5m",
            f"Nothing reaches {EXPORTER}",
            "Telemetry waits in the collector's queue on disk and none is taken.",
        ),
        (
            "TelemetryTempoAway",
            TICKET,
            _stalled(size.where("exporter", OF_TEMPO, "=~"), sent, by),
            "5m",
            "No trace reaches Tempo",
            "Traces wait in the collector's queue on disk and none is taken. Analytics has all.",
        ),
    ):
        alert = Alert(name, severity, expr, wait, summary, description, "pipeline", dict(PIPELINE))
        book.alert("collector", alert)


def _stalled(size: Metric, sent: str, by: str) -> str:
    size.require(LEVELS["exporter"])
    return f"sum by ({by}) ({size}) > 0\nunless sum by ({by}) ({sent}) > 0"


def add_servers(book: Book) -> None:
    """Adds the alerts on the analytics server and on Prometheus' own rules."""
    inserts = scraped("otel_chat_server_ingest_failed_inserts_total")
    failures = scraped("prometheus_rule_evaluation_failures_total")
    for name, severity, expr, wait, summary, description, component in (
        (
            "AnalyticsAway",
            PAGE,
            f"{scraped('up').where('job', SERVER_JOB)} == 0",
            "2m",
            "The analytics server does not answer",
            (
                "Its pages and its figures of whole conversations are missing. Telemetry waits in"
                " the collector's queue on disk."
            ),
            ANALYTICS,
        ),
        (
            "AnalyticsInsertsFailing",
            PAGE,
            f"{grown(inserts, book.time('5m'), ('job', 'instance'))} > 0",
            "5m",
            "The analytics server cannot write",
            "{{ $value | humanize }} inserts failed in 5 minutes; the collector tries again.",
            ANALYTICS,
        ),
        (
            "TelemetryRulesFailing",
            TICKET,
            f"{grown(failures, book.time('10m'), ('job', 'instance', 'rule_group'))} > 0",
            "5m",
            "Rules cannot be worked out: {{ $labels.rule_group }}",
            "Alerts of this group may be silent. Prometheus' page of rules names the error.",
            PIPELINE,
        ),
    ):
        alert = Alert(name, severity, expr, wait, summary, description, "pipeline", dict(component))
        book.alert("servers", alert)
