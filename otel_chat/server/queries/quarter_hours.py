"""Sums of all turns and events of each quarter of an hour, kept for days that are over.

Whatever is asked of all turns over time adds up from few rows: no time zone and no bucket of a
chart is told in less than these.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from otel_chat import semconv
from otel_chat.server.queries.days import TIMES
from otel_chat.server.queries.partial_rows import worked_out
from otel_chat.server.queries.partials import (
    EVENT_PARTIALS,
    IS_FEEDBACK,
    TOKENS,
    TURN_PARTIALS,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_chat.server.queries.days import Source
    from otel_chat.server.queries.partials import Partial

QUARTER_HOUR: Final = timedelta(minutes=15)
TURN_SUMS: Final = (
    "turns", "replies", "duration_sum", "first_chunks", "first_chunk_sum", "confidences",
    "confidence_sum", "low_confidence", "classified", "fallbacks", "handoff_turns", "errors",
    *TOKENS, "token_turns", "cost", "priced_turns", "unpriced_turns",
)  # fmt: skip
EVENT_SUMS: Final = (
    *(f"{sender}_messages" for sender in semconv.SENDERS), "scores", "score_sum", "top_scores",
    "scored_values", "scored_value_sum", "scales",
)  # fmt: skip
SUMS: Final[Mapping[Source, tuple[str, ...]]] = {"turns": TURN_SUMS, "events": EVENT_SUMS}
"""What is summed up, out of `TURN_PARTIALS` and `EVENT_PARTIALS`."""

PARTIALS: Final[Mapping[Source, Mapping[str, Partial]]] = {
    "turns": TURN_PARTIALS,
    "events": EVENT_PARTIALS,
}
COUNTED: Final[Mapping[Source, str]] = {
    "turns": "true",
    "events": f"name = '{semconv.EVENT_MESSAGE}' OR ({IS_FEEDBACK} AND isNotNull(score))",
}
"""The conditions on rows that are summed up."""


def quarter_hours(source: Source, rows: str) -> str:
    """A SELECT of the sums of each tenant's quarters of an hour.

    Args:
        source: Whether they are turns or events.
        rows: The rows: what stands after FROM, with a WHERE.
    """
    at = f"toDateTime64(toStartOfFifteenMinutes({TIMES[source]}), 9, 'UTC')"
    return (
        f"SELECT tenant, '{source}' AS source, {at} AS at"  # noqa: S608
        f"{worked_out(PARTIALS[source], SUMS[source])}"
        f" FROM {rows} AND ({COUNTED[source]}) GROUP BY tenant, at"
    )
