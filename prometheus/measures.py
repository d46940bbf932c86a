"""What several alerts measure: growth of counters, shares, turns."""

from __future__ import annotations

from typing import Final

from otel_chat import semconv as sc
from prometheus.book import LEVELS, Book
from prometheus.names import AGENT, SERVICE, Metric, histogram, label

OF_AGENT: Final = LEVELS["agent"]
WHO: Final = f"{{{{ $labels.{AGENT} }}}}"
SERVICE_NAME: Final = f"{{{{ $labels.{SERVICE} }}}}"
SHARE: Final = "{{ $value | humanizePercentage }}"
DOLLARS: Final = '{{ printf "%.2f" $value }} USD'
FALSIFIED: Final = {"falsified_by": "pipeline"}
LONG: Final = frozenset({"6h", "1d", "3d", "7d"})
"""Windows that are summed from recorded short ones, once a minute."""
STEP: Final = "5m"
LATE: Final = "1m"
"""So late a sample may come and is still in its own step."""
TURNS: Final = "otel_chat_turns"
COUNT: Final = histogram(sc.METRIC_TURN_DURATION, "count")
FAILED: Final = COUNT.where(label(sc.STATUS), sc.STATUS_ERROR)


def recorded(
    book: Book, name: str, window: str, expr: str, operation: str = "increase", level: str = "agent"
) -> str:
    """Records a measure of a window; one of hours is worked out once a minute.

    Args:
        book: Where.
        name: The metric, second part of the recorded name.
        window: Nominal; ends the third part.
        expr: What to record.
        operation: Begins the third part.
        level: The first part.
    """
    return book.record(level, f"{level}:{name}:{operation}{window}", expr, slow=window in LONG)


def amount(book: Book, name: str, window: str, metric: Metric, level: str = "agent") -> str:
    """Records what a counter grew by in a window; a long one is the sum of its steps.

    Args:
        book: Where.
        name: What the growth is called.
        window: Nominal.
        metric: The counter.
        level: The labels to keep, by their name in `LEVELS`.
    """
    by = LEVELS[level]
    if window not in LONG:
        return recorded(book, name, window, book.grown(metric, window, by), level=level)
    grown = book.grown(metric, STEP, by, LATE)
    step = book.record(level, f"{level}:{name}:step", grown, slow=True)
    expr = f"sum_over_time({step}[{book.time(window)}:{book.time(STEP)}])"
    return recorded(book, name, window, expr, level=level)


def turns(book: Book, window: str, level: str = "agent") -> str:
    """Turns in a window, however they ended."""
    return amount(book, TURNS, window, COUNT, level)


def share(
    book: Book,
    name: str,
    window: str,
    part: Metric,
    whole: tuple[str, Metric],
    *,
    level: str = "agent",
) -> str:
    """The share that one counter has of another in a window.

    Args:
        book: Where it is recorded.
        name: What the share is called.
        window: The window, nominal.
        part: The one.
        whole: What the other is called, and it.
        level: The labels that it keeps, by their name in `LEVELS`.
    """
    called, metric = whole
    of = amount(book, called, window, metric, level)
    expr = f"{amount(book, name, window, part, level)} / ({of} > 0)"
    return recorded(book, name, window, expr, "ratio", level)
