"""A condition on turns or conversations: a field, an operator and values, in SQL and in words."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

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

Value = str | float | bool

MOST: Final = 100
METADATA: Final = "metadata."
_TRUTHS: Final = {
    **dict.fromkeys(("true", "1", "yes", "on", "t", "y"), True),
    **dict.fromkeys(("false", "0", "no", "off", "f", "n"), False),
}
_SUFFIXES: Final = tuple(f"_{one}" for one in WORDS if one != "is")


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
            sign = {"min": ">=", "max": "<=", "above": ">", "below": "<"}[self.operator]
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


def checked(name: str, operator: Operator, values: Sequence[Value]) -> Condition:
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


def known(name: str) -> tuple[str, Operator]:
    """The field and the operator of a parameter that is one."""
    if (found := field_and_operator(name)) is None:
        raise KeyError(name)
    return found


def held(query: Query, one: Condition, since: datetime | None) -> str:
    """SQL of what must hold, where the field stands, without a `not`.

    Args:
        query: The SELECT under construction.
        one: The condition.
        since: No turn in question is earlier.
    """
    sql = one.field.sql.replace("{low}", query.store.rules.low)
    place = one.field.elsewhere
    if place is None:
        return one.holds(query, sql)
    return f"({place.key}) IN {_rows(query, place, one.holds(query, sql), since)}"


def _rows(query: Query, place: Elsewhere, held: str, since: datetime | None) -> str:
    if place.made is not None:
        return f"(SELECT {place.key} FROM {place.made(query)} AS g WHERE {held})"  # noqa: S608
    conditions = [held]
    if place.rows:
        conditions.append(place.rows)
    if place.timed and since is not None:
        conditions.append(f"start >= {query.moment(since)}")
    # What is noted may be taken back; what was called stays called.
    return query.table(place.table, place.key.split(", "), conditions, once=not place.stays)
