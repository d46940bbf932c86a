"""Alerts on the telemetry itself: in the application, in the collector, behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from otel_chat import semconv as sc
from prometheus.anomalies import expected_now
from prometheus.book import INFO, LEVELS, PAGE, TICKET, Alert, Book
from prometheus.measures import FALSIFIED, SERVICE_NAME, SHARE, amount
from prometheus.names import (
    INSTANCE,
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
WATCHDOG: Final = "Watchdog"

_Told: TypeAlias = tuple[str, str, str, str, str, str]
"""The first fields of an alert, from its name to its description."""


def appeared(book: Book, metric: Metric, window: str, level: str) -> str:
    """What a scraped counter grew by; one that is told only after its first count is new."""
    by = LEVELS[level]
    metric.require(by)
    new = f"sum by ({', '.join(by)}) ({metric} unless {metric} offset {book.time(window)})"
    return f"({new} > 0)\nor {book.grown(metric, window, by)}"


def add_application(book: Book) -> None:
    """Adds the alerts on telemetry that applications drop, fold or do not send."""
    _add_losses(book)
    _add_processes(book)


def _add(book: Book, group: str, labels: Mapping[str, str], *alerts: _Told) -> None:
    for told in alerts:
        book.alert(group, Alert(*told, "pipeline", dict(labels), ""))


def _add_losses(book: Book) -> None:
    lost = counter(sc.METRIC_TELEMETRY_DROPPED)
    signal = label(sc.TELEMETRY_SIGNAL)
    lost = lost.where(signal, sc.SIGNAL_OUTSIDE_TURN, "!=")
    dropped = amount(book, "otel_chat_telemetry_dropped", "10m", lost, "signal")
    attribute = label(sc.TELEMETRY_ATTRIBUTE)
    folded = counter(sc.METRIC_CAPPED_ATTRIBUTES)
    capped = amount(book, "otel_chat_telemetry_capped_attributes", "1h", folded, "attribute")
    for told in (
        (
            "TelemetryDropped",
            TICKET,
            f"{dropped} > 0",
            "5m",
            f"{SERVICE_NAME} dropped {{{{ $value | humanize }}}} {{{{ $labels.{signal} }}}}",
            "The application made more telemetry than it could send: figures are too low.",
        ),
        (
            "TelemetryAttributeCapReached",
            INFO,
            f"{capped} >= {book.settings.capped_values}",
            "5m",
            f"{SERVICE_NAME}: too many values of {{{{ $labels.{attribute} }}}}",
            (
                f"{{{{ $value | humanize }}}} values were folded into {sc.OTHER} in an hour;"
                " metrics no longer tell them apart. Traces and analytics still do."
            ),
        ),
    ):
        book.alert("telemetry", Alert(*told, "pipeline", dict(APPLICATION)))


def _add_processes(book: Book) -> None:
    absent = Alert(
        "TelemetryAbsent",
        PAGE,
        expected_now(book),
        "5m",
        f"{SERVICE_NAME} sends no telemetry any more",
        "It did within 6 hours, and at this time yesterday; no process of it has told its"
        " memory for 5 minutes.",
        "pipeline",
        {**APPLICATION, **FALSIFIED},
        "",
    )
    book.alert("telemetry", absent)
    for told in (
        (
            "TelemetryInstanceShared",
            TICKET,
            _shared(book, "process"),
            "10m",
            f"{SERVICE_NAME}: several processes call themselves {{{{ $labels.{INSTANCE} }}}}",
            (
                "Their counters overwrite each other, so that every figure in Prometheus is wrong,"
                " too high or too low. Each process needs a service.instance.id of its own."
            ),
        ),
        (
            "ChatProcessesShortLived",
            TICKET,
            f"{_short_lived(book)} >= {book.settings.short_lived}",
            "5m",
            f"{SERVICE_NAME}: {{{{ $value }}}} processes lived for less than 5 minutes",
            "In the last half hour: they crash, or are killed and started again and again.",
        ),
    ):
        book.alert("telemetry", Alert(*told, "pipeline", dict(APPLICATION)))


def _shared(book: Book, level: str) -> str:
    """Where the own counter of a process keeps falling, because others write it too."""
    spent, by, window = _spent(), ", ".join(LEVELS[level]), book.time("10m")
    falls = f"max by ({by}) (resets({spent}[{window}]) / count_over_time({spent}[{window}]))"
    return f"{falls} > {book.settings.shared:g}"


def _spent() -> Metric:
    spent = counter(sc.METRIC_PROCESS_CPU_TIME)
    spent.require(LEVELS["process"])
    return spent


def _short_lived(book: Book) -> str:
    """Processes that ended lately and lived for less than 5 minutes; or one under one name."""
    memory = gauge(sc.METRIC_PROCESS_MEMORY).where(SERVICE, sc.DOCTOR, "!=")
    by, half_hour = ", ".join(LEVELS["application"]), book.time("30m")
    ended, there = (f"present_over_time({memory}[{w}])" for w in (half_hour, book.time("2m")))
    # A value is seen for 5 minutes after it was told
    long = f"{memory} and {memory} offset {book.time('10m')}"
    lived = f"max_over_time(({long})[{half_hour}:{book.time('1m')}])"
    again = f"max by ({by}) (resets({_spent()}[{half_hour}]))"
    return book.record(
        "application",
        "application:process_memory_usage_bytes:short_lived30m",
        f"count by ({by}) ({ended} unless {there} unless {lived})\n"
        f"or ({again} unless {_shared(book, 'application')})",
        slow=True,
    )


def add_collector(book: Book) -> None:
    """Adds the alerts on the collector: away, refusing, filling, losing, waiting."""
    refusing = _each_signal(book, "otelcol_receiver_refused", "receiver")
    size, capacity = (scraped(f"otelcol_exporter_queue_{part}") for part in ("size", "capacity"))
    bounds = scraped("otelcol_processor_filter_datapoints_filtered")
    bounds = bounds.where("filter", "filter/bounds")
    _add(
        book,
        "collector",
        PIPELINE,
        (
            "TelemetryCollectorAway",
            PAGE,
            _away(book.settings.collector_job),
            "2m",
            "The collector does not answer",
            (
                "Applications keep telemetry for some seconds, then it is lost. Or Prometheus has"
                " no job of this name."
            ),
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
            "TelemetryPointsOutOfBounds",
            TICKET,
            f"{book.grown(bounds, '10m', ('job', 'instance'))} > 0",
            "10m",
            "The collector drops {{ $value | humanize }} points that Prometheus would refuse",
            (
                "In 10 minutes. A sender's clock is more than 5 minutes ahead or 25 behind, or it"
                " sends delta sums: its figures are missing; those of others are whole."
            ),
        ),
    )
    _add_exporters(book)
    _add_tempo(book)


def _away(job: str) -> str:
    """A server that does not answer Prometheus, or is not known to it."""
    up = scraped("up").where("job", job)
    return f"{up} == 0 or absent({up})"


def _each_signal(book: Book, prefix: str, level: str, window: str = "5m") -> str:
    """Records a counter of the collector for each signal under one name."""
    for signal in SIGNALS:
        name = book.record(
            level,
            f"{level}:{prefix}:increase{window}",
            appeared(book, scraped(f"{prefix}_{signal}"), window, level),
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
    _add(
        book,
        "collector",
        PIPELINE,
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
            _stalled(size.where("exporter", OF_TEMPO, "!~"), sent),
            "5m",
            f"No {{{{ $labels.data_type }}}} reach {EXPORTER}",
            "They wait in the collector's queue on disk and none are taken.",
        ),
        (
            "TelemetryTempoAway",
            TICKET,
            _stalled(size.where("exporter", OF_TEMPO, "=~"), sent),
            "5m",
            "No trace reaches Tempo",
            "Traces wait in the collector's queue on disk and none is taken. Analytics has all.",
        ),
    )


def _add_tempo(book: Book) -> None:
    # What Tempo leaves out is told by its own counters alone: no error comes back
    early = scraped("otelcol_processor_tail_sampling_sampling_trace_dropped_too_early")
    discarded = appeared(book, scraped("tempo_discarded_spans_total"), "10m", "discarded")
    attributes = scraped("tempo_distributor_attributes_truncated_total")
    cut = appeared(book, attributes, "10m", "cut")
    _add(
        book,
        "collector",
        PIPELINE,
        (
            "TelemetryTracesDecidedEarly",
            TICKET,
            f"{book.grown(early, '10m', ('job', 'instance'))} > 0",
            "10m",
            "Tail sampling dropped {{ $value | humanize }} traces before they were decided on",
            (
                "More traces are open at once than num_traces allows; Tempo misses some that"
                " matter. Analytics has all."
            ),
        ),
        (
            "TelemetryTempoDiscarding",
            TICKET,
            f"({discarded}\nor {cut}) > 0",
            "5m",
            "Tempo {{ with $labels.reason }}drops spans ({{ . }}){{ else }}cuts values{{ end }}",
            (
                "{{ $value | humanize }} in 10 minutes: larger or more than its limits allow."
                " Analytics has all."
            ),
        ),
    )


def _stalled(size: Metric, sent: str) -> str:
    """Something waits of a signal of which nothing was sent, whatever the others do."""
    on = ", ".join(LEVELS["exporter"])
    size.require((*LEVELS["exporter"], "data_type"))
    return "\nor ".join(
        f"(sum by ({on}, data_type) ({size.where('data_type', kind)}) > 0\n"
        f'unless on ({on}) sum by ({on}) ({sent}{{signal="{signal}"}}) > 0)'
        for kind, signal in zip(("traces", "logs", "metrics"), SIGNALS, strict=True)
    )


def add_servers(book: Book) -> None:
    """Adds the alerts on the analytics server, Prometheus' own rules and who is told of them."""
    _add_analytics(book)
    _add_alerting(book)


