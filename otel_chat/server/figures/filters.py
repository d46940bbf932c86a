"""What a question is limited to.

The one filter language of API, pages and links: each parameter is a field, with an operator behind
it unless that is `is`; the values of one parameter are alternatives, several parameters hold
together. A turn's condition and a conversation's are told apart by their field (`fields`). What
that cannot say is a tree of conditions, `where`, of which the parameters are the flat part; a
segment is such a tree under a name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from otel_chat.errors import QueryError
from otel_chat.server.figures.conditions import (
    Condition,
    Value,
    check_name,
    checked,
    known,
)
from otel_chat.server.figures.fields import field_and_operator, parameter
from otel_chat.server.figures.where import (
    Either,
    Every,
    Node,
    Without,
    conditions_in,
    in_conversations,
    in_rating,
    in_turns,
    node_of,
    of_whole_alone,
    parse,
)

if TYPE_CHECKING:
    from datetime import datetime

    from otel_chat.server.figures.sql import Query

Outcome = Literal["resolved", "handed_off", "abandoned", "failed", "open"]
State = Literal["open", "settled"]

SEGMENT: Final = "segment"
OF_TREES: Final = ("where", SEGMENT, f"{SEGMENT}_not")
"""The parameters beside those of single fields."""
Segments = Callable[[str], str]
"""What gives the conditions of a segment by its name."""


def no_segments(name: str) -> str:
    """Where no segments are known.

    Raises:
        QueryError: Always.
    """
    raise QueryError(f"There is no segment {name[:60]!r}.", field=SEGMENT)


@dataclass(frozen=True, slots=True)
class Limit:
    """A tree of conditions that was asked for by one parameter.

    Args:
        parameter: One of `OF_TREES`.
        values: What stood in it.
        tree: What that says.
    """

    parameter: str
    values: tuple[str, ...]
    tree: Node

    @classmethod
    def of(cls, name: str, values: Sequence[str], segments: Segments) -> Limit:
        """What a parameter says.

        Args:
            name: One of `OF_TREES`.
            values: Its values, of which one must hold.
            segments: Gives the conditions of segments.

        Raises:
            QueryError: If it cannot be read, or there is no such segment.
        """
        texts = values if name == "where" else [segments(one) for one in values]
        trees = tuple(parse(one) for one in texts)
        tree: Node = trees[0] if len(trees) == 1 else Either(trees)
        return cls(name, tuple(values), Without(tree) if name.endswith("_not") else tree)

    @property
    def words(self) -> str:
        """It in words."""
        told = " or ".join(self.values)
        return {"where": told, SEGMENT: f"Segment is {told}"}.get(
            self.parameter, f"Segment is not {told}"
        )


@dataclass(frozen=True, init=False)
class Filters:
    """What a question is limited to; without conditions it is limited to nothing.

    Figures of turns cover the turns that match all conditions of turns, in conversations that
    match the others. Figures of conversations cover, whole, the conversations that match, with one
    turn that matches all conditions of turns; of what must `not` be, with no such turn.

    Args:
        named: Values by parameter (`PARAMETERS`, `where`): one, several of which one must hold, or
            `None`, which limits nothing.

    Raises:
        QueryError: If there is no such parameter, or it has no such values.

    Example:
        >>> Filters(agent="support", intent_not=["refund", "greet"]).words
        ['Agent is support', 'Intent is not refund or greet']
        >>> Filters(where="failed or intent = refund").words
        ['failed or intent = refund']
    """

    conditions: tuple[Condition, ...]
    limits: tuple[Limit, ...]

    def __init__(self, **named: Value | Sequence[Value] | None) -> None:
        self._take(named, no_segments)

    @classmethod
    def given(
        cls, named: Mapping[str, Value | Sequence[Value] | None], segments: Segments = no_segments
    ) -> Filters:
        """The filters that values by parameter make.

        Args:
            named: As above, `segment` and `segment_not` too.
            segments: Gives the conditions of a segment.

        Raises:
            QueryError: If one of them is wrong, or there is no such segment.
        """
        made = cls.__new__(cls)
        made._take(named, segments)  # noqa: SLF001 - its own
        return made

    def _take(
        self, named: Mapping[str, Value | Sequence[Value] | None], segments: Segments
    ) -> None:
        made, limits = [], []
        for name, given in named.items():
            values = [given] if isinstance(given, str | float | int) else given
            if not values:
                continue
            if name in OF_TREES:
                limits.append(Limit.of(name, [str(one) for one in values], segments))
            else:
                check_name(name, bare=True)
                made.append(checked(*known(name), values))
        object.__setattr__(self, "conditions", tuple(made))
        object.__setattr__(self, "limits", tuple(limits))
        self._check_order()

    @classmethod
    def read(cls, pairs: Iterable[tuple[str, str]], segments: Segments = no_segments) -> Filters:
        """The filters of an address.

        Args:
            pairs: The names and values of all of its parameters.
            segments: Gives the conditions of a segment.

        Raises:
            QueryError: If one of them is wrong.
        """
        found: dict[str, list[Value]] = {}
        for name, value in pairs:
            if name not in OF_TREES:
                check_name(name)
            if name in OF_TREES or field_and_operator(name) is not None:
                found.setdefault(name, []).append(value)
        return cls.given(found, segments)

    def narrowed(self, **named: Value | Sequence[Value] | None) -> Filters:
        """These filters, with others in place of those of the same parameters.

        Example:
            >>> Filters(agent="a", state="open").narrowed(agent="b", state=None).words
            ['Agent is b']
        """
        return self._with_limits(Filters(**{**self.named(), **named}))

    def _with_limits(self, other: Filters) -> Filters:
        object.__setattr__(other, "limits", self.limits)
        return other

    def named(self) -> dict[str, Sequence[Value]]:
        """The values of single fields, by parameter."""
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
        return not self.conditions and not self.limits

    @property
    def words(self) -> list[str]:
        """Each condition in words."""
        return [*(one.words for one in self.conditions), *(one.words for one in self.limits)]

    @property
    def tree(self) -> Every:
        """All that must hold."""
        return Every((*map(node_of, self.conditions), *(one.tree for one in self.limits)))

    @property
    def of_turns_themselves(self) -> Filters:
        """The same with `handoff` as 0.1.0 asked for interactions by it: the turn's own."""
        made = self.named()
        handoff = made.pop("handoff", None)
        if handoff is None:
            return self
        return self._with_limits(Filters(**made).narrowed(turn_handoff=handoff))

    def of_turn(
        self, query: Query, members: Callable[[Node], str], since: datetime | None = None
    ) -> list[str]:
        """The conditions on a row of `turns`: what a turn must not be, another may be.

        Args:
            query: The SELECT under construction.
            members: The condition that a row is of a conversation that fulfils what it is given,
                which is about whole conversations alone.
            since: No turn in question is earlier.
        """
        whole = tuple(one for one in self.tree.flat if of_whole_alone(one))
        others = [one for one in self.tree.flat if not of_whole_alone(one)]
        conditions = [in_turns(query, one, members, since) for one in others]
        return [*conditions, members(Every(whole))] if whole else conditions

    def of_conversation(
        self, query: Query, since: datetime | None = None, within: str = ""
    ) -> list[str]:
        """The conditions on a row of `conversations` that `conversation_rows` tells of.

        Args:
            query: The SELECT under construction.
            since: No turn of the conversations in question is earlier.
            within: What must hold besides of a turn that matches.
        """
        return of_conversation(query, self.tree, since, within)

    def of_rating(self, query: Query) -> str:
        """The condition on `x`, a rating in a row, that the turn matches, if it is of one."""
        kept = [
            one for one in self.tree.flat if any(known.field.kept for known in conditions_in(one))
        ]
        matches = [in_rating(query, one) for one in kept]
        return f"NOT x.of_turn OR ({' AND '.join(matches)})" if matches else "true"

    @property
    def reads(self) -> list[str]:
        """What `conversation_rows` has to tell for `of_conversation`."""
        return reads_of(self.tree)


def reads_of(tree: Node) -> list[str]:
    """What has to be told of a conversation to see whether it fulfils a tree."""
    return [name for one in conditions_in(tree) for name in one.field.reads]


def of_conversation(
    query: Query, tree: Every, since: datetime | None = None, within: str = ""
) -> list[str]:
    """The conditions on a row of `conversations` to fulfil a tree; see `Filters`."""
    if not tree.parts and not within:
        return []
    return [in_conversations(query, tree.flat, since, within)]
