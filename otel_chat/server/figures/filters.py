"""What a question is limited to.

The one filter language of API, pages and links: each parameter is a field, with an operator behind
it unless that is `is`; the values of one parameter are alternatives, several parameters hold
together. A turn's condition and a conversation's are told apart by their field (`fields`).
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from otel_chat.errors import QueryError
from otel_chat.server.access import CONVERSATIONS_READ
from otel_chat.server.figures.fields import (
    FIELDS,
    NUMERIC,
    OPERATORS,
    WORDS,
    field_and_operator,
    field_of,
    parameter,
)
from otel_chat.server.figures.texts import Sought

if TYPE_CHECKING:
    from datetime import datetime

    from otel_chat.server.figures.fields import Elsewhere, Field, Operator
    from otel_chat.server.figures.sql import Query

Outcome = Literal["resolved", "handed_off", "abandoned", "failed", "open"]
State = Literal["open", "settled"]
Value = str | float | bool

MOST: Final = 100
METADATA: Final = "metadata."
_TRUTHS: Final = {
    **dict.fromkeys(("true", "1", "yes", "on", "t", "y"), True),
    **dict.fromkeys(("false", "0", "no", "off", "f", "n"), False),
}
_SUFFIXES: Final = tuple(f"_{one}" for one in WORDS if one != "is")
_IN_BOTH: Final = "conversation_id"
"""A column of turns and of conversations: it needs no look into the other."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition: a field, an operator and its values.

    Args:
        name: The name of the field.
        operator: What must hold between it and one of the values; of `not`, none of them.
        values: The values, checked.
    """

    name: str
    operator: Operator
    values: tuple[Value, ...]

    @property
    def field(self) -> Field:
        """What it is about."""
        return _field(self.name)

    @property
    def parameter(self) -> str:
        """What it is called in an address."""
        return parameter(self.name, self.operator)

    @property
    def negative(self) -> bool:
        """Whether no turn, or the conversation not, may fulfil what `holds` says."""
        return self.operator == "not" or self.values[0] is False

    @property
    def words(self) -> str:
        """It in words.

        Example:
            >>> Condition("intent", "not", ("refund", "greet")).words
            'Intent is not refund or greet'
            >>> Condition("handoff", "is", (False,)).words
            'Without a handoff'
        """
        field = self.field
        if field.kind == "flag":
            return field.unless if self.negative else field.label
        told = [_written(value, field.unit) for value in self.values]
        return f"{field.label} {WORDS[self.operator]} {' or '.join(told)}"

    def holds(self, query: Query, sql: str) -> str:
        """SQL of what must hold, without a `not`.

        Args:
            query: The SELECT under construction.
            sql: The field in SQL.
        """
        if self.field.private:
            query.require(CONVERSATIONS_READ)
        if self.field.several:
            return f"arrayExists(y -> {self._of_one(query, 'toString(y)')}, {sql})"
        return self._of_one(query, sql)

    def _of_one(self, query: Query, sql: str) -> str:
        if self.field.kind == "flag":
            return sql
        if self.field.kind == "said":
            sought = [Sought.of(str(value), self.parameter) for value in self.values]
            return f"({' OR '.join(one.in_turn(query) for one in sought)})"
        if self.operator in NUMERIC:
            sign = {"min": ">=", "max": "<=", "below": "<"}[self.operator]
            if self.field.kind == "any":
                sql = f"toFloat64OrNull({sql})"
            return f"ifNull({sql} {sign} {query.bind(self.values[0], 'Float64')}, false)"
        if self.operator == "like":
            texts = [query.bind(value, "String") for value in self.values]
            found = [f"positionCaseInsensitiveUTF8({sql}, {text}) > 0" for text in texts]
            return f"({' OR '.join(found)})"
        if len(self.values) == 1 or self.field.kind == "choice":
            # Of a closed set each by itself: the store compares its numbers.
            same = [f"{sql} = {query.bind(value, 'String')}" for value in self.values]
            return f"({' OR '.join(same)})" if len(same) > 1 else same[0]
        return f"{sql} IN {query.bind(self.values, 'Array(String)')}"


def _field(name: str) -> Field:
    if (found := field_of(name)) is None:
        raise KeyError(name)
    return found


def _written(value: Value, unit: str) -> str:
    if not isinstance(value, float):
        return str(value).replace("_", " ") if value else "empty"
    number = f"{value:,.9f}".rstrip("0").rstrip(".")
    return f"${number}" if unit == "USD" else f"{number} {unit}".rstrip()


def _checked(name: str, operator: Operator, values: Sequence[Value]) -> Condition:
    """A condition whose values are of the field's kind.

    Raises:
        QueryError: If they are not.
    """
    field, told = _field(name), parameter(name, operator)
    numeric = operator in NUMERIC
    if len(values) > MOST:
        raise QueryError(f"{told} takes {MOST} values at most.", field=told)
    if len(values) > 1 and (numeric or field.kind == "flag"):
        raise QueryError(f"{told} takes one value.", field=told)
    match field.kind:
        case "flag":
            read: tuple[Value, ...] = (_truth(told, values[0]),)
        case _ if numeric:
            read = (_number(told, field, values[0]),)
        case _:
            read = tuple(dict.fromkeys(str(value) for value in values))
            if field.choices and (wrong := [one for one in read if one not in field.choices]):
                known = ", ".join(field.choices)
                message = f"{told} is one of {known}, not {str(wrong[0])[:60]!r}."
                raise QueryError(message, field=told)
            if operator == "like" and "" in read:
                raise QueryError(f"{told} needs a text to look for.", field=told)
            if field.kind == "said":
                for one in read:
                    Sought.of(str(one), told)
    return Condition(name, operator, read)


def _truth(told: str, value: Value) -> bool:
    if isinstance(value, bool):
        return value
    if (found := _TRUTHS.get(str(value).lower())) is None:
        raise QueryError(f"{told} is true or false.", field=told)
    return found


def _number(told: str, field: Field, value: Value) -> float:
    low, high = field.bounds
    within = f"{told} is a number."
    if low is not None:
        within = f"{told} is a number from {low:g} {'up' if high is None else f'to {high:g}'}."
    try:
        number = float(value)
    except ValueError:
        raise QueryError(within, field=told) from None
    outside = (low is not None and number < low) or (high is not None and number > high)
    if outside or not math.isfinite(number):
        raise QueryError(within, field=told)
    return number


def check_name(name: str, *, bare: bool = False) -> None:
    """Refuse a parameter that is meant for a filter and is none.

    What has no operator may be anything else that an address takes, and is passed over.

    Args:
        name: The parameter.
        bare: Whether a field that takes no `is` is refused too.

    Raises:
        QueryError: If it ends like one with an operator, or is a field that needs one, and is none.
    """
    if field_and_operator(name) is not None:
        return
    if name.startswith(METADATA):
        message = "After metadata. comes a key of letters, digits and _ . : -"
        raise QueryError(message, field=name[:60])
    field = (
        name
        if bare and name in FIELDS
        else next((name.removesuffix(end) for end in _SUFFIXES if name.endswith(end)), None)
    )
    if field is None:
        return
    if field in FIELDS:
        takes = ", ".join(parameter(field, one) for one in OPERATORS[FIELDS[field].kind])
        raise QueryError(f"The filter {field} takes {takes}.", field=name)
    near = difflib.get_close_matches(field, FIELDS, 1, 0)[0]
    raise QueryError(f"There is no filter {field[:60]!r}; did you mean {near}?", field=name)


def _known(name: str) -> tuple[str, Operator]:
    if (found := field_and_operator(name)) is None:
        raise KeyError(name)
    return found


@dataclass(frozen=True, init=False)
class Filters:
    """What a question is limited to; without conditions it is limited to nothing.

    Figures of turns cover the turns that match all conditions of turns, in conversations that
    match the others. Figures of conversations cover, whole, the conversations that match, with one
    turn that matches all conditions of turns; of what must `not` be, with no such turn.

    Args:
        named: Values by parameter (`PARAMETERS`): one, several of which one must hold, or `None`,
            which limits nothing.

    Raises:
        QueryError: If there is no such parameter, or it has no such values.

    Example:
        >>> Filters(agent="support", intent_not=["refund", "greet"]).words
        ['Agent is support', 'Intent is not refund or greet']
    """

    conditions: tuple[Condition, ...]

    def __init__(self, **named: Value | Sequence[Value] | None) -> None:
        made = []
        for name, given in named.items():
            values = [given] if isinstance(given, str | float | int) else given
            if values:
                check_name(name, bare=True)
                made.append(_checked(*_known(name), values))
        object.__setattr__(self, "conditions", tuple(made))
        self._check_order()

    @classmethod
    def read(cls, pairs: Iterable[tuple[str, str]]) -> Filters:
        """The filters of an address.

        Args:
            pairs: The names and values of all of its parameters.

        Raises:
            QueryError: If one of them is wrong.
        """
        found: dict[str, list[Value]] = {}
        for name, value in pairs:
            check_name(name)
            if field_and_operator(name) is not None:
                found.setdefault(name, []).append(value)
        return cls(**found)

    def narrowed(self, **named: Value | Sequence[Value] | None) -> Filters:
        """These filters, with others in place of those of the same parameters.

        Example:
            >>> Filters(agent="a", state="open").narrowed(agent="b", state=None).words
            ['Agent is b']
        """
        return Filters(**{**self.named(), **named})

    def named(self) -> dict[str, Sequence[Value]]:
        """The values by parameter."""
        return {one.parameter: one.values for one in self.conditions}

    def _check_order(self) -> None:
        least = {one.name: one.values[0] for one in self.conditions if one.operator == "min"}
        for one in self.conditions:
            if one.operator == "max" and float(least.get(one.name, -math.inf)) > float(
                one.values[0]
            ):
                message = f"The least {one.field.label.lower()} must not be above the greatest."
                raise QueryError(message, field=parameter(one.name, "min"))

    @property
    def empty(self) -> bool:
        """Whether nothing is limited."""
        return not self.conditions

    @property
    def words(self) -> list[str]:
        """Each condition in words."""
        return [one.words for one in self.conditions]

    @property
    def whole_conversations(self) -> bool:
        """Whether a property of whole conversations is asked for."""
        return any(one.field.level == "conversation" for one in self.conditions)

    @property
    def of_whole_conversations(self) -> Filters:
        """Those on properties of whole conversations alone."""
        turns = {one.parameter: None for one in self.conditions if one.field.level == "turn"}
        return self.narrowed(**turns)

    @property
    def of_turns_themselves(self) -> Filters:
        """The same with `handoff` as 0.1.0 asked for interactions by it: the turn's own."""
        made = self.named()
        handoff = made.pop("handoff", None)
        return self if handoff is None else Filters(**made).narrowed(turn_handoff=handoff)

    def of_turn(self, query: Query, since: datetime | None = None) -> list[str]:
        """The conditions on a row of `turns`, without those on whole conversations.

        Args:
            query: The SELECT under construction.
            since: No turn in question is earlier.
        """
        return [
            *self.of_such_turns(query, since),
            *(f"NOT ({_held(query, one, since)})" for one in self._of_turns(negative=True)),
        ]

    def of_such_turns(self, query: Query, since: datetime | None = None) -> list[str]:
        """The same without what a turn must not be."""
        return [_held(query, one, since) for one in self._of_turns(negative=False)]

    def of_combinations(self, query: Query, since: datetime | None = None) -> list[str]:
        """The conditions on a row of `conversations` that its turns match: one, and not another.

        Args:
            query: The SELECT under construction.
            since: No turn of the conversations in question is earlier.
        """
        wanted = [one for one in self._of_turns(negative=False) if one.name != _IN_BOTH]
        direct = [one for one in self._of_turns(negative=False) if one.name == _IN_BOTH]
        conditions = [one.holds(query, one.field.sql) for one in direct]
        if any(one.field.kept != "combinations" for one in wanted):
            conditions.append(f"(tenant, conversation_id) IN {_turns(query, wanted, since)}")
        elif wanted:
            conditions.append(_exists(query, wanted))
        return [*conditions, *self.of_no_such_turn(query, since)]

    def of_no_such_turn(self, query: Query, since: datetime | None = None) -> list[str]:
        """The conditions on a row of `conversations` that none of its turns is what it must not."""
        conditions = []
        for one in self._of_turns(negative=True):
            if one.name == _IN_BOTH:
                conditions.append(f"NOT ({one.holds(query, one.field.sql)})")
            elif one.field.kept == "combinations":
                conditions.append(f"NOT {_exists(query, [one])}")
            else:
                turns = _turns(query, [one], since)
                conditions.append(f"(tenant, conversation_id) NOT IN {turns}")
        return conditions

    def of_rating(self, query: Query) -> str:
        """The condition on `x`, a rating in a row, that the turn matches, if it is of one."""
        matches = [
            f"NOT ({held})" if one.negative else held
            for one in self.conditions
            if one.field.kept
            for held in [one.holds(query, f"x.{one.name}")]
        ]
        return f"NOT x.of_turn OR ({' AND '.join(matches)})" if matches else "true"

    @property
    def reads(self) -> list[str]:
        """What `conversation_rows` has to tell for `of_conversation`."""
        return [name for one in self._of_conversations() for name in one.field.reads]

    def of_conversation(self, query: Query) -> list[str]:
        """The conditions on what is told of a conversation."""
        conditions = []
        for one in self._of_conversations():
            held = _held(query, one, None)
            conditions.append(f"NOT ({held})" if one.negative else held)
        return conditions

    def _of_conversations(self) -> list[Condition]:
        return [one for one in self.conditions if one.field.level == "conversation"]

    def _of_turns(self, *, negative: bool) -> list[Condition]:
        return [
            one for one in self.conditions if one.field.level == "turn" and one.negative is negative
        ]


