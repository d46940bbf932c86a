"""Trees of conditions: what filters say together, and the language of `where`.

They are asked of each turn, with its conversation around it; a conversation fulfils a tree if one
of its turns does. There is one exception, as in the flat language: for conversations `not` says
that no turn of them is such a one, for turns that this one is not.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from otel_chat.errors import QueryError
from otel_chat.server.figures.conditions import Condition, Value, checked, held
from otel_chat.server.figures.fields import FIELDS, OPERATORS, field_of

if TYPE_CHECKING:
    from datetime import datetime

    from otel_chat.server.figures.fields import Operator
    from otel_chat.server.figures.sql import Query

LONGEST: Final = 4000
MOST_CONDITIONS: Final = 50
MOST_DEPTH: Final = 20
MOST_CASES: Final = 64
_IN_BOTH: Final = "conversation_id"
"""A column of turns and of conversations: it needs no look into the other."""


@dataclass(frozen=True, slots=True)
class Every:
    """All of these hold."""

    parts: tuple[Node, ...]

    @property
    def flat(self) -> list[Node]:
        """What holds together, without one `and` inside of another."""
        found: list[Node] = []
        for one in self.parts:
            found.extend(one.flat if isinstance(one, Every) else [one])
        return found


@dataclass(frozen=True, slots=True)
class Either:
    """At least one of these holds."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Without:
    """This does not hold."""

    part: Node


Node = Condition | Every | Either | Without


def node_of(one: Condition) -> Node:
    """A condition as a tree, whose conditions have no `not` of their own."""
    if not one.negative:
        return one
    values = (True,) if one.field.kind == "flag" else one.values
    return Without(Condition(one.name, "is", values))


def conditions_in(tree: Node) -> Iterator[Condition]:
    """All conditions of a tree."""
    match tree:
        case Condition():
            yield tree
        case Without(part):
            yield from conditions_in(part)
        case Every(parts) | Either(parts):
            for one in parts:
                yield from conditions_in(one)


def of_whole_alone(tree: Node) -> bool:
    """Whether it says something about whole conversations and nothing about turns."""
    return all(one.field.level == "conversation" for one in conditions_in(tree))


def in_turns(
    query: Query, tree: Node, members: Callable[[Node], str], since: datetime | None
) -> str:
    """SQL of a tree on a row of `turns`; see `Filters.of_turn`."""
    return _told(tree, lambda one: held(query, one, since), members)


def in_rating(query: Query, tree: Node, *, wanted: bool = True) -> str:
    """SQL of a tree on `x`, a rating in a row of `conversations`, as far as that knows its turn.

    What it does not know of the turn is held to fit.
    """
    if isinstance(tree, Without):
        return f"NOT ({in_rating(query, tree.part, wanted=not wanted)})"
    if isinstance(tree, Condition):
        if tree.field.level == "conversation":
            return held(query, tree, None)
        if tree.field.kept:
            return tree.holds(query, f"x.{tree.name}")
        return "true" if wanted else "false"
    return _joined(tree, [in_rating(query, one, wanted=wanted) for one in tree.parts])


def _joined(tree: Every | Either, parts: Sequence[str]) -> str:
    """SQL of a tree, of the SQL of its parts."""
    return f"({(' AND ' if isinstance(tree, Every) else ' OR ').join(parts)})"


def _told(
    tree: Node, condition: Callable[[Condition], str], members: Callable[[Node], str] | None = None
) -> str:
    """SQL of a tree on one row."""
    if members is not None and of_whole_alone(tree):
        return members(tree)
    if isinstance(tree, Condition):
        return condition(tree)
    if isinstance(tree, Without):
        return f"NOT ({_told(tree.part, condition, members)})"
    return _joined(tree, [_told(one, condition, members) for one in tree.parts])


def _whole(tree: Node) -> bool:
    """Whether it is the same for all turns of a conversation; what must not be is."""
    match tree:
        case Condition():
            return tree.field.level == "conversation" or tree.name == _IN_BOTH
        case Without():
            return True
        case Every(parts) | Either(parts):
            return all(map(_whole, parts))


def _single(tree: Node) -> bool:
    """Whether all of it depends on the turn."""
    match tree:
        case Condition() | Without():
            return not _whole(tree)
        case Every(parts) | Either(parts):
            return all(map(_single, parts))


