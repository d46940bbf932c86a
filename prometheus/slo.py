"""Objectives of response time and errors, burnt over four windows; and what turns suffer from."""

from __future__ import annotations

from typing import Final

from otel_chat import semconv as sc
from prometheus.book import PAGE, TICKET, Alert, Book
from prometheus.measures import (
    OF_AGENT,
    SHARE,
    WHO,
    grown,
    recorded,
    share,
    turns,
)
from prometheus.names import counter, gauge, histogram, label

BURNS: Final = (
    ("1h", "5m", 14.4, PAGE, "2m"),
    ("6h", "30m", 6, PAGE, "5m"),
    ("1d", "2h", 3, TICKET, "15m"),
    ("3d", "6h", 1, TICKET, "30m"),
)
"""Long window, short window, burn rate, severity, wait."""


def _slow_share(book: Book, window: str) -> str:
    """The share of slow turns: all but those in the bucket of the objective."""
    long = book.time(window)
    within = histogram(sc.METRIC_TURN_DURATION, "bucket").at_most(book.settings.response_seconds)
    count = histogram(sc.METRIC_TURN_DURATION, "count")
    expr = f"1 - {grown(within, long, OF_AGENT)}\n/\n{grown(count, long, OF_AGENT)}"
    return recorded(book, "otel_chat_turns_slow", window, expr, "ratio")


def _failed_share(book: Book, window: str) -> str:
    count = histogram(sc.METRIC_TURN_DURATION, "count")
    failed = count.where(label(sc.STATUS), sc.STATUS_ERROR)
    return share(book, "otel_chat_turns_failed", window, failed, count)


def add_objectives(book: Book) -> None:
    """Adds the alerts on both objectives."""
    settings = book.settings
    limit = f"{settings.response_seconds:g} s"
    for long, short, burn, severity, wait in BURNS:
        for name, slo, measure, target, what in (
            (
                "ChatResponseTimeBudgetBurn",
                "response_time",
                _slow_share,
                settings.response_target,
                f"take longer than {limit}",
            ),
            (
                "ChatErrorBudgetBurn",
                "errors",
                _failed_share,
                settings.error_target,
                "fail",
            ),
        ):
            too_much = f"{burn * (1 - target):.6g}"
            book.alert(
                f"slo_{slo}",
                Alert(
                    name,
                    severity,
                    f"{measure(book, long)} > {too_much}\n"
                    f"and {measure(book, short)} > {too_much}\n"
                    f"and {turns(book, long)} >= {settings.minimum_turns}",
                    wait,
                    f"{WHO}: {SHARE} of turns {what} ({long})",
                    f"Over {long} and over {short} the error budget of {1 - target:.4g} burns at"
                    f" {burn:g} times the rate that would use it up exactly.",
                    "response-time",
                    {"slo": slo, "window": long},
                ),
            )


def add_turns(book: Book) -> None:
    """Adds the alerts on first chunks, hanging and cancelled turns."""
    settings = book.settings
    _add_first_chunk(book)
    _add_stuck(book)
    count = histogram(sc.METRIC_TURN_DURATION, "count")
    left = count.where(label(sc.STATUS), sc.STATUS_CANCELLED)
    ratio = share(book, "otel_chat_turns_cancelled", "30m", left, count)
    book.alert(
        "turns",
        Alert(
            "ChatCancelledRateHigh",
            TICKET,
            f"{ratio} > {settings.cancelled:g}\n"
            f"and {turns(book, '30m')} >= {settings.minimum_turns}",
            "10m",
            f"{WHO}: {SHARE} of turns are cancelled",
            "Users close the page or the client gives up before the reply is complete.",
            "response-time",
        ),
    )


def _add_first_chunk(book: Book) -> None:
    settings, long = book.settings, book.time("30m")
    name = sc.METRIC_TIME_TO_FIRST_CHUNK
    within = histogram(name, "bucket").at_most(settings.first_chunk_seconds)
    started = grown(histogram(name, "count"), long, OF_AGENT)
    replies = recorded(book, "otel_chat_first_chunks", "30m", started)
    late = recorded(
        book,
        "otel_chat_first_chunks_late",
        "30m",
        f"1 - {grown(within, long, OF_AGENT)}\n/\n{started}",
        "ratio",
    )
    book.alert(
        "turns",
        Alert(
            "ChatFirstChunkLate",
            TICKET,
            f"{late} > {settings.first_chunk_late:g}\nand {replies} >= {settings.minimum_turns}",
            "10m",
            f"{WHO}: {SHARE} of replies begin after more than {settings.first_chunk_seconds:g} s",
            "Users look at an empty reply: the time to the first chunk is over its limit.",
            "response-time",
        ),
    )


def _add_stuck(book: Book) -> None:
    by = ", ".join(OF_AGENT)
    running = gauge(sc.METRIC_TURN_ACTIVE)
    running.require(OF_AGENT)
    spent = histogram(sc.METRIC_TURN_DURATION, "sum")
    spent.require(OF_AGENT)
    active = book.record("agent", "agent:otel_chat_turn_active:sum", f"sum by ({by}) ({running})")
    usual = book.record(
        "agent",
        "agent:otel_chat_turn_concurrency:rate15m",
        f"sum by ({by}) (rate({spent}[{book.time('15m')}]))",
    )
    book.alert(
        "turns",
        Alert(
            "ChatTurnsStuck",
            PAGE,
            f"{active} >= 1 + {usual}\nor ({active} >= 1 unless {usual})",
            "15m",
            f"{WHO}: {{{{ $value }}}} turns are running and do not end",
            "At every moment more turns run than those that end can explain: handlers hang. They"
            " have no duration yet, so that no other figure shows them.",
            "response-time",
        ),
    )


def add_understanding(book: Book) -> None:
    """Adds the alerts on confidence and fallbacks."""
    settings = book.settings
    known = histogram(sc.METRIC_TURN_CONFIDENCE, "count")
    intents = counter(sc.METRIC_INTENTS)
    for name, measure, part, whole, limit, what in (
        (
            "ChatLowConfidenceRateHigh",
            "otel_chat_turns_low_confidence",
            counter(sc.METRIC_LOW_CONFIDENCE),
            known,
            settings.low_confidence,
            ("of turns are of low confidence", "The bot is often unsure of what was meant."),
        ),
        (
            "ChatFallbackRateHigh",
            "otel_chat_intents_fallback",
            intents.where(label(sc.FALLBACK), "true"),
            intents,
            settings.fallback,
            ("of messages match no intent", "The bot often does not know what was meant."),
        ),
    ):
        ratio = share(book, measure, "1h", part, whole)
        many = recorded(
            book,
            "otel_chat_confidences" if whole is known else "otel_chat_intents",
            "1h",
            grown(whole, book.time("1h"), OF_AGENT),
        )
        book.alert(
            "understanding",
            Alert(
                name,
                TICKET,
                f"{ratio} > {limit:g}\nand {many} >= {settings.minimum_turns}",
                "15m",
                f"{WHO}: {SHARE} {what[0]}",
                f"{what[1]} Seen over the last hour.",
                "intents",
            ),
        )
