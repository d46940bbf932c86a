"""Users who came back: a conversation that was contained may not have helped."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from otel_chat.errors import QueryError
from otel_chat.server.figures.answers import Answer, TimeSpan
from otel_chat.server.figures.conversation_rows import Selection, conversation_rows
from otel_chat.server.figures.filters import Filters
from otel_chat.server.figures.registry import figure, query
from otel_chat.server.figures.sql import Query, ratio
from otel_chat.server.figures.window import EARLIEST, LATEST, Window

if TYPE_CHECKING:
    from otel_chat.server.access import Scope
    from otel_chat.server.store import Store

HOURS: Final = 24.0
LONGEST: Final = 720.0


class Returned(Answer):
    """Conversations after which there was time to come back."""

    rate: float | None = figure(
        "repeat_contact_ratio",
        "1",
        "Conversations whose user came back ÷ conversations observed. The user came back who"
        " started another conversation later than this one, at the latest the given hours after"
        " its last activity; users are told apart by tenant and hash. Null where no user is"
        " hashed.",
    )
    returned: int = figure(
        "repeat_contacts", "{conversation}", "Observed conversations whose user came back."
    )
    observed: int = figure(
        "repeat_contact_observed",
        "{conversation}",
        "Settled conversations with a hashed user whose last activity is at least the given hours"
        " ago.",
    )

    @classmethod
    def read(cls, row: dict[str, Any], name: str) -> Returned:
        """The returns of a row, among all settled conversations or the contained ones."""
        returned, observed = row.get(f"{name}_returned", 0), row.get(f"{name}_observed", 0)
        return cls(rate=ratio(returned, observed), returned=returned, observed=observed)


class RepeatContact(Answer):
    """Users who came back after conversations that started in the window."""

    window: TimeSpan
    hours: float = Field(description="How long after a conversation coming back counts.")
    settled: int = Field(description="Settled conversations.")
    with_user: int = figure(
        "settled_conversations_with_user",
        "{conversation}",
        "Settled conversations with a turn that carries a hashed user, of several the last by"
        " hash.",
    )
    pending: int = figure(
        "repeat_contact_pending",
        "{conversation}",
        "Settled conversations with a hashed user whose hours are not over: in no rate.",
    )
    all: Returned = Field(description="After any settled conversation.")
    contained: Returned = Field(description="After settled conversations without a handoff.")
    lasting_containment: float | None = figure(
        "lasting_containment_ratio",
        "1",
        "Observed conversations without a handoff whose user did not come back ÷ conversations"
        " observed.",
    )


# To join by it takes half as long as by the tenant and the user themselves.
_WHO: Final = "reinterpretAsUInt128(sipHash128(toString(tenant), user))"


def _row(statement: Query, window: Window, filters: Filters, period: timedelta) -> dict[str, Any]:
    settled = conversation_rows(
        statement, Selection(window, filters), "user", "started_at", "last_at", "settled",
        "handed_off",
    )  # fmt: skip
    # Whoever comes back may do so through another channel, to another agent.
    # A conversation may last long after the window, and one that was active may have begun before.
    begun = EARLIEST if window.by == "active" else window.start
    later = replace(window, start=begun, end=LATEST, by="started")
    starts = conversation_rows(statement, Selection(later, Filters()), "user", "started_at")
    micros = statement.bind(period // timedelta(microseconds=1), "Int64")
    now = statement.moment(window.now)
    return statement.one(f"""
        SELECT count() AS settled, countIf(user != '') AS with_user,
            countIf(user != '' AND NOT observed) AS pending,
            countIf(observed) AS all_observed,
            countIf(observed AND returned) AS all_returned,
            countIf(observed AND NOT handed_off) AS contained_observed,
            countIf(observed AND NOT handed_off AND returned) AS contained_returned
        FROM (
            SELECT c.user AS user, c.handed_off AS handed_off,
                c.last_at + toIntervalMicrosecond({micros}) AS until,
                c.user != '' AND until <= {now} AS observed,
                s.started_at > c.started_at AND s.started_at <= until AS returned
            FROM (
                SELECT user, {_WHO} AS who, handed_off, started_at, last_at
                FROM {settled}
                WHERE settled
            ) AS c
            ASOF LEFT JOIN (
                SELECT {_WHO} AS who, started_at FROM {starts} AS t WHERE user != ''
            ) AS s
            ON c.who = s.who AND s.started_at > c.started_at
        )
    """)  # noqa: S608


@query()
def repeat_contact(
    store: Store, scope: Scope, window: Window, filters: Filters, hours: float = HOURS
) -> RepeatContact:
    """How often users came back after the conversations that started in the window.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The conversations to take.
        filters: What they are limited to; what the user comes back to is not.
        hours: How long after a conversation coming back counts, above 0 and at most 720.

    Raises:
        QueryError: If the hours are out of range.
    """
    if not 0 < hours <= LONGEST:
        raise QueryError(f"Give more than 0 and at most {LONGEST:g} hours.", field="hours")
    row = _row(Query(store, scope), window, filters, timedelta(hours=hours))
    contained = Returned.read(row, "contained")
    every = Returned.read(row, "all")
    return RepeatContact(
        window=TimeSpan.of(window),
        hours=hours,
        settled=row.get("settled", 0),
        with_user=row.get("with_user", 0),
        pending=row.get("pending", 0),
        all=every,
        contained=contained,
        lasting_containment=ratio(contained.observed - contained.returned, every.observed),
    )