def in_conversations(
    query: Query, together: Sequence[Node], since: datetime | None, within: str = ""
) -> str:
    """SQL on a row of `conversations`, `r`: one of its turns fulfils all of this.

    Args:
        query: The SELECT under construction.
        together: What it must fulfil.
        since: No turn in question is earlier.
        within: What must hold besides of the turn.
    """
    parts = Every(tuple(together)).flat
    mixed = next((one for one in parts if not _whole(one) and not _single(one)), None)
    if isinstance(mixed, Either):
        others = [one for one in parts if one is not mixed]
        cases = [in_conversations(query, [*others, one], since, within) for one in mixed.parts]
        return f"({' OR '.join(cases)})"
    # What must not be, no turn of whatever time may be, where only some of the turns are asked of.
    ever = None if within else since
    conditions = [_of_whole(query, one, ever) for one in parts if _whole(one)]
    of_turns = Every(tuple(one for one in parts if not _whole(one)))
    if of_turns.parts or within:
        conditions.append(_some_turn(query, of_turns, since, within))
    return f"({' AND '.join(conditions)})" if conditions else "true"


def _of_whole(query: Query, tree: Node, since: datetime | None) -> str:
    match tree:
        case Condition():
            return held(query, tree, None)
        case Without(part):
            return f"NOT {in_conversations(query, [part], since)}"
        case Every() | Either():
            return _joined(tree, [_of_whole(query, one, since) for one in tree.parts])


def _some_turn(query: Query, tree: Every, since: datetime | None, within: str) -> str:
    kept = all(one.field.kept == "combinations" for one in conditions_in(tree))
    if kept and not within:
        named = _told(tree, lambda one: one.holds(query, f"x.{one.name}"))
        return f"arrayExists(x -> {named}, r.combinations)"
    conditions = [within] if within else []
    if since is not None:
        conditions.append(f"start >= {query.moment(since)}")
    if tree.parts:
        conditions.append(_told(tree, lambda one: held(query, one, since)))
    turns = query.table("turns", ("tenant", "conversation_id"), conditions)
    return f"(tenant, conversation_id) IN {turns}"


_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
    r"""|(?P<sign>!=|>=|<=|[=<>(),])|(?P<word>[^\s"'()=<>!,]+))"""
)
_SIGNS: Final[dict[str, Operator]] = {
    "=": "is", "!=": "not", ">=": "min", "<=": "max", ">": "above", "<": "below",
    "contains": "like", "in": "is", "not in": "not",
}  # fmt: skip
_RESERVED: Final = frozenset({"and", "or", "not", "in", "contains"})


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int

    @property
    def value(self) -> str:
        return re.sub(r"\\(.)", r"\1", self.text[1:-1]) if self.kind == "text" else self.text

    def is_word(self, *words: str) -> bool:
        return self.kind == "word" and self.text.lower() in words


def _wrong(at: int, message: str) -> QueryError:
    return QueryError(f"where, at character {at + 1}: {message}", field="where")


def _tokens(text: str) -> list[_Token]:
    found, at, end = [], 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            at += len(text[at:]) - len(text[at:].lstrip())
            unclosed = text[at] in "\"'"
            told = "this quote is not closed." if unclosed else f"{text[at]!r} means nothing here."
            raise _wrong(at, told)
        kind = str(match.lastgroup)
        found.append(_Token(kind, match[kind], match.start(kind)))
        at = match.end()
    return [*found, _Token("end", "", end)]