def _exists(query: Query, wanted: Iterable[Condition]) -> str:
    """The condition that one combination of a row is all of this."""
    named = " AND ".join(one.holds(query, f"x.{one.name}") for one in wanted)
    return f"arrayExists(x -> {named}, r.combinations)"


def _turns(query: Query, wanted: Iterable[Condition], since: datetime | None) -> str:
    """A subquery of the conversations of turns that are all of this."""
    matching = [] if since is None else [f"start >= {query.moment(since)}"]
    conditions = [*matching, *(_held(query, one, since) for one in wanted)]
    return query.table("turns", ("tenant", "conversation_id"), conditions)


def _held(query: Query, one: Condition, since: datetime | None) -> str:
    """What must hold, where the field stands."""
    sql = one.field.sql.replace("{low}", query.store.rules.low)
    place = one.field.elsewhere
    if place is None:
        return one.holds(query, sql)
    return f"({place.key}) IN {_rows(query, place, one.holds(query, sql), since)}"


def _rows(query: Query, place: Elsewhere, held: str, since: datetime | None) -> str:
    conditions = [held]
    if place.rows:
        conditions.append(place.rows)
    if place.timed and since is not None:
        conditions.append(f"start >= {query.moment(since)}")
    # What is noted may be taken back; what was called stays called.
    return query.table(place.table, place.key.split(", "), conditions, once=not place.stays)
