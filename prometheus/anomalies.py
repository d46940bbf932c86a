"""Alerts on what is unlike the day and the week before: no traffic, and bands around the usual."""

from __future__ import annotations

from typing import Final

from otel_chat import semconv as sc
from prometheus.book import PAGE, TICKET, Alert, Book
from prometheus.measures import DOLLARS, FALSIFIED, OF_AGENT, WHO, grown, recorded, turns
from prometheus.names import histogram

DAY_BEHIND: Final = "1h"
WEEK_WINDOW: Final = "3h"
WEEK_BEHIND: Final = "6d22h30m"
"""Ends half a window after the same moment a week ago."""


def add_no_traffic(book: Book) -> None:
    """Adds the alert on silence at a time that had traffic yesterday, and a week ago if known."""
    now = turns(book, "30m")
    yesterday, week = (f"{now} offset {book.time(ago)}" for ago in ("1d", "7d"))
    least = book.settings.expected_turns
    book.alert(
        "anomalies",
        Alert(
            "ChatNoTraffic",
            PAGE,
            f"{yesterday} >= {least}\nunless {week} < {least}\nunless {now} > 0",
            "10m",
            f"{WHO}: no turn for half an hour; {{{{ $value | humanize }}}} at this time yesterday",
            "Users do not reach the bot, or it does not reach its handlers. The telemetry itself"
            " arrives, else a failing pipeline would be told instead.",
            "overview",
            dict(FALSIFIED),
        ),
    )


def add_bands(book: Book) -> None:
    """Adds the alerts on traffic, latency and cost outside their bands."""
    least = book.settings.minimum_turns
    traffic = turns(book, "1h")
    enough = f"and {traffic} >= {least}"
    lower, upper = _lower(book, traffic), _upper(book, traffic)
    yesterday = f"{traffic} offset {book.time('1d')}"
    for name, expr, what, dashboard, labels in (
        (
            "ChatTrafficAnomaly",
            f"({traffic} > {upper} {enough})\nor ({traffic} < {lower} and {yesterday} >= {least})",
            "{{ $value | humanize }} turns in an hour",
            "overview",
            FALSIFIED,
        ),
        _above(book, "ChatLatencyAnomaly", _latency(book), enough),
        _above(book, "ChatCostAnomaly", _cost(book), enough),
    ):
        book.alert(
            "anomalies",
            Alert(
                name,
                TICKET,
                expr,
                "15m",
                f"{WHO}: {what}, which is unusual",
                "Outside the bands around the mean of the day before and of the same hours a week"
                f" ago, each {book.settings.band:g} standard deviations wide.",
                dashboard,
                labels,
            ),
        )


def _above(
    book: Book, name: str, signal: str, enough: str
) -> tuple[str, str, str, str, dict[str, str]]:
    latency = "latency" in name.lower()
    what = "p95 of {{ $value | humanizeDuration }}" if latency else f"{DOLLARS} in an hour"
    dashboard = "response-time" if latency else "cost"
    return name, f"{signal} > {_upper(book, signal)}\n{enough}", what, dashboard, {}


def _latency(book: Book) -> str:
    buckets = histogram(sc.METRIC_TURN_DURATION, "bucket")
    by = (*OF_AGENT, "le")
    expr = f"histogram_quantile(0.95, {grown(buckets, book.time('1h'), by)}) >= 0"
    return recorded(book, "otel_chat_turn_duration_seconds", "1h", expr, "p95_")


def _cost(book: Book) -> str:
    cost = histogram(sc.METRIC_TURN_COST, "sum")
    return recorded(book, "otel_chat_cost_usd", "1h", grown(cost, book.time("1h"), OF_AGENT))


def _upper(book: Book, signal: str) -> str:
    return _band(book, signal, "+", ">", "upper")


def _lower(book: Book, signal: str) -> str:
    return _band(book, signal, "-", "<", "lower")


def _band(book: Book, signal: str, sign: str, wider: str, name: str) -> str:
    """The edge of the wider of both bands; of the day's where the week before is not known."""
    day, week = _edge(book, signal, "day", sign, name), _edge(book, signal, "week", sign, name)
    level, metric, operation = signal.split(":")
    # Before a whole day is known nothing is unusual
    known = f"and {turns(book, '1h')} offset {book.time('1d')}"
    return book.record(
        "bands",
        f"{level}:{metric}:{operation}_{name}",
        f"(({day} {wider} {week}) or {week} or {day})\n{known}",
        slow=True,
    )


def _edge(book: Book, signal: str, baseline: str, sign: str, name: str) -> str:
    settings = book.settings
    mean, deviation = (_baseline(book, signal, baseline, of) for of in ("avg", "stddev"))
    wide, least = f"{settings.band:g} * {deviation}", f"{settings.band_least:g} * {mean}"
    level, metric, operation = signal.split(":")
    return book.record(
        "bands",
        f"{level}:{metric}:{operation}_{baseline}_{name}",
        f"{mean} {sign} (({wide} > {least}) or {least})",
        slow=True,
    )


def _baseline(book: Book, signal: str, baseline: str, of: str) -> str:
    window, behind = ("1d", DAY_BEHIND) if baseline == "day" else (WEEK_WINDOW, WEEK_BEHIND)
    level, metric, operation = signal.split(":")
    return book.record(
        "bands",
        f"{level}:{metric}:{operation}_{baseline}_{of}",
        f"{of}_over_time({signal}[{book.time(window)}] offset {book.time(behind)})",
        slow=True,
    )
