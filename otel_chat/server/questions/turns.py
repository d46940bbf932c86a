"""Turns as they are shown: what a transcript and the list of interactions have in common."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from otel_chat import semconv
from otel_chat.server.figures import content
from otel_chat.server.figures.answers import Answer, Money
from otel_chat.server.figures.sql import moment, nanos
from otel_chat.server.rules import MODEL

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from otel_chat.server.access import Scope
    from otel_chat.server.figures.sql import Query


class TurnIntent(Answer):
    """An intent that was seen in a turn."""

    name: str = Field(description="The intent; empty where none matched.")
    confidence: float | None
    source: str = Field(description="classifier or annotation.")
    success: bool | None = Field(description="As reported; null where nobody said.")
    fallback: bool | None


class TurnTokens(Answer):
    """Tokens of a turn; `null` where it reported none."""

    input: int | None
    output: int | None
    cache_read: int | None
    reasoning: int | None


class TurnHandoff(Answer):
    """Whether a turn asked for a human, why and for whom."""

    triggered: bool
    reason: str
    target: str


class Turn(Answer):
    """A user message and the reply to it.

    Text is null where none is stored, or where the token does not hold conversations:read.
    """

    id: str = Field(description="The digits of its trace and of its span, joined by a hyphen.")
    conversation_id: str
    tenant: str
    index: int | None = Field(
        description="Its place in the conversation by time, from 1; null in lists of turns."
    )
    trace_id: str = Field(description="32 hexadecimal digits.")
    span_id: str = Field(description="16 hexadecimal digits.")
    start: datetime
    duration: float = Field(description="Seconds.")
    time_to_first_chunk: float | None = Field(description="Seconds; null if not streamed.")
    status: str = Field(description="ok, error or cancelled.")
    error_type: str
    agent: str
    agent_version: str
    variant: str
    channel: str
    user_type: str
    user_message: str | None
    reply: str | None
    intent: str
    intents: list[TurnIntent]
    confidence: float | None
    fallback: bool | None
    sentiment: str
    model: str = Field(description="The model that answered, else the one that was asked for.")
    provider: str
    tokens: TurnTokens
    cost: Money | None = Field(description="USD, exact; null if unpriced.")
    cost_source: str = Field(
        description="provider, local, server, unpriced, or empty without a model."
    )
    prompt: str = Field(
        description="The prompt's name: that of the first model call that names one."
    )
    prompt_version: str
    message_type: str
    context_size: int | None
    cached: bool | None
    handoff: TurnHandoff
    metadata: str | None = Field(description="The application's own data, a JSON text.")
    kept: bool = Field(description="Whether its trace was kept for Tempo: not marked as left out.")
    foreign: bool = Field(
        description="Whether another instrumentation than this project's sent it."
    )


PLAIN: Final = (
    "conversation_id", "tenant", "duration", "time_to_first_chunk", "status", "error_type",
    "agent", "agent_version", "variant", "channel", "user_type", "intent", "confidence",
    "fallback", "sentiment", "provider", "cost", "cost_source", "message_type", "context_size",
    "prompt", "prompt_version", "cached", "foreign",
)  # fmt: skip
_SELECTED: Final = (
    *PLAIN,
    "page",
    f"{nanos('start')} AS start_ns",
    "lower(hex(trace_id)) AS trace_hex",
    "lower(hex(span_id)) AS span_hex",
    f"{MODEL} AS model",
    f"attributes['{semconv.KEEP}'] != 'false' AS kept",
    "input_messages", "output_messages", "metadata", "input_tokens", "output_tokens",
    "cache_read_tokens", "reasoning_tokens", "handoff", "handoff_reason", "handoff_target",
)  # fmt: skip


def turns_sql(query: Query, conditions: Sequence[str]) -> str:
    """SQL for the rows that `read_turn` reads."""
    return query.select("turns", _SELECTED, conditions)


def read_turn(
    scope: Scope, row: dict[str, Any], intents: Sequence[TurnIntent], index: int | None = None
) -> Turn:
    """The turn of a row of `turns_sql`."""
    return Turn(
        **{name: row[name] for name in PLAIN},
        id=f"{row['trace_hex']}-{row['span_hex']}",
        index=index,
        trace_id=row["trace_hex"],
        span_id=row["span_hex"],
        start=moment(row["start_ns"]),
        user_message=content.user_message(scope, row["input_messages"]),
        reply=content.reply(scope, row["output_messages"]),
        metadata=content.said(scope, row["metadata"]),
        model=row["model"],
        kept=row["kept"],
        intents=list(intents),
        tokens=TurnTokens(
            input=row["input_tokens"],
            output=row["output_tokens"],
            cache_read=row["cache_read_tokens"],
            reasoning=row["reasoning_tokens"],
        ),
        handoff=TurnHandoff(
            triggered=row["handoff"], reason=row["handoff_reason"], target=row["handoff_target"]
        ),
    )


INTENT_COLUMNS: Final = (
    "time", "uid", "trace_id", "span_id", "intent", "confidence", "source", "success", "fallback",
)  # fmt: skip


def intents_of(query: Query, conditions: Sequence[str]) -> dict[tuple[str, str], list[TurnIntent]]:
    """The intents seen in turns, by the hexadecimal ids of trace and span."""
    named = f"name = '{semconv.EVENT_INTENT}'"
    source = query.table("events", INTENT_COLUMNS, [named, *conditions])
    return turn_intents(
        query.run(f"""
            SELECT lower(hex(trace_id)) AS trace_hex, lower(hex(span_id)) AS span_hex,
                intent, confidence, source, success, fallback
            FROM {source} AS e
            ORDER BY time, uid
        """)  # noqa: S608
    )


def turn_intents(rows: Iterable[dict[str, Any]]) -> dict[tuple[str, str], list[TurnIntent]]:
    """The same from rows that were read, in their order."""
    found: dict[tuple[str, str], list[TurnIntent]] = {}
    for row in rows:
        intent = TurnIntent(name=row["intent"], **_without_name(row))
        found.setdefault((row["trace_hex"], row["span_hex"]), []).append(intent)
    return found


def _without_name(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("confidence", "source", "success", "fallback")}


def transcript(
    scope: Scope,
    rows: Iterable[dict[str, Any]],
    intents: dict[tuple[str, str], list[TurnIntent]],
    before: int = 0,
) -> list[Turn]:
    """The turns of a conversation, given in order, numbered from 1, or after so many before."""
    return [
        read_turn(scope, row, intents.get((row["trace_hex"], row["span_hex"]), ()), index)
        for index, row in enumerate(rows, start=before + 1)
    ]
