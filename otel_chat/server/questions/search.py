"""Search in what was said: the user's messages, the replies, and messages between turns.

A text is found as it stands, in whatever case. What is stored is JSON, so a quick look at the raw
text comes first, which may also find a key or what a transcript does not show; only what it finds
is taken apart.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from otel_chat import semconv
from otel_chat.errors import QueryError
from otel_chat.server.access import CONVERSATIONS_READ
from otel_chat.server.figures import content
from otel_chat.server.figures.answers import Answer
from otel_chat.server.figures.conversation_rows import KEY, among
from otel_chat.server.figures.sql import Query, moment, nanos

if TYPE_CHECKING:
    from otel_chat.server.access import Scope

LONGEST: Final = 200
AROUND: Final = 60

_PARTS: Final = (
    "arrayFilter(p -> JSONExtractString(p, 'type') IN ('', 'text'),"
    " JSONExtractArrayRaw(m, 'parts'))"
)
_TEXT: Final = (
    f"if(JSONHas(m, 'parts'), arrayStringConcat(arrayMap(p -> JSONExtractString(p, 'content'),"
    f" {_PARTS}), '\\n'), JSONExtractString(m, 'content'))"
)
_USERS: Final = (
    "arrayFilter(m -> JSONExtractString(m, 'role') = 'user', JSONExtractArrayRaw(input_messages))"
)
_SAID: Final = f"arrayMap(m -> {_TEXT}, [{_USERS}[-1]])[1]"
_REPLIED: Final = (
    f"arrayStringConcat(arrayMap(m -> {_TEXT}, JSONExtractArrayRaw(output_messages)), '\\n')"
)

_WITHIN: Final = r'"content"\s*:\s*"(?:[^"\\]|\\.)*'

Key = tuple[str, str]


class Match(Answer):
    """Where a conversation has the text that was searched for: the first place."""

    at: datetime = Field(description="When the turn started, or the message was sent, UTC.")
    sender: str = Field(description="user, assistant, or who sent the message: human, system.")
    snippet: str = Field(description="The text with what stands around it, on one line.")


def _folded(text: str) -> str:
    """The text in lower case, unless that has more letters, as that of İ: no other case fits."""
    lower = text.lower()
    return lower if len(lower) == len(text) else text


def _as_stored(one: str) -> str:
    """An expression for a character in the ways that JSON may write it, in either case.

    Those that differ in case only are one: an expression for a single text is much faster.
    """
    forms = {
        _folded(json.dumps(form, ensure_ascii=escaped)[1:-1])
        for form in (one, one.lower(), one.upper())
        for escaped in (False, True)
    }
    if one == "/":
        forms.add("\\/")
    written = sorted(map(re.escape, forms))
    return written[0] if len(written) == 1 else f"(?:{'|'.join(written)})"


@dataclass(frozen=True, slots=True)
class Search:
    """A text to look for. Made by `of`, which checks who asks.

    Args:
        text: A regular expression for the text itself.
        stored: One for the text as JSON may hold it.
        within: One for that inside a message's content.
    """

    text: str
    stored: str
    within: str

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
        wanted = text.strip()
        if not 1 <= len(wanted) <= LONGEST:
            message = f"What to search for has 1 to {LONGEST} characters."
            raise QueryError(message, field="search")
        if "\0" in wanted or not wanted.isprintable():
            raise QueryError("What to search for is one line of text.", field="search")
        stored = "".join(map(_as_stored, wanted))
        return cls(f"(?i){re.escape(wanted)}", f"(?i){stored}", f"(?i){_WITHIN}(?:{stored})")

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
                self.in_turn(query),
            ],
            once=False,
        )
        events = query.table(
            "events",
            ("tenant", "conversation_id"),
            [
                query.between("time", start, end),
                f"name = '{semconv.EVENT_MESSAGE}'",
                self._in_event(query),
            ],
            once=False,
        )
        return (
            f"(SELECT {KEY} FROM {turns} AS t UNION ALL"  # noqa: S608
            f" SELECT {KEY} FROM {events} AS e)"
        )

    def in_turn(self, query: Query) -> str:
        """The condition that the text stands in a turn's message or in its reply."""
        return f"({self._in_user(query)}) OR ({self._in_reply(query)})"

    def _in_user(self, query: Query) -> str:
        return self._in(query, "input_messages", _SAID)

    def _in_reply(self, query: Query) -> str:
        return self._in(query, "output_messages", _REPLIED)

    def _in(self, query: Query, column: str, text: str) -> str:
        # Each is dearer than the one before, and asked of what that one found.
        stored = f"match({column}, {query.bind(self.stored, 'String')})"
        within = f"match({column}, {query.bind(self.within, 'String')})"
        exact = f"match({text}, {query.bind(self.text, 'String')})"
        return f"if({stored}, if({within}, {exact}, false), false)"

    def _in_event(self, query: Query) -> str:
        return f"match(text, {query.bind(self.text, 'String')})"

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
                self.in_turn(query),
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
                self._in_event(query),
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
            if text and (place := re.search(self.text, text)):
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
