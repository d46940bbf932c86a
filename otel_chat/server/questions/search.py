"""Search in what was said: the user's messages, the replies, and messages between turns."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from otel_chat import semconv
from otel_chat.server.access import CONVERSATIONS_READ
from otel_chat.server.figures import content
from otel_chat.server.figures.answers import Answer
from otel_chat.server.figures.conversation_rows import KEY, among
from otel_chat.server.figures.sql import Query, moment, nanos
from otel_chat.server.figures.texts import Sought

if TYPE_CHECKING:
    from otel_chat.server.access import Scope

AROUND: Final = 60

Key = tuple[str, str]


class Match(Answer):
    """Where a conversation has the text that was searched for: the first place."""

    at: datetime = Field(description="When the turn started, or the message was sent, UTC.")
    sender: str = Field(description="user, assistant, or who sent the message: human, system.")
    snippet: str = Field(description="The text with what stands around it, on one line.")


@dataclass(frozen=True, slots=True)
class Search:
    """A text to look for. Made by `of`, which checks who asks.

    Args:
        sought: The text.
    """

    sought: Sought

    @classmethod
    def of(cls, scope: Scope, text: str) -> Search:
        """The search for a text, for whoever may read what was said.

        Args:
            scope: What the caller may see.
            text: What to look for, 1 to 200 characters, not only white space.

        Raises:
            AccessError: If the scope may not read what was said.
            QueryError: If the text is empty or too long.
        """
        scope.require(CONVERSATIONS_READ)
        return cls(Sought.of(text, "search"))

    def among(self, query: Query, start: datetime, end: datetime) -> str:
        """The condition that a conversation has the text in [start, end)."""
        source = self._found(query, start, end)
        return f"({KEY}) IN (SELECT {KEY} FROM {source} AS s)"  # noqa: S608

    def _found(self, query: Query, start: datetime, end: datetime) -> str:
        turns = query.table(
            "turns",
            ("tenant", "conversation_id"),
            [
                query.between("start", start, end),
                "conversation_id != ''",
                self.sought.in_turn(query),
            ],
            once=False,
        )
        events = query.table(
            "events",
            ("tenant", "conversation_id"),
            [
                query.between("time", start, end),
                f"name = '{semconv.EVENT_MESSAGE}'",
                self.sought.in_message(query),
            ],
            once=False,
        )
        return (
            f"(SELECT {KEY} FROM {turns} AS t UNION ALL"  # noqa: S608
            f" SELECT {KEY} FROM {events} AS e)"
        )

    def matches(
        self, query: Query, scope: Scope, start: datetime, end: datetime, keys: list[Key]
    ) -> dict[Key, Match]:
        """The first place in [start, end) of each of these conversations that has the text."""
        found: dict[Key, Match] = {}
        rows = [*self._turns(query, start, end, keys), *self._events(query, start, end, keys)]
        for row in sorted(rows, key=lambda row: (row["at_ns"], row["place"])):
            key = (row["tenant"], row["conversation_id"])
            if key not in found and (match := self._match(scope, row)) is not None:
                found[key] = match
        return found

    def _turns(
        self, query: Query, start: datetime, end: datetime, keys: list[Key]
    ) -> list[dict[str, Any]]:
        source = query.table(
            "turns",
            ("tenant", "conversation_id", "start", "span_id", "input_messages", "output_messages"),
            [
                query.between("start", start, end),
                *among(query, keys),
                self.sought.in_turn(query),
            ],
        )
        return query.run(f"""
            SELECT {KEY}, {nanos("start")} AS at_ns, hex(span_id) AS place,
                input_messages AS user, output_messages AS assistant
            FROM {source} AS t
            ORDER BY start, span_id
            LIMIT 1 BY {KEY}
        """)  # noqa: S608

    def _events(
        self, query: Query, start: datetime, end: datetime, keys: list[Key]
    ) -> list[dict[str, Any]]:
        source = query.table(
            "events",
            ("tenant", "conversation_id", "time", "uid", "sender", "text"),
            [
                query.between("time", start, end),
                f"name = '{semconv.EVENT_MESSAGE}'",
                *among(query, keys),
                self.sought.in_message(query),
            ],
        )
        return query.run(f"""
            SELECT {KEY}, {nanos("time")} AS at_ns, uid AS place, sender, text
            FROM {source} AS e
            ORDER BY time, uid
            LIMIT 1 BY {KEY}
        """)  # noqa: S608

    def _match(self, scope: Scope, row: dict[str, Any]) -> Match | None:
        said = (
            [(row["sender"], row["text"])]
            if "text" in row
            else [
                ("user", content.user_message(scope, row["user"])),
                ("assistant", content.reply(scope, row["assistant"])),
            ]
        )
        for sender, text in said:
            if text and (place := re.search(self.sought.text, text)):
                return Match(
                    at=moment(row["at_ns"]),
                    sender=sender,
                    snippet=_around(text, place.start(), place.end()),
                )
        return None


def _around(text: str, start: int, end: int) -> str:
    """A piece of a text with what stands around it, on one line."""
    first, last = max(0, start - AROUND), min(len(text), end + AROUND)
    piece = " ".join(text[first:last].split())
    return f"{'…' if first else ''}{piece}{'…' if last < len(text) else ''}"
