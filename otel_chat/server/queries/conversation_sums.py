"""What conversations sum up to, and the shares of them that are figures: an entry each.

From a share's entry come its field in the API, its place in every series, its definition, its row
in comparisons, its gauge for Prometheus and its column in exports.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import Field

from otel_chat import semconv
from otel_chat.server.queries.registry import FIGURES, Figure
from otel_chat.server.queries.sql import ratio

Better = Literal["higher", "lower", "neither"]
SETTLED: Final = "s.settled"


@dataclass(frozen=True, slots=True)
class Share:
    """A figure that is a share of conversations.

    Args:
        name: Its name, unique over the whole server, as `containment_ratio`.
        label: What people call it, in a few words.
        definition: The rule it is worked out by, in words.
        counted: SQL for whether a conversation counts, of a row that is called `s`.
        better: Which way is good.
        among: SQL for whether a conversation is one of those that it is a share of.
        reads: The columns of a row that the two read, beside `COLUMNS`.
        version: Counts up when the rule changes.
        export: The column of exports that says of a conversation whether it counts; none without.
        gauge: Whether Prometheus is told of it, as `otel_chat_` and its name.
    """

    name: str
    label: str
    definition: str
    counted: str
    better: Better
    among: str = SETTLED
    reads: tuple[str, ...] = ()
    version: int = 1
    export: str = ""
    gauge: bool = True

    @property
    def part(self) -> str:
        """The sum of those that count."""
        return f"{self.name}_n"

    @property
    def whole(self) -> str:
        """The sum of those that it is a share of."""
        return "settled_n" if self.among == SETTLED else f"{self.name}_of"

    def read(self, row: dict[str, Any]) -> float | None:
        """Its value in a row of `sums`; `None` over none."""
        return ratio(row.get(self.part, 0), row.get(self.whole, 0))

    def field(self) -> Any:
        """A field of an answer that is this figure."""
        return Field(
            description=self.definition, json_schema_extra={"figure": self.name, "unit": "1"}
        )


SHARES: Final[dict[str, Share]] = {}


def register(share: Share) -> Share:
    """Makes a share of conversations a figure.

    Raises:
        ValueError: If another figure has the name.
    """
    if share.name in FIGURES:
        message = f"There are two figures of the name {share.name}."
        raise ValueError(message)
    FIGURES[share.name] = Figure(share.name, "1", share.definition, share.version)
    SHARES[share.name] = share
    return share


RESOLVED_LOW: Final = register(
    Share(
        "resolution_ratio_low",
        "Resolved, confirmed",
        "Confirmed resolutions ÷ settled conversations.",
        counted="s.confirmed",
        better="higher",
        gauge=False,
    )
)
RESOLVED_HIGH: Final = register(
    Share(
        "resolution_ratio_high",
        "Resolved, with assumed",
        "Confirmed and assumed resolutions ÷ settled conversations.",
        counted="s.outcome = 'resolved'",
        better="higher",
        gauge=False,
    )
)
CONTAINED: Final = register(
    Share(
        "containment_ratio",
        "Contained",
        "Settled conversations without a handoff to a human ÷ settled conversations. Abandoned"
        " ones count as contained. Also called automation rate.",
        counted="NOT s.handed_off",
        better="higher",
    )
)
HANDED_OFF: Final = register(
    Share(
        "handoff_ratio",
        "Handed off",
        "Settled conversations that were handed off ÷ settled conversations. With containment it"
        " adds up to 1.",
        counted="s.handed_off",
        better="lower",
        version=2,
    )
)
ABANDONED: Final = register(
    Share(
        "abandonment_ratio",
        "Abandoned",
        "Settled conversations that were abandoned ÷ settled conversations.",
        counted="s.outcome = 'abandoned'",
        better="lower",
    )
)

COLUMNS: Final = (
    "started_at", "settled", "handed_off", "outcome", "confirmed", "turns", "engagement", "cost",
    "messages", "duration", "handoffs", "feedback",
)  # fmt: skip
_SUMS: Final = {
    "conversations": "count()",
    **{f"outcome_{name}": f"countIf(s.outcome = '{name}')" for name in semconv.OUTCOMES},
    "settled_n": "countIf(s.settled)",
    "handoffs_sum": "sumIf(s.handoffs, s.settled)",
    "contained_confirmed": "countIf(s.confirmed AND NOT s.handed_off)",
    "contained_resolved": "countIf(s.outcome = 'resolved' AND NOT s.handed_off)",
    "settled_cost": "sumIf(s.cost, s.settled)",
    "engagement_sum": "sum(s.engagement)",
    "turns_sum": "sumIf(s.turns, s.settled)",
    "messages_sum": "sumIf(s.messages, s.settled)",
    "duration_sum": "sumIf(s.duration, s.settled)",
}


def columns() -> tuple[str, ...]:
    """The columns of conversations' rows that `sums` reads."""
    return tuple(
        dict.fromkeys((*COLUMNS, *(name for one in SHARES.values() for name in one.reads)))
    )


def sums() -> dict[str, str]:
    """What conversations sum up to: SQL over rows that are called `s`, by name."""
    shares = {one.part: f"countIf({one.among} AND {one.counted})" for one in SHARES.values()}
    wholes = {one.whole: f"countIf({one.among})" for one in SHARES.values()}
    return {**wholes, **_SUMS, **shares}


def sums_sql() -> str:
    """The same as columns of a SELECT."""
    return ", ".join(f"{sql} AS {name}" for name, sql in sums().items())
