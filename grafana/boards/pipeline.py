"""7 Health of the pipeline itself."""

from __future__ import annotations

from grafana.board import Board
from grafana.boards.common import ANY, GOALS, each, firing, or_zero
from grafana.panels import FAULTS, QUIET, About, Column, Query, bad_from, course, figure, sheet
from grafana.promql import RANGE, STEP, grown, latest, of_any, per_second, total
from otel_chat import semconv as sc
from prometheus.names import ENVIRONMENT, SERVICE, SIGNALS, label

SIGNAL, ATTRIBUTE = label(sc.TELEMETRY_SIGNAL), label(sc.TELEMETRY_ATTRIBUTE)
WORDS = {"spans": "spans", "log_records": "events", "metric_points": "metric points"}


def board() -> Board:
    """Whether telemetry arrives, and what happened to that which does not."""
    found = Board(
        "pipeline",
        "otel-chat / 7 Pipeline health",
        "Whether telemetry arrives whole: applications, collector, analytics server, Prometheus.",
        ("environment",),
        "now-3h",
    )
    _figures(found)
    _flow(found)
    _queues(found)
    _applications(found)
    return found


def _every(found: Board, name: str) -> str:
    """What grew of a metric that the collector has one of for each signal."""
    parts = (grown(found.scope.server(f"{name}_{signal}"), RANGE) for signal in SIGNALS)
    return " + ".join(f"({or_zero(part)})" for part in parts)


def _figures(found: Board) -> None:
    scope = found.scope
    up = scope.server("up")
    requests = scope.server("otel_chat_server_ingest_requests_total")
    age = latest(scope.server("otel_chat_server_gauges_timestamp_seconds"))
    found.row(
        figure(
            About("Servers down", "Analytics servers, collectors and others that Prometheus cannot"
                  " scrape now.", "locale", ANY, 0),
            or_zero(f"count({up} == 0)"),
        ),
        firing(4, 4),
        figure(
            About("Dropped in applications", "Spans, events and records of the chosen time that"
                  " applications could not send.", "locale", ANY, 0),
            or_zero(grown(scope.count(sc.METRIC_TELEMETRY_DROPPED), RANGE)),
        ),
        figure(
            About("Lost by the collector", "Items of the chosen time that no server took even after"
                  " repeated tries, or for which the queue had no room.", "locale", ANY, 0),
            f"{_every(found, 'otelcol_exporter_send_failed')}"
            f" + {_every(found, 'otelcol_exporter_enqueue_failed')}",
        ),
        figure(
            About("Refused by the server", "Requests with telemetry in the chosen time that the"
                  " analytics server answered with an error.", "locale", bad_from(1, 10), 0),
            or_zero(grown(requests.where("status", "200", "!="), RANGE)),
        ),
        figure(
            About("Age of the gauges", "How long ago the analytics server worked out the figures of"
                  " whole conversations.", "s", bad_from(120, 600), 0),
            f"time() - {age}",
        ),
    )  # fmt: skip


def _flow(found: Board) -> None:
    scope = found.scope
    accepted = [
        Query(per_second(scope.server(f"otelcol_receiver_accepted_{signal}")), word)
        for signal, word in WORDS.items()
    ]
    sent = [
        Query(per_second(scope.server(f"otelcol_exporter_sent_{signal}"), ["exporter"]),
              f"{word} to {each('exporter')}")
        for signal, word in WORDS.items()
    ]  # fmt: skip
    found.row(
        course(
            About("Taken by the collector, a second", "What applications send to the collector:"
                  " spans, events and metric points.", "short"),
            *accepted,
        ),
        course(
            About("Sent by the collector, a second", "What the collector passes on. Spans reach the"
                  " analytics server whole, Tempo only as far as they are sampled.", "short"),
            *sent,
        ),
    )  # fmt: skip


def _queues(found: Board) -> None:
    scope = found.scope
    size = scope.server("otelcol_exporter_queue_size")
    capacity = scope.server("otelcol_exporter_queue_capacity")
    by = ("exporter", "data_type")
    refused = [
        Query(grown(scope.server(f"otelcol_receiver_refused_{signal}"), STEP), word)
        for signal, word in WORDS.items()
    ]
    found.row(
        course(
            About("Queues of the collector", "How full each queue on disk is. It fills while a"
                  " server is away; full, the collector refuses.", "percentunit",
                  bad_from(GOALS.queue_filled, 0.9), 0, minimum=0, maximum=1),
            Query(f"{total(size, by)} / {total(capacity, by)}",
                  f"{each('exporter')} {each('data_type')}"),
            width=8,
        ),
        course(
            About("Refused by the collector", "Items per interval that applications must send"
                  " again, because memory or queues are full.", "locale", ANY, 0),
            *refused, look=FAULTS, width=8,
        ),
        course(
            About("Stored by the server, a second", "Spans, events and metric points that the"
                  " analytics server stores.", "short"),
            Query(per_second(scope.server("otel_chat_server_ingest_items_total")), "items"),
            width=8,
        ),
    )  # fmt: skip


def _applications(found: Board) -> None:
    scope = found.scope
    memory = scope.gauge(sc.METRIC_PROCESS_MEMORY)
    busy = scope.count(sc.METRIC_PROCESS_CPU_TIME)
    threads = scope.gauge(sc.METRIC_PROCESS_THREADS)
    by = (SERVICE, ENVIRONMENT)
    processes = f"count by ({', '.join(by)}) ({memory})"
    found.row(
        course(
            About("Memory of applications", "Resident memory of all processes of a service.",
                  "bytes"),
            Query(total(memory, [SERVICE]), each(SERVICE)), width=12, height=7,
        ),
        course(
            About("Folded attribute values", "Values per interval that stand as _other on metrics,"
                  f" because an attribute had too many different ones. {QUIET}", "locale", ANY, 0),
            Query(grown(scope.count(sc.METRIC_CAPPED_ATTRIBUTES), STEP, [ATTRIBUTE]),
                  each(ATTRIBUTE)),
            look=FAULTS, width=12, height=7,
        ),
    )  # fmt: skip
    found.row(
        sheet(
            About("Applications", "The services that send telemetry now, all their processes"
                  " together; one that has ended is counted for five minutes more.", "short"),
            {SERVICE: "Service", ENVIRONMENT: "Environment"},
            Column("Processes", processes, "locale", decimals=0),
            Column("Memory", total(memory, by), "bytes"),
            Column("Processor", per_second(busy, by), "percentunit", decimals=1),
            Column("Threads", total(threads, by), "locale", decimals=0),
            Column("Telemetry dropped",
                   grown(scope.count(sc.METRIC_TELEMETRY_DROPPED), RANGE, by), "locale",
                   ANY, 0),
            Column("Own errors",
                   of_any(grown(scope.count(sc.METRIC_TELEMETRY_ERRORS), RANGE, by), processes),
                   "locale", ANY, 0),
            height=5,
        ),
    )  # fmt: skip
