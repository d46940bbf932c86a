"""The steps that a funnel may have: what a caller may ask for, and what it is in the tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otel_chat import semconv
from otel_chat.errors import QueryError
from otel_chat.server.rules import (
    HANDOFF_EVENTS,
    IS_FEEDBACK,
    NEGATIVE,
    OUTCOMES,
    POSITIVE,
    WORKFLOW_EVENTS,
    named,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_chat.server.figures.sql import Query

FEWEST: Final = 2
MOST: Final = 10
LONGEST_NAME: Final = 256
LONGEST_SHOWN: Final = 60

_FEEDBACK: Final = {"positive": POSITIVE, "negative": NEGATIVE}


@dataclass(frozen=True, slots=True)
class Kind:
    """What a step of a funnel may ask for.

    Args:
        turns: The condition on a turn, or empty.
        events: The condition on an event, or empty.
        named_turns: The column of a turn that holds the name, or empty.
        named_events: The columns of an event of which one holds the name.
        names: The names that there are; any without.
        needed: Whether a name must be given.
        kept: What a conversation's row tells of its times, each with the name where there is one,
            or empty.
    """

    turns: str = ""
    events: str = ""
    named_turns: str = ""
    named_events: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    needed: bool = False
    kept: str = ""

    @property
    def takes_name(self) -> bool:
        """Whether a name may be given."""
        return bool(self.named_turns or self.named_events or self.names)


KINDS: Final[dict[str, Kind]] = {
    "turn": Kind(turns="true", kept="turn_at"),
    "intent": Kind(turns="intent != ''", named_turns="intent", kept="intents_at"),
    "fallback": Kind(turns="ifNull(fallback, false)"),
    "error": Kind(turns="status = 'error'", named_turns="error_type"),
    "sentiment": Kind(turns="sentiment != ''", named_turns="sentiment"),
    "handoff": Kind(
        turns="handoff",
        events=named(*HANDOFF_EVENTS),
        named_turns="handoff_reason",
        named_events=("reason",),
    ),
    "topic": Kind(events=named(semconv.EVENT_TOPIC), named_events=("topic",)),
    "entity": Kind(events=named(semconv.EVENT_ENTITY), named_events=("entity_type",)),
    "action": Kind(events=named(semconv.EVENT_ACTION), named_events=("action",), kept="actions_at"),
    "lead": Kind(events=named(semconv.EVENT_LEAD), named_events=("lead_kind",)),
    "api_call": Kind(events=named(semconv.EVENT_API_CALL), named_events=("api_name",)),
    "message": Kind(
        events=named(semconv.EVENT_MESSAGE), named_events=("sender",), names=semconv.SENDERS
    ),
    "workflow": Kind(events=named(semconv.EVENT_WORKFLOW_STARTED), named_events=("workflow",)),
    "workflow_completed": Kind(
        events=named(semconv.EVENT_WORKFLOW_COMPLETED), named_events=("workflow",)
    ),
    "workflow_failed": Kind(
        events=named(semconv.EVENT_WORKFLOW_FAILED), named_events=("workflow",)
    ),
    "workflow_step": Kind(
        events=f"{named(*WORKFLOW_EVENTS)} AND step != ''",
        named_events=("concat(workflow, '/', step)", "step"),
        needed=True,
    ),
    "event": Kind(events="true", named_events=("name", "event_name"), needed=True),
    "feedback": Kind(
        events=IS_FEEDBACK,
        names=tuple(_FEEDBACK),
    ),
    "outcome": Kind(names=OUTCOMES, needed=True),
}
"""What there is to ask for, by the word before the colon."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a funnel.

    Args:
        kind: One of `KINDS`.
        name: Which of them; any without.
    """

    kind: str
    name: str | None = None

    @classmethod
    def read(cls, text: str, number: int) -> Step:
        """The step that a text names.

        Args:
            text: The kind, or kind and name with a colon between.
            number: Which step of the funnel it is, from 1.

        Raises:
            QueryError: If there is no such step.

        Example:
            >>> Step.read("workflow:checkout", 1)
            Step(kind='workflow', name='checkout')
        """
        kind, colon, name = text.partition(":")
        known = KINDS.get(kind)
        fault = ""
        if known is None:
            fault = f"its kind is none of {', '.join(KINDS)}"
        elif colon and not known.takes_name:
            fault = f"{kind} takes no name"
        elif (colon or known.needed) and not name:
            fault = f"say which after the colon, as in {kind}:{(known.names or ('name',))[0]}"
        elif len(name) > LONGEST_NAME:
            fault = f"its name is longer than {LONGEST_NAME}"
        elif name and known.names and name not in known.names:
            fault = f"after {kind}: comes one of {', '.join(known.names)}"
        if fault:
            shown = text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
            raise QueryError(f"Step {number} ({shown!r}): {fault}.", field="step")
        return cls(kind, name or None)

    def __str__(self) -> str:
        return self.kind if self.name is None else f"{self.kind}:{self.name}"

    def of_turn(self, query: Query) -> str:
        """The condition on a turn to be this step."""
        kind = KINDS[self.kind]
        if self.name is None or not kind.turns:
            return kind.turns
        return f"{kind.turns} AND {kind.named_turns} = {query.bind(self.name, 'String')}"

    def of_event(self, query: Query) -> str:
        """The condition on an event to be this step."""
        kind = KINDS[self.kind]
        if self.name is None or not kind.events:
            return kind.events
        if self.kind == "feedback":
            return f"{kind.events} AND {_FEEDBACK[self.name]}"
        name = query.bind(self.name, "String")
        named = " OR ".join(f"{column} = {name}" for column in kind.named_events)
        return f"{kind.events} AND ({named})"


def read_steps(texts: Sequence[str]) -> list[Step]:
    """The steps of a funnel.

    Args:
        texts: Each as kind, or kind and name with a colon between.

    Raises:
        QueryError: If they are too few or too many, there is no such step, or an outcome is not
            the last.
    """
    if not FEWEST <= len(texts) <= MOST:
        raise QueryError(f"A funnel has {FEWEST} to {MOST} steps.", field="step")
    steps = [Step.read(text, number) for number, text in enumerate(texts, 1)]
    for number, step in enumerate(steps[:-1], 1):
        if step.kind == "outcome":
            message = f"Step {number} ({str(step)!r}): an outcome is known at the end; ask last."
            raise QueryError(message, field="step")
    return steps