@dataclass(slots=True)
class _Reader:
    """Reads from left to right, looking one word ahead."""

    tokens: list[_Token]
    depth: int = 0
    read: int = field(default=0)

    @property
    def next(self) -> _Token:
        return self.tokens[self.read]

    def take(self) -> _Token:
        token = self.next
        self.read += 1
        return token

    def signed(self, sign: str) -> bool:
        if self.next.kind == "sign" and self.next.text == sign:
            self.read += 1
            return True
        return False

    def either(self) -> Node:
        parts = [self.every()]
        while self.next.is_word("or"):
            self.take()
            parts.append(self.every())
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def every(self) -> Node:
        parts = [self.one()]
        while self.next.is_word("and"):
            self.take()
            parts.append(self.one())
        return parts[0] if len(parts) == 1 else Every(tuple(parts))

    def one(self) -> Node:
        self.depth += 1
        if self.depth > MOST_DEPTH:
            raise _wrong(self.next.at, f"it nests deeper than {MOST_DEPTH}.")
        try:
            if self.next.is_word("not"):
                self.take()
                return Without(self.one())
            if self.next.text == "(" and self.next.kind == "sign":
                return self._inside(self.take().at)
            return self.condition()
        finally:
            self.depth -= 1

    def _inside(self, opened: int) -> Node:
        found = self.either()
        if not self.signed(")"):
            told = f"the bracket of character {opened + 1} is open: {self.expected('and, or, )')}"
            raise _wrong(self.next.at, told)
        return found

    def expected(self, what: str) -> str:
        met = repr(self.next.text[:30]) if self.next.kind != "end" else "the end"
        return f"here comes {what}, not {met}."

    def condition(self) -> Node:
        named = self.next
        if named.kind != "word" or named.is_word(*_RESERVED):
            raise _wrong(named.at, self.expected("a field, not or ("))
        self.take()
        if (known := field_of(named.text)) is None:
            near = difflib.get_close_matches(named.text, FIELDS, 1, 0)[0]
            message = f"there is no field {named.text[:60]!r}; did you mean {near}?"
            raise _wrong(named.at, message)
        operator, values = self._operation(known.kind == "flag")
        if operator not in OPERATORS[known.kind]:
            takes = ", ".join(sign for sign, one in _SIGNS.items() if one in OPERATORS[known.kind])
            raise _wrong(named.at, f"{named.text} takes {takes}.")
        try:
            return node_of(checked(named.text, operator, values))
        except QueryError as error:
            raise _wrong(named.at, str(error)) from error

    def _operation(self, flag: bool) -> tuple[Operator, list[Value]]:  # noqa: FBT001 - private
        sign = self.next
        if sign.is_word("in") or (sign.is_word("not") and self.tokens[self.read + 1].is_word("in")):
            self.take()
            if negative := sign.is_word("not"):
                self.take()
            return ("not" if negative else "is"), self._listed()
        if sign.is_word("contains") or (sign.kind == "sign" and sign.text in _SIGNS):
            self.take()
            return _SIGNS[sign.text.lower()], [self._value()]
        if flag:
            return "is", [True]
        raise _wrong(sign.at, self.expected("=, !=, <, <=, >, >=, contains or in"))

    def _listed(self) -> list[Value]:
        if not self.signed("("):
            raise _wrong(self.next.at, self.expected("( and values"))
        values: list[Value] = [self._value()]
        while self.signed(","):
            values.append(self._value())
        if not self.signed(")"):
            raise _wrong(self.next.at, self.expected(", or )"))
        return values

    def _value(self) -> Value:
        if self.next.kind not in {"text", "word"} or self.next.is_word(*_RESERVED):
            raise _wrong(self.next.at, self.expected('a value, "in quotes" if it has spaces'))
        return self.take().value


def _cases(tree: Node) -> int:
    """How many cases it may fall into, at most."""
    match tree:
        case Condition():
            return 1
        case Without(part):
            return _cases(part)
        case Either(parts):
            return sum(map(_cases, parts))
        case Every(parts):
            many = 1
            for one in parts:
                many *= _cases(one) if not _whole(one) and not _single(one) else 1
            return many


def parse(text: str) -> Node:
    """A tree of conditions as somebody wrote it.

    Args:
        text: As `(intent = refund or tool = "track return") and not failed`.

    Raises:
        QueryError: If it cannot be read; names the place.

    Example:
        >>> parse("failed and not cost > 1")
        Every(parts=(Condition(name='failed', operator='is', values=(True,)), Without(part=...
        >>> parse("failed and ot")
        Traceback (most recent call last):
        otel_chat.errors.QueryError: where, at character 12: there is no field 'ot'; did you ...
    """
    if len(text) > LONGEST:
        raise QueryError(f"where has {LONGEST} characters at most.", field="where")
    reader = _Reader(_tokens(text))
    tree = reader.either()
    if reader.next.kind != "end":
        raise _wrong(reader.next.at, reader.expected("and, or, or the end"))
    if sum(1 for _ in conditions_in(tree)) > MOST_CONDITIONS:
        raise QueryError(f"where has {MOST_CONDITIONS} conditions at most.", field="where")
    if _cases(tree) > MOST_CASES:
        message = "where has too many cases: put what is said of turns, and of whole conversations,"
        raise QueryError(f"{message} into brackets of their own.", field="where")
    return tree
