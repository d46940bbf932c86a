"""Alerts on what is unlike the day and the week before: no traffic, and bands around the usual."""

from __future__ import annotations

from typing import Final

from otel_chat import semconv as sc
from prometheus.book import LEVELS, PAGE, TICKET, Alert, Book
from prometheus.measures import (
    DOLLARS,
    FALSIFIED,
    OF_AGENT,
    STEP,
    WHO,
    amount,
    recorded,
    turns,
)
from prometheus.names import ENVIRONMENT, SERVICE, gauge, histogram, label

BEHIND: Final = "1h"
AROUND: Final = "3h"
AGO: Final = {"day": "22h30m", "week": "6d22h30m"}
"""Ends half of `AROUND` after the same moment: what comes an hour later by the clock is in it."""
SHIFTS: Final = ("23h", "24h", "25h")
WORKDAYS: Final = "on () (day_of_week() > 1 and day_of_week() < 6)"
"""Tuesday to Friday: the day before was a working day too."""
WHICH: Final = f"{WHO}{{{{ with $labels.{label(sc.CHANNEL)} }}}} ({{{{ . }}}}){{{{ end }}}}"


def gone(book: Book) -> str:
    """Applications whose processes told of themselves within six hours, and do so no more."""
    count = _processes(book)
    lately = f"last_over_time({count}[{book.time('6h')}])"
    return book.record(
        "application",
        "application:process_memory_usage_bytes:gone",
        f"{lately}\nunless {count}",
    )


def _processes(book: Book) -> str:
    by = LEVELS["application"]
    memory = gauge(sc.METRIC_PROCESS_MEMORY).where(SERVICE, sc.DOCTOR, "!=")  # it ends at once
    memory.require(by)
    return book.record(
        "application",
        "application:process_memory_usage_bytes:count",
        f"count by ({', '.join(by)}) ({memory})",
    )


def expected_now(book: Book) -> str:
    """Applications gone that were there at this time of the day before, by any clock."""
    count = _processes(book)
    there = "".join(f"\nand {count} offset {book.time(shift)}" for shift in SHIFTS)
    return f"{gone(book)}{there}"


def add_no_traffic(book: Book) -> None:
    """Adds the alerts on silence of an agent or channel at a time that has traffic."""
    for name, window, severity, what in (
        ("ChatNoTraffic", "30m", PAGE, "half an hour"),
        ("ChatSilentForHours", "6h", TICKET, "six hours"),
    ):
        agent, channel = (_silent(book, level, window) for level in ("agent", "channel"))
        on = ", ".join(OF_AGENT)
        book.alert(
            "anomalies",
            Alert(
                name,
                severity,
                f"(({agent})\nor ({channel}\nunless on ({on}) ({agent})))\n{_told(book)}",
                "10m",
                f"{WHICH}: no turn for {what}; at least {{{{ $value | humanize }}}} are usual",
                "Users do not reach the bot, or it does not reach its handlers. Its processes are"
                " there and tell of themselves. At this time of yesterday and of a week ago there"
                " were turns.",
                "overview",
                dict(FALSIFIED),
            ),
        )


def _told(book: Book) -> str:
    """Where the processes are gone, that is told instead."""
    return f"unless on ({SERVICE}, {ENVIRONMENT}) {gone(book)}"


def _silent(book: Book, level: str, window: str) -> str:
    now = turns(book, window, level)
    return f"{_expected(book, level, window)} >= {book.settings.expected_turns} unless {now} > 0"


def _expected(book: Book, level: str, window: str) -> str:
    """The least of a window yesterday and a week ago, an hour earlier and later included."""
    now, step = turns(book, window, level), book.time(STEP)
    hours = book.time("2h")
    day, week = (
        book.record(
            level,
            f"{level}:otel_chat_turns:least{window}_{name}",
            f"min_over_time({now}[{hours}:{step}] offset {book.time(ago)})",
            slow=True,
        )
        for name, ago in (("day", "23h"), ("week", "6d23h"))
    )
    # Of the first week only days after a working day are known
    return book.record(
        level,
        f"{level}:otel_chat_turns:expected{window}",
        f"({day} < {week})\nor ({week} and {day})\nor (({day} unless {week}) and {WORKDAYS})",
        slow=True,
    )


def add_bands(book: Book) -> None:
    """Adds the alerts on traffic, latency and cost outside their bands."""
    least = book.settings.minimum_turns
    traffic = turns(book, "1h")
    enough = f"and {traffic} >= {least}"
    usual = _least(book, traffic)
    low = f"{traffic} < {1 - book.settings.band:g} * ({usual} >= {least})"
    for name, expr, what, dashboard, labels in (
        (
            "ChatTrafficAnomaly",
            f"({traffic} > {_upper(book, traffic)} {enough})\nor ({low} {_told(book)})",
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
                f"More than {1 + book.settings.band:g} times the most of the day before and of the"
                f" same hours a week ago{_less(book) if labels else ''}.",
                dashboard,
                labels,
            ),
        )


def _less(book: Book) -> str:
    return f", or less than {1 - book.settings.band:g} times the least of those hours"


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
    expr = f"histogram_quantile(0.95, {book.grown(buckets, '1h', by)}) >= 0"
    return recorded(book, "otel_chat_turn_duration_seconds", "1h", expr, "p95_")


def _cost(book: Book) -> str:
    return amount(book, "otel_chat_cost_usd", "1h", histogram(sc.METRIC_TURN_COST, "sum"))


def _upper(book: Book, signal: str) -> str:
    """Above the most of the day before and of these hours a week ago; or of all that is known."""
    week = _extreme(book, signal, "max", AROUND, AGO["week"], "week")
    day = _extreme(book, signal, "max", "1d", BEHIND, "day")
    known = _extreme(book, signal, "max", "7d", BEHIND, "known")
    most = f"({day} > {week}) or {week} or {known}"
    return book.record(
        "bands",
        f"{signal}_upper",
        # Before a whole day is known nothing is unusual
        f"{1 + book.settings.band:g} * ({most})\nand {signal} offset {book.time('1d')}",
        slow=True,
    )


def _least(book: Book, signal: str) -> str:
    """The least of these hours a week ago; in the first week of those of a working day before."""
    week, day = (_extreme(book, signal, "min", AROUND, AGO[name], name) for name in ("week", "day"))
    return book.record(
        "bands",
        f"{signal}_least",
        f"{week}\nor ({day} and {WORKDAYS})",
        slow=True,
    )


def _extreme(book: Book, signal: str, of: str, window: str, behind: str, name: str) -> str:
    step = "1h" if window == "7d" else STEP
    hours = f"[{book.time(window)}:{book.time(step)}] offset {book.time(behind)}"
    return book.record(
        "bands", f"{signal}_{name}_{of}", f"{of}_over_time({signal}{hours})", slow=True
    )