def _add_analytics(book: Book) -> None:
    settings, target = book.settings, ("job", "instance")
    inserts = scraped("otel_chat_server_ingest_failed_inserts_total")
    uncounted = scraped("otel_chat_server_gauge_failures_total")
    counted = scraped("otel_chat_server_gauges_timestamp_seconds")
    _add(
        book,
        "servers",
        ANALYTICS,
        (
            "AnalyticsAway",
            PAGE,
            _away(settings.server_job),
            "2m",
            "The analytics server does not answer",
            (
                "Its pages and its figures of whole conversations are missing. Telemetry waits in"
                " the collector's queue on disk. Or Prometheus has no job of this name."
            ),
        ),
        (
            "AnalyticsInsertsFailing",
            PAGE,
            f"{book.grown(inserts, '5m', target)} > 0",
            "5m",
            "The analytics server cannot write",
            "{{ $value | humanize }} inserts failed in 5 minutes; the collector tries again.",
        ),
        (
            "AnalyticsFiguresOld",
            TICKET,
            (
                f"time() - max({counted}) > {settings.gauges_seconds:g}\n"
                f"or sum by ({', '.join(target)}) (increase({uncounted}[{book.time('30m')}])) > 2"
            ),
            "5m",
            "The figures of whole conversations stand still",
            (
                "The analytics server answers, but has not worked them out, or fails to: alerts on"
                " containment, abandonment and cost of a conversation say nothing."
            ),
        ),
    )


