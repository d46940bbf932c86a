"""What a question is limited to."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final, Literal

from otel_chat import semconv
from otel_chat.errors import QueryError
from otel_chat.server.rules import MODEL

if TYPE_CHECKING:
    from datetime import datetime

    from otel_chat.server.figures.sql import Query

Outcome = Literal["resolved", "handed_off", "abandoned", "failed", "open"]
State = Literal["open", "settled"]

_OF_COMBINATIONS: Final = {
    "agent": "agent",
    "channel": "channel",
    "user_type": "user_type",
    "intent": "intent",
    "variant": "variant",
    "agent_version": "agent_version",
    "environment": "environment",
    "model": MODEL,
}
"""What is told of a conversation's turns in its row; SQL for each of a turn."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What a question is limited to; a filter that is `None` limits nothing.

    Figures of turns cover the turns that match. Figures of conversations cover, whole, the
    conversations of which at least one turn matches. `outcome`, `state` and `handoff` are
    properties of the whole conversation; where turns are asked for by themselves (the
    interactions), `handoff` is the turn's own.

    Args:
        agent: The name of the agent.
        channel: The channel: web, mobile, voice and so on.
        model: The model that answered, or that was asked for where none is told to have.
        user_type: client, provider, anonymous or as the application says.
        outcome: The outcome of the conversation.
        state: Whether the conversation is open or settled.
        conversation_id: One conversation.
        intent: The intent of a turn.
        confidence_min: The least confidence, 0 to 1.
        confidence_max: The greatest confidence, 0 to 1.
        handoff: Whether there was a handoff to a human.
        message_type: text, voice, image, button and so on.
        variant: The arm of an experiment.
        agent_version: The version of the agent.
        environment: The deployment environment.

    Raises:
        QueryError: If a confidence lies outside 0 to 1, or the least above the greatest.
    """

    agent: str | None = None
    channel: str | None = None
    model: str | None = None
    user_type: str | None = None
    outcome: Outcome | None = None
    state: State | None = None
    conversation_id: str | None = None
    intent: str | None = None
    confidence_min: float | None = None
    confidence_max: float | None = None
    handoff: bool | None = None
    message_type: str | None = None
    variant: str | None = None
    agent_version: str | None = None
    environment: str | None = None

    def __post_init__(self) -> None:
        if self.outcome is not None and self.outcome not in semconv.OUTCOMES:
            known = ", ".join(semconv.OUTCOMES)
            raise QueryError(f"An outcome is one of {known}.", field="outcome")
        if self.state is not None and self.state not in {"open", "settled"}:
            raise QueryError("A state is open or settled.", field="state")
        for name in ("confidence_min", "confidence_max"):
            value: float | None = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise QueryError("A confidence lies between 0 and 1.", field=name)
        if (
            self.confidence_min is not None
            and self.confidence_max is not None
            and self.confidence_min > self.confidence_max
        ):
            message = "The least confidence must not be above the greatest."
            raise QueryError(message, field="confidence_min")

    @property
    def empty(self) -> bool:
        """Whether nothing is limited."""
        return all(getattr(self, field.name) is None for field in fields(self))

    @property
    def whole_conversations(self) -> bool:
        """Whether a property of whole conversations is asked for."""
        return any(value is not None for value in (self.outcome, self.state, self.handoff))

    def of_turn(self, query: Query) -> list[str]:
        """The conditions on a row of `turns`, without those on whole conversations."""
        conditions = [
            f"{sql} = {query.bind(getattr(self, name), 'String')}"
            for name, sql in _OF_COMBINATIONS.items()
            if getattr(self, name) is not None
        ]
        if self.conversation_id is not None:
            conditions.append(f"conversation_id = {query.bind(self.conversation_id, 'String')}")
        conditions += self._of_turns_alone(query)
        return conditions

    def of_combinations(self, query: Query, since: datetime | None = None) -> list[str]:
        """The conditions on a row of `conversations` that one of its turns matches.

        Args:
            query: The SELECT under construction.
            since: No turn of the conversations in question is earlier.
        """
        if self._of_turns_alone(query):
            matching = [] if since is None else [f"start >= {query.moment(since)}"]
            columns = ("tenant", "conversation_id")
            turns = query.table("turns", columns, [*matching, *self.of_turn(query)])
            return [f"(tenant, conversation_id) IN {turns}"]
        conditions = []
        if self.conversation_id is not None:
            conditions.append(f"conversation_id = {query.bind(self.conversation_id, 'String')}")
        if named := self._combination(query, "x"):
            conditions.append(f"arrayExists(x -> {named}, r.combinations)")
        return conditions

    def of_rating(self, query: Query) -> str:
        """The condition on `x`, a rating in a row, that the turn matches, if it is of one."""
        named = [self._combination(query, "x"), *self._of_turns_alone(query, "x.")]
        matches = " AND ".join(one for one in named if one)
        return f"NOT x.of_turn OR ({matches})" if matches else "true"

    def _combination(self, query: Query, one: str) -> str:
        return " AND ".join(
            f"{one}.{name} = {query.bind(getattr(self, name), 'String')}"
            for name in _OF_COMBINATIONS
            if getattr(self, name) is not None
        )

    def _of_turns_alone(self, query: Query, of: str = "") -> list[str]:
        """The conditions on what no combination of a row holds."""
        found = []
        if self.message_type is not None:
            found.append(f"{of}message_type = {query.bind(self.message_type, 'String')}")
        for value, sign in ((self.confidence_min, ">="), (self.confidence_max, "<=")):
            if value is not None:
                bound = query.bind(value, "Float64")
                found.append(f"ifNull({of}confidence {sign} {bound}, false)")
        return found

    def of_conversation(self, query: Query) -> dict[str, str]:
        """The conditions on what is told of a conversation, by what it is."""
        conditions = {}
        if self.outcome is not None:
            conditions["outcome"] = f"outcome = {query.bind(self.outcome, 'String')}"
        if self.state is not None:
            conditions["settled"] = "settled" if self.state == "settled" else "NOT settled"
        if self.handoff is not None:
            conditions["handed_off"] = "handed_off" if self.handoff else "NOT handed_off"
        return conditions
