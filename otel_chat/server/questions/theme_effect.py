"""Did it help? How often a question was asked before and after something was decided about it.

An asking is a message that is as near to the one that was decided about as `ALIKE`, whether or not
the bot understood it. Of eight questions of the real conversations, between 70 and 98 % of the
messages with which their intent began were found so, and of what was found next to nothing to a
third began another intent about the same thing ("book a hotel" beside "find a hotel").
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import Field

from otel_chat.errors import AccessError
from otel_chat.server.access import CONVERSATIONS_READ
from otel_chat.server.figures import content
from otel_chat.server.figures.answers import Answer
from otel_chat.server.figures.figures import turns_source
from otel_chat.server.figures.intervals import garwood, newcombe, wilson
from otel_chat.server.figures.plain_words import telling
from otel_chat.server.figures.registry import figure, query
from otel_chat.server.figures.sql import Query, moment, nanos, ratio
from otel_chat.server.questions.theme_states import (
    ALIKE,
    Decision,
    compared,
    likeness,
    theme_states,
)
from otel_chat.server.questions.unanswered import normal

if TYPE_CHECKING:
    from otel_chat.server.access import Scope
    from otel_chat.server.figures.filters import Filters
    from otel_chat.server.figures.window import Window
    from otel_chat.server.store import Store

SPAN: Final = timedelta(weeks=4)
READ: Final = 5000
_STEM: Final = 5
_WEEK: Final = timedelta(weeks=1)
_NAMED: Final = (
    "tenant", "conversation_id", "start", "confidence", "fallback", "input_messages",
)  # fmt: skip

Verdict = Literal["fewer", "more", "within_chance", "no_data"]


class Asked(Answer):
    """How often a question was asked in a stretch of time, and what became of it."""

    start: datetime
    end: datetime
    conversations: int = figure(
        "theme_asked",
        "{conversation}",
        "Conversations in which the question was asked, understood or not.",
    )
    per_week: float | None = figure(
        "theme_asked_per_week", "{conversation}", "These conversations ÷ weeks."
    )
    per_week_low: float | None = Field(description="Its 95 % interval (Garwood).")
    per_week_high: float | None
    unanswered: int = figure(
        "theme_left_unanswered",
        "{conversation}",
        "Those among them in which the last asking was not understood.",
    )
    rate: float | None = figure(
        "theme_unanswered_ratio", "1", "Conversations left unanswered ÷ those that asked."
    )
    rate_low: float | None = Field(description="Its 95 % interval (Wilson).")
    rate_high: float | None


class Effect(Answer):
    """A question before and after something was decided about it."""

    decision: Decision
    before: Asked = Field(description=f"At most {SPAN.days} days before.")
    after: Asked = Field(description=f"At most {SPAN.days} days after.")
    change: float | None = Field(description="Of the share that was left unanswered.")
    change_low: float | None = Field(description="Its 95 % interval (Newcombe).")
    change_high: float | None
    verdict: Verdict = Field(
        description="Whether fewer or more are left unanswered, beyond chance at 95 %."
    )


@query(CONVERSATIONS_READ)
def theme_effect(
    store: Store, scope: Scope, window: Window, filters: Filters, trace_id: str
) -> Effect:
    """A question before and after something was decided about it; for who may read text.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: When it is asked; the times are those about the decision.
        filters: What the turns are limited to.
        trace_id: The asking with which it was decided.

    Raises:
        AccessError: With status 404, if nothing was decided with it.
        ConfigurationError: If the extra `themes` is not installed.
    """
    found = [one for one in theme_states(store, scope).items if one.trace_id == trace_id]
    if not found:
        raise AccessError("Nothing was decided about a question with this trace.", status=404)
    decision = found[0]
    now = max(window.now, decision.at + timedelta(microseconds=1))
    earlier = replace(window, start=decision.at - SPAN, end=decision.at)
    later = replace(window, start=decision.at, end=min(decision.at + SPAN, now))
    first = _first(Query(store, scope), replace(earlier, end=later.end), filters)
    reading = store.submit(_asked, Query(store, scope), scope, earlier, filters, decision, first)
    after = _asked(Query(store, scope), scope, later, filters, decision, first)
    before = reading.result()
    change = newcombe(
        (after.unanswered, after.conversations), (before.unanswered, before.conversations)
    )
    verdict: Verdict = "no_data"
    if change is not None:
        verdict = "fewer" if change.high < 0 else "more" if change.low > 0 else "within_chance"
    return Effect(
        decision=decision,
        before=before,
        after=after,
        change=None if change is None else (after.rate or 0) - (before.rate or 0),
        change_low=change.low if change else None,
        change_high=change.high if change else None,
        verdict=verdict,
    )


def _asked(
    statement: Query,
    scope: Scope,
    window: Window,
    filters: Filters,
    decision: Decision,
    first: datetime,
) -> Asked:
    """How often it was asked in a window, from the first turn that there is on."""
    start = min(max(window.start, first), window.end)
    rows = _read(statement, window, filters, decision)
    if len(rows) == READ:
        start = moment(rows[-1]["ns"])
    texts = [normal(content.user_message(scope, row["input_messages"]) or "") for row in rows]
    key = compared(normal(decision.message))
    (near,) = likeness([key], [compared(text) for text in texts])
    last: dict[tuple[str, str], bool] = {}
    for row, alike in zip(rows, near, strict=True):  # the newest first
        if alike >= ALIKE:
            last.setdefault((row["tenant"], row["conversation_id"]), row["missed"])
    weeks = (window.end - start) / _WEEK
    count, left = len(last), sum(last.values())
    expected, share = garwood(count), wilson(left, count)
    return Asked(
        start=start,
        end=window.end,
        conversations=count,
        per_week=count / weeks if weeks else None,
        per_week_low=expected.low / weeks if weeks else None,
        per_week_high=expected.high / weeks if weeks else None,
        unanswered=left,
        rate=ratio(left, count),
        rate_low=share.low if share else None,
        rate_high=share.high if share else None,
    )


def _first(statement: Query, window: Window, filters: Filters) -> datetime:
    """When the first turn of a window was, before which nothing could be asked; else its end."""
    source = turns_source(statement, window, filters, ("start",))
    row = statement.one(
        f"SELECT count() AS turns, {nanos('min(start)')} AS ns FROM {source} AS t"  # noqa: S608
    )
    return moment(row["ns"]) if row.get("turns") else window.end


def _read(
    statement: Query, window: Window, filters: Filters, decision: Decision
) -> list[dict[str, Any]]:
    """The newest turns whose messages may be askings: with the beginning of one of its words."""
    words = telling(normal(decision.message))
    conditions = ["input_messages != ''"]
    # What is stored may write other letters in another way.
    if words and decision.message.isascii():
        stems = statement.bind(sorted({word[:_STEM] for word in words}), "Array(String)")
        conditions.append(f"multiSearchAnyCaseInsensitive(input_messages, {stems})")
    return statement.run(f"""
        SELECT toString(tenant) AS tenant, conversation_id, {nanos("start")} AS ns,
            {statement.store.rules.unsure} AS missed, input_messages
        FROM {turns_source(statement, window, filters, _NAMED)} AS t
        WHERE {" AND ".join(conditions)}
        ORDER BY ns DESC LIMIT {READ}
    """)  # noqa: S608
