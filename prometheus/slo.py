"""Objectives of response time and errors, burnt over four windows; and what turns suffer from."""

from __future__ import annotations

from typing import Final

from otel_chat import semconv as sc
from prometheus.book import LEVELS, PAGE, TICKET, Alert, Book
from prometheus.measures import (
    COUNT,
    FAILED,
    OF_AGENT,
    SERVICE_NAME,
    SHARE,
    TURNS,
    WHO,
    amount,
    recorded,
    share,
    turns,
)
from prometheus.names import INSTANCE, Metric, counter, gauge, histogram, label

BURNS: Final = (
    ("1h", "5m", 14.4, PAGE, "2m"),
    ("6h", "30m", 6, PAGE, "5m"),
    ("1d", "2h", 3, TICKET, "15m"),
    ("3d", "6h", 1, TICKET, "30m"),
)
"""Long window, short window, burn rate, severity, wait."""


def _slow_share(book: Book, window: str) -> str:
    """The share of slow turns: all but those in the bucket of the objective."""
    within = amount(book, "otel_chat_turns_within", window, _within(book))
    expr = f"1 - {within} / ({turns(book, window)} > 0)"
    return recorded(book, "otel_chat_turns_slow", window, expr, "ratio")


def _within(book: Book) -> Metric:
    return histogram(sc.METRIC_TURN_DURATION, "bucket").at_most(book.settings.response_seconds)


def _failed_share(book: Book, window: str) -> str:
    return share(book, "otel_chat_turns_failed", window, FAILED, (TURNS, COUNT))


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
            # Some in the short window, too: after a quiet night one turn is not all of them
            book.alert(
                f"slo_{slo}",
                Alert(
                    name,
                    severity,
                    f"{measure(book, long)} > {too_much}\n"
                    f"and {measure(book, short)} > {too_much}\n"
                    f"and {turns(book, long)} >= {settings.enough(target)}\n"
                    f"and {turns(book, short)} >= {settings.budget_turns}",
                    wait,
                    f"{WHO}: {SHARE} of turns {what} ({long})",
                    f"Over {long} and over {short} the error budget of {1 - target:.4g} burns at"
                    f" {burn:g} times the rate that would use it up exactly.",
                    "response-time",
                    {"slo": slo, "window": long},
                ),
            )


def add_turns(book: Book) -> None:
    """Adds the alerts on turns that are bad, in general or in one process, late or hanging."""
    _add_bad(book)
    _add_process(book)
    _add_first_chunk(book)
    _add_stuck(book)
    settings = book.settings
    left = COUNT.where(label(sc.STATUS), sc.STATUS_CANCELLED)
    ratio = share(book, "otel_chat_turns_cancelled", "30m", left, (TURNS, COUNT))
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


def _add_bad(book: Book) -> None:
    """Most turns slow, failed or cancelled: what a budget of days tells too late."""
    settings = book.settings
    good = _within(book).where(label(sc.STATUS), sc.STATUS_OK)
    well = amount(book, "otel_chat_turns_good", "10m", good)
    every = turns(book, "10m")
    # Where there was no good turn at all there is no series of good ones
    bad = f"1 - ({well} or {every} * 0) / ({every} > 0)"
    ratio = recorded(book, "otel_chat_turns_bad", "10m", bad, "ratio")
    book.alert(
        "turns",
        Alert(
            "ChatMostTurnsBad",
            PAGE,
            f"{ratio} > {settings.bad:g}\nand {every} >= {settings.bad_least}",
            "5m",
            f"{WHO}: {SHARE} of turns are slow, fail or are cancelled",
            f"Of the last ten minutes: they took longer than {settings.response_seconds:g} s, ended"
            " with an error, or the user left.",
            "response-time",
        ),
    )


def _add_process(book: Book) -> None:
    """One process that fails where the others of its service do not."""
    settings, (service, environment, _) = book.settings, LEVELS["process"]
    failed, every = (book.grown(one, "30m", LEVELS["process"]) for one in (FAILED, COUNT))
    every = book.record("process", "process:otel_chat_turns:increase30m", every, slow=True)
    failed = book.record("process", "process:otel_chat_turns_failed:increase30m", failed, slow=True)
    on = f"on ({service}, {environment})"
    others = " / ".join(f"sum by ({service}, {environment}) ({one})" for one in (failed, every))
    book.alert(
        "turns",
        Alert(
            "ChatProcessFailing",
            TICKET,
            f"{failed} / {every} > {settings.bad:g}\n"
            f"and {failed} >= {settings.bad_least}\n"
            f"and {on} {others} < {settings.bad:g}",
            "10m",
            f"{SERVICE_NAME}: {SHARE} of the turns of process {{{{ $labels.{INSTANCE} }}}} fail",
            "The other processes of this service do well: what fails is this one's own, such as"
            " its node, a stale connection or its memory.",
            "response-time",
        ),
    )


def _add_first_chunk(book: Book) -> None:
    settings = book.settings
    name = sc.METRIC_TIME_TO_FIRST_CHUNK
    within = histogram(name, "bucket").at_most(settings.first_chunk_seconds)
    replies = amount(book, "otel_chat_first_chunks", "30m", histogram(name, "count"))
    soon = amount(book, "otel_chat_first_chunks_soon", "30m", within)
    late = recorded(
        book, "otel_chat_first_chunks_late", "30m", f"1 - {soon} / ({replies} > 0)", "ratio"
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
    age = gauge(sc.METRIC_TURN_OLDEST)
    age.require(OF_AGENT)
    # Longer than what a killed process told last is still there
    book.alert(
        "turns",
        Alert(
            "ChatTurnsStuck",
            PAGE,
            f"max by ({', '.join(OF_AGENT)}) ({age}) > {_stuck(book)}",
            "6m",
            f"{WHO}: a turn has been running for {{{{ $value | humanizeDuration }}}}",
            "It hangs: it has no duration yet, so that no other figure shows it.",
            "response-time",
        ),
    )


def _stuck(book: Book) -> str:
    """The age at which a turn hangs, shortened like every time."""
    return f"{book.settings.milliseconds(f'{book.settings.stuck_seconds:.0f}s') / 1000:g}"


def add_understanding(book: Book) -> None:
    """Adds the alerts on confidence and fallbacks."""
    settings = book.settings
    known = ("otel_chat_confidences", histogram(sc.METRIC_TURN_CONFIDENCE, "count"))
    intents = ("otel_chat_intents", counter(sc.METRIC_INTENTS))
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
            intents[1].where(label(sc.FALLBACK), "true"),
            intents,
            settings.fallback,
            ("of messages match no intent", "The bot often does not know what was meant."),
        ),
    ):
        ratio = share(book, measure, "1h", part, whole)
        many = amount(book, whole[0], "1h", whole[1])
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
