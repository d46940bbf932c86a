"""A text to look for in what was said in a turn.

A text is found as it stands, in whatever case. What is stored is JSON, so a quick look at the raw
text comes first, which may also find a key or what a transcript does not show; only what it finds
is taken apart.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otel_chat.errors import QueryError

if TYPE_CHECKING:
    from otel_chat.server.figures.sql import Query

LONGEST: Final = 200

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
class Sought:
    """A text to look for. Made by `of`, which checks it.

    Args:
        text: A regular expression for the text itself.
        stored: One for the text as JSON may hold it.
        within: One for that inside a message's content.
    """

    text: str
    stored: str
    within: str

    @classmethod
    def of(cls, text: str, field: str) -> Sought:
        """A text to look for, 1 to 200 characters, not only white space.

        Args:
            text: What to look for.
            field: The parameter that it came in.

        Raises:
            QueryError: If it is empty, too long, or more than a line.
        """
        wanted = text.strip()
        if not 1 <= len(wanted) <= LONGEST:
            message = f"What to search for has 1 to {LONGEST} characters."
            raise QueryError(message, field=field)
        if "\0" in wanted or not wanted.isprintable():
            raise QueryError("What to search for is one line of text.", field=field)
        stored = "".join(map(_as_stored, wanted))
        return cls(f"(?i){re.escape(wanted)}", f"(?i){stored}", f"(?i){_WITHIN}(?:{stored})")

    def in_turn(self, query: Query) -> str:
        """The condition that a turn's user or reply says it."""
        user = self._in(query, "input_messages", _SAID)
        return f"(({user}) OR ({self._in(query, 'output_messages', _REPLIED)}))"

    def _in(self, query: Query, column: str, text: str) -> str:
        # Each is dearer than the one before, and asked of what that one found.
        stored = f"match({column}, {query.bind(self.stored, 'String')})"
        within = f"match({column}, {query.bind(self.within, 'String')})"
        exact = f"match({text}, {query.bind(self.text, 'String')})"
        return f"if({stored}, if({within}, {exact}, false), false)"

    def in_message(self, query: Query) -> str:
        """The condition that the message of an event says it."""
        return f"match(text, {query.bind(self.text, 'String')})"