def _add_alerting(book: Book) -> None:
    target = ("job", "instance")
    failures = scraped("prometheus_rule_evaluation_failures_total")
    untold = scraped("alertmanager_notifications_failed_total")
    dropped = scraped("prometheus_notifications_dropped_total")
    nobody = scraped("prometheus_notifications_alertmanagers_discovered")
    _add(
        book,
        "servers",
        PIPELINE,
        (
            "TelemetryRulesFailing",
            TICKET,
            f"{book.grown(failures, '10m', (*target, 'rule_group'))} > 0",
            "5m",
            "Rules cannot be worked out: {{ $labels.rule_group }}",
            "Alerts of this group may be silent. Prometheus' page of rules names the error.",
        ),
        (
            "AlertmanagerAway",
            PAGE,
            f"{_away(book.settings.alertmanager_job)} or {nobody} == 0",
            "5m",
            "Alertmanager does not answer",
            (
                "Nobody is told of anything; this alert itself is seen on Prometheus' page alone,"
                " unless there is a second Alertmanager. Or Prometheus has no job of this name."
            ),
        ),
        (
            "TelemetryNotificationsFailing",
            PAGE,
            (
                f"{book.grown(untold, '10m', (*target, 'integration'))} > 0\n"
                f"or {book.grown(dropped, '10m', target)} > 0"
            ),
            "5m",
            "Alerts do not reach people{{ with $labels.integration }} by {{ . }}{{ end }}",
            "A receiver refuses what Alertmanager sends, or Prometheus cannot hand alerts on.",
        ),
        (
            WATCHDOG,
            INFO,
            "vector(1)",
            "0s",
            "Prometheus works out alerts, and Alertmanager sends them",
            (
                "Always so. A receiver that tells people when this stops to come notices what"
                " neither of them can tell: that they are away themselves."
            ),
        ),
    )
