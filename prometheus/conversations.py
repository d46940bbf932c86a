"""Alerts on what becomes of conversations: handoffs, containment, abandonment, feedback."""

from __future__ import annotations

from typing import Final

from otel_chat import semconv as sc
from prometheus.book import TICKET, Alert, Book
from prometheus.measures import OF_AGENT, SHARE, WHO, amount, recorded, turns
from prometheus.names import counter, histogram, label, scraped

REASON: Final = label(sc.HANDOFF_REASON)
OF_PLACE: Final = ("agent", "channel")
PLACE: Final = "{{ $labels.agent }}{{ if $labels.channel }} ({{ $labels.channel }}){{ end }}"
OF_ANALYTICS: Final = {"falsified_by": "analytics"}
"""Figures of whole conversations: they lie when telemetry does not reach the analytics server."""
_MOST_HANDOFFS: Final = 0.8


def add_handoffs(book: Book) -> None:
    """Adds the alert on spikes of handoffs for one reason, beside the traffic of the day before."""
    settings, before = book.settings, book.time("30m")
    now, usual = (_handoffs_per_turn(book, window) for window in ("30m", "1d"))
    many = amount(book, "otel_chat_handoffs", "30m", counter(sc.METRIC_HANDOFFS), "reason")
    on = ", ".join(OF_AGENT)
    book.alert(
        "conversations",
        Alert(
            "ChatHandoffSpike",
            TICKET,
            f"{now} > clamp_max({settings.handoff_growth:g} * "
            f"({usual} offset {before} or {now} * 0), {_MOST_HANDOFFS})\n"
            f"and {many} >= {settings.handoff_least}\n"
            f"and on ({on}) {turns(book, '1d')} offset {before} >= {settings.minimum_turns}",
            "5m",
            f"{WHO}: handoffs for “{{{{ $labels.{REASON} }}}}” after {SHARE} of turns",
            f"That is more than {settings.handoff_growth:g} times the share of the day before.",
            "conversations",
        ),
    )


def _handoffs_per_turn(book: Book, window: str) -> str:
    handoffs = amount(book, "otel_chat_handoffs", window, counter(sc.METRIC_HANDOFFS), "reason")
    expr = f"{handoffs}\n/ on ({', '.join(OF_AGENT)}) group_left ()\n{turns(book, window)}"
    return recorded(book, "otel_chat_handoffs_per_turn", window, expr, "ratio", "reason")


def of_window(name: str, window: str, **labels: str) -> str:
    """A figure of the analytics server by agent and channel, over a window of that server.

    Several servers on one store tell the same; of each figure one is taken.
    """
    metric = scraped(name).where("window", window)
    for label_name, value in labels.items():
        metric = metric.where(label_name, value)
    metric.require(OF_PLACE)
    return f"max by ({', '.join(OF_PLACE)}) ({metric})"


def settled(window: str) -> str:
    """Settled conversations by agent and channel, in a window of the analytics server."""
    metric = scraped("otel_chat_conversations_settled").where("window", window)
    by = ", ".join(OF_PLACE)
    metric.require((*OF_PLACE, "outcome"))
    return f"sum by ({by}) (max by ({by}, outcome) ({metric}))"


def add_outcomes(book: Book) -> None:
    """Adds the alerts on containment and abandonment, as the analytics server knows them."""
    settings = book.settings
    contained, usual = (of_window("otel_chat_containment_ratio", w) for w in ("24h", "7d"))
    enough = f"and {settled('24h')} >= {settings.conversations}"
    book.alert(
        "conversations",
        Alert(
            "ChatContainmentFalling",
            TICKET,
            f"{contained} < {usual} - {settings.containment_fall:g}\n{enough}",
            "1h",
            f"{PLACE}: only {SHARE} of conversations stay with the bot",
            f"Over 24 hours that is {settings.containment_fall * 100:g} points less than over the"
            " week.",
            "outcomes",
            dict(OF_ANALYTICS),
        ),
    )
    book.alert(
        "conversations",
        Alert(
            "ChatAbandonmentHigh",
            TICKET,
            f"{of_window('otel_chat_abandonment_ratio', '24h')} > {settings.abandonment:g}\n"
            f"{enough}",
            "1h",
            f"{PLACE}: {SHARE} of conversations are abandoned",
            "Over 24 hours. The page of journeys shows after which intent users give up.",
            "outcomes",
            dict(OF_ANALYTICS),
        ),
    )


OF_FIGURE: Final = ("agent", "figure")


def add_days(book: Book) -> None:
    """Adds the alert on an agent's last whole day that was unlike the weeks before it."""
    on = ", ".join(OF_FIGURE)
    changed, moved = (scraped(f"otel_chat_day_{name}") for name in ("changed", "change_ratio"))
    for metric in (changed, moved):
        metric.require(OF_FIGURE)
    book.alert(
        "conversations",
        Alert(
            "ChatDayChanged",
            TICKET,
            f"max by ({on}) ({moved})\n"
            f"and on ({on}) max by ({on}) ({changed.where('direction', 'better', '!=')}) == 1",
            "5m",
            f"{{{{ $labels.agent }}}}: {{{{ $labels.figure }}}} was {SHARE} from what is usual on"
            " the last whole day",
            "Beyond what chance explains, beside the eight weeks before. The page Overview of the"
            " analytics server shows the day.",
            "outcomes",
            dict(OF_ANALYTICS),
        ),
    )


def add_feedback(book: Book) -> None:
    """Adds the alert on ratings of users, today's beside the week's."""
    settings = book.settings
    today, week = (_mean_rating(book, window) for window in ("1d", "7d"))
    many = _ratings(book, "1d", "count")
    book.alert(
        "conversations",
        Alert(
            "ChatFeedbackFalling",
            TICKET,
            f"{today} < {week} - {settings.feedback_fall:g}\nand {many} >= {settings.ratings}",
            "30m",
            f"{WHO}: ratings have fallen to {SHARE} of the best possible",
            f"The mean of 24 hours is {settings.feedback_fall * 100:g} points below that of the"
            " week.",
            "outcomes",
        ),
    )


def _ratings(book: Book, window: str, part: str) -> str:
    scores = histogram(sc.METRIC_FEEDBACK_SCORE, part)
    given = scores.where(label(sc.EVALUATION_NAME), sc.EVALUATION_USER_FEEDBACK)
    return amount(book, f"otel_chat_ratings_{part}", window, given)


def _mean_rating(book: Book, window: str) -> str:
    expr = f"{_ratings(book, window, 'sum')} / ({_ratings(book, window, 'count')} > 0)"
    return recorded(book, "otel_chat_ratings", window, expr, "mean")
