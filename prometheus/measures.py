"""What several alerts measure: growth of counters, shares, turns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from otel_chat import semconv as sc
from prometheus.book import LEVELS, Book
from prometheus.names import AGENT, SERVICE, Metric, histogram

OF_AGENT: Final = LEVELS["agent"]
WHO: Final = f"{{{{ $labels.{AGENT} }}}}"
SERVICE_NAME: Final = f"{{{{ $labels.{SERVICE} }}}}"
SHARE: Final = "{{ $value | humanizePercentage }}"
DOLLARS: Final = '{{ printf "%.2f" $value }} USD'
FALSIFIED: Final = {"falsified_by": "pipeline"}
_LONG: Final = frozenset({"6h", "1d", "3d", "7d"})


def grown(metric: Metric, window: str, by: Sequence[str]) -> str:
    """What a counter grew by in a window, its very first count included.

    Args:
        metric: The counter.
        window: As it stands in the rules.
        by: The labels to keep.
    """
    metric.require(by)
    return f"sum by ({', '.join(by)}) (increase({metric}[{window}] anchored))"


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
    return book.record(level, f"{level}:{name}:{operation}{window}", expr, slow=window in _LONG)


def turns(book: Book, window: str) -> str:
    """Turns of an agent in a window, however they ended."""
    count = histogram(sc.METRIC_TURN_DURATION, "count")
    return recorded(book, "otel_chat_turns", window, grown(count, book.time(window), OF_AGENT))


def share(
    book: Book, name: str, window: str, part: Metric, whole: Metric, *, level: str = "agent"
) -> str:
    """The share that one counter has of another in a window.

    Args:
        book: Where it is recorded.
        name: What the share is called.
        window: The window, nominal.
        part: The one.
        whole: The other.
        level: The labels that it keeps, by their name in `LEVELS`.
    """
    long, by = book.time(window), LEVELS[level]
    expr = f"{grown(part, long, by)}\n/\n{grown(whole, long, by)}"
    return recorded(book, name, window, expr, "ratio", level)
