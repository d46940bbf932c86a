"""What is shown of a conversation in a list: how it began and ended, and why it is notable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from otel_chat.server.figures import content
from otel_chat.server.figures.answers import Answer
from otel_chat.server.figures.conversation_rows import KEY, among
from otel_chat.server.figures.registry import query
from otel_chat.server.figures.sql import Query
from otel_chat.server.rules import IS_FEEDBACK, SLOW_SECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from otel_chat.server.access import Scope
    from otel_chat.server.figures.window import Window
    from otel_chat.server.store import Store

LONGEST: Final = 280
_COLUMNS: Final = (
    "tenant", "conversation_id", "start", "span_id", "duration", "status", "intent", "confidence",
    "fallback", "input_messages", "output_messages",
)  # fmt: skip

Key = tuple[str, str]


class PreviewRating(Answer):
    """A rating by a user, as it was given."""

    value: float
    highest: float | None = Field(description="The end of its scale; null where none was said.")


class Preview(Answer):
    """How a conversation began and ended, and why it is notable.

    Text is null where none is stored, or where the token does not hold conversations:read.
    """

    first_message: str | None = Field(
        description=f"What the user said first, the first {LONGEST} characters."
    )
    last_reply: str | None = Field(
        description=f"What was replied last, the first {LONGEST} characters."
    )
    intents: list[str] = Field(
        description="The intents of its turns in order; one that comes again at once is left out."
    )
    unsure: int = Field(
        description="Turns with a confidence below the threshold, or no matched intent."
    )
    failed: int = Field(description="Turns that ended in an error.")
    slow: int = Field(description=f"Turns that took {SLOW_SECONDS:g} s or longer.")
    rating: PreviewRating | None = Field(description="The last rating by its user; null without.")


@query()
def previews(
    store: Store, scope: Scope, window: Window, keys: Sequence[Key], since: datetime
) -> dict[Key, Preview]:
    """What is shown of each of some conversations in a list.

    Args:
        store: The store to ask.
        scope: What the caller may see; text only with conversations:read.
        window: When it is asked about.
        keys: Their tenants and ids.
        since: When the first of them started.
    """
    if not keys:
        return {}
    statement = Query(store, scope)
    until = max(window.end, window.now)
    rated = store.submit(_ratings, statement.again(), keys, since, until)
    rows = statement.run(_turns_sql(statement, keys, since, until))
    ratings = rated.result()
    return {key: _read(scope, row, ratings.get(key)) for row in rows for key in [_key(row)]}


def _turns_sql(statement: Query, keys: Sequence[Key], since: datetime, until: datetime) -> str:
    within = [statement.between("start", since, until), *among(statement, keys)]
    said, replied = "input_messages != ''", "output_messages != ''"
    return f"""
        SELECT {KEY},
            argMinIf(input_messages, (start, span_id), {said}) AS first,
            argMaxIf(output_messages, (start, span_id), {replied}) AS last,
            arrayCompact(arrayFilter(x -> x != '',
                arrayMap(x -> x.3, arraySort(groupArray((start, span_id, intent)))))) AS intents,
            countIf({statement.store.rules.unsure}) AS unsure,
            countIf(status = 'error') AS failed,
            countIf(duration >= {SLOW_SECONDS}) AS slow
        FROM {statement.table("turns", _COLUMNS, within)} AS t
        GROUP BY {KEY}
    """  # noqa: S608


def _ratings(
    statement: Query, keys: Sequence[Key], since: datetime, until: datetime
) -> dict[Key, PreviewRating]:
    within = [
        statement.between("time", since, until),
        *among(statement, keys),
        IS_FEEDBACK,
        "value IS NOT NULL",
    ]
    columns = ("tenant", "conversation_id", "time", "uid", "value", "scale_max")
    rows = statement.run(f"""
        SELECT {KEY}, value, scale_max FROM {statement.table("events", columns, within)} AS e
        ORDER BY time DESC, uid DESC LIMIT 1 BY {KEY}
    """)  # noqa: S608
    return {
        _key(row): PreviewRating(value=row["value"], highest=row["scale_max"])
        for row in rows
        if row["value"] is not None
    }


def _key(row: dict[str, Any]) -> Key:
    return row["tenant"], row["conversation_id"]


def _read(scope: Scope, row: dict[str, Any], rating: PreviewRating | None) -> Preview:
    return Preview(
        first_message=_cut(content.user_message(scope, row["first"])),
        last_reply=_cut(content.reply(scope, row["last"])),
        intents=row["intents"],
        unsure=row["unsure"],
        failed=row["failed"],
        slow=row["slow"],
        rating=rating,
    )


def _cut(text: str | None) -> str | None:
    """A text on one line, cut where it is too long for a list."""
    line = " ".join((text or "").split())
    return (f"{line[:LONGEST]}…" if len(line) > LONGEST else line) or None
