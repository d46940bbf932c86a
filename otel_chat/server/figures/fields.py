"""What questions can be limited by: the fields of the one filter language, in SQL and in words."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from otel_chat import semconv
from otel_chat.server.figures.sql import SCALE, Table
from otel_chat.server.figures.verdicts import VERDICT, agreed
from otel_chat.server.rules import (
    MODEL,
    RESPONSE_TIME,
    SLOW_SECONDS,
    UNPRICED,
    WITHOUT_REPLY,
)

if TYPE_CHECKING:
    from otel_chat.server.figures.sql import Query

Operator = Literal["is", "not", "min", "max", "above", "below", "like"]
Kind = Literal["text", "choice", "number", "flag", "said", "any"]
Level = Literal["turn", "conversation"]

OPERATORS: Final[Mapping[Kind, tuple[Operator, ...]]] = {
    "text": ("is", "not", "like"),
    "choice": ("is", "not"),
    "number": ("min", "max", "above", "below"),
    "flag": ("is",),
    "said": ("like",),
    "any": ("is", "not", "min", "max", "above", "below", "like"),
}
WORDS: Final[Mapping[Operator, str]] = {
    "is": "is",
    "not": "is not",
    "min": "at least",
    "max": "at most",
    "above": "above",
    "below": "below",
    "like": "contains",
}
NUMERIC: Final[frozenset[Operator]] = frozenset({"min", "max", "above", "below"})
"""The operators that compare numbers."""
_OF_A_CONVERSATION: Final = "tenant, conversation_id"
_METADATA: Final = re.compile(r"metadata\.([A-Za-z0-9_.:-]{1,100})")


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Where a field stands in another table than turns or conversations.

    Args:
        table: The table.
        key: The columns by which a turn, or a conversation, is found in it.
        rows: Which rows of it count; empty for all.
        timed: Whether no row of it is earlier than the turn.
        stays: Whether what is in it once stays as it is.
        made: Makes of its rows what is looked at, as a subquery; they themselves without.
    """

    table: Table
    key: str
    rows: str = ""
    timed: bool = False
    stays: bool = False
    made: Callable[[Query], str] | None = None


@dataclass(frozen=True, slots=True)
class Field:
    """Something that turns or conversations can be limited by.

    Args:
        label: What it is called, in words; of a flag, what holds where it is set.
        meaning: What it limits to.
        level: Whether it is a property of each turn or of the whole conversation.
        sql: It, in SQL, over a row of its table; `{low}` is that a turn's confidence is low.
        kind: What values it has.
        reads: What `conversation_rows` has to tell for it.
        several: Whether a conversation has several of its values.
        choices: All values there are, where that is known.
        bounds: The least and the greatest value.
        unless: Of a flag, what holds where it is not set.
        unit: What stands behind a number: s, USD, or nothing.
        elsewhere: Where else it stands.
        private: Whether it tells what was said, which not everybody may read.
        kept: Where each turn's own is kept in its conversation's row, as one of `combinations`;
            or only beside the turn's `ratings`.
    """

    label: str
    meaning: str
    level: Level
    sql: str
    kind: Kind = "text"
    reads: tuple[str, ...] = ()
    several: bool = False
    choices: tuple[str, ...] = ()
    bounds: tuple[float | None, float | None] = (0, None)
    unless: str = ""
    unit: str = ""
    elsewhere: Elsewhere | None = None
    private: bool = False
    kept: Literal["", "combinations", "ratings"] = ""


def _turn(label: str, meaning: str, sql: str = "", **more: object) -> Field:
    return Field(label, meaning, "turn", sql, **more)  # type: ignore[arg-type]


def _combined(label: str, meaning: str, sql: str) -> Field:
    return Field(label, meaning, "turn", sql, kept="combinations")


def _flag(label: str, unless: str, meaning: str, level: Level, sql: str, *reads: str) -> Field:
    return Field(label, meaning, level, sql, "flag", reads, unless=unless)


def _whole(label: str, meaning: str, sql: str, **more: object) -> Field:
    return Field(label, meaning, "conversation", sql, **more)  # type: ignore[arg-type]


_NOT_UNDERSTOOD: Final = "(ifNull(fallback, false) OR ifNull({low}, false))"
_TOOL: Final = Elsewhere(
    "spans",
    "tenant, trace_id",
    f"operation = '{semconv.OPERATION_EXECUTE_TOOL}'",
    timed=True,
    stays=True,
)
_EVENTS: Final = Elsewhere("events", _OF_A_CONVERSATION, stays=True)
_MARKS: Final = Elsewhere("conversation_marks", _OF_A_CONVERSATION)
_REVIEWS: Final = Elsewhere("reviews", _OF_A_CONVERSATION, made=agreed)
_SAMPLED: Final = Elsewhere("sampled", _OF_A_CONVERSATION, "NOT dropped")

UNLIMITED: Final = ".*"
"""Limits nothing: the parameter that Grafana writes for a variable of which all is chosen."""

FIELDS: Final[Mapping[str, Field]] = {
    "agent": _combined("Agent", "The name of the agent.", "agent"),
    "channel": _combined("Channel", "web, mobile, voice and so on.", "channel"),
    "model": _combined(
        "Model", "The model that answered, or that was asked for where none is told to have.", MODEL
    ),
    "user_type": _combined(
        "User type", "client, provider, anonymous or as the application says.", "user_type"
    ),
    "outcome": _whole(
        "Outcome",
        "How the conversation ended; open until it is settled.",
        "outcome",
        kind="choice",
        reads=("outcome",),
        choices=semconv.OUTCOMES,
    ),
    "state": _whole(
        "State",
        "Whether the conversation is open or settled.",
        "if(settled, 'settled', 'open')",
        kind="choice",
        reads=("settled",),
        choices=("open", "settled"),
    ),
    "conversation_id": _turn("Conversation", "One conversation.", "conversation_id"),
    "intent": _combined("Intent", "The intent of a turn.", "intent"),
    "confidence": _turn(
        "Confidence",
        "The confidence of a turn's intent.",
        "confidence",
        kind="number",
        bounds=(0, 1),
        kept="ratings",
    ),
    "handoff": _flag(
        "With a handoff",
        "Without a handoff",
        "Whether a human was asked for; of interactions, by the turn itself.",
        "conversation",
        "handed_off",
        "handed_off",
    ),
    "message_type": _turn(
        "Message type", "text, voice, image, button and so on.", "message_type", kept="ratings"
    ),
    "variant": _combined("Variant", "The arm of an experiment.", "variant"),
    "prompt": _combined(
        "Prompt", "The prompt of the turn's first model call that names one.", "prompt"
    ),
    "prompt_version": _combined("Prompt version", "The version of that prompt.", "prompt_version"),
    "agent_version": _combined("Version", "The version of the agent.", "agent_version"),
    "environment": _combined("Environment", "The deployment environment.", "environment"),
    "user": _turn("User", "The hashed id of the user.", "user_hash"),
    "confirmed": _flag(
        "Confirmed",
        "Not confirmed",
        "Whether somebody said that it is resolved: a told outcome, or a good last rating.",
        "conversation",
        "confirmed",
        "confirmed",
    ),
    "last_intent": _whole("Last intent", "The intent of the last turn with one.", "r.last_intent"),
    "turn_handoff": _flag(
        "Asked for a human", "Did not ask for a human", "Whether the turn did.", "turn", "handoff"
    ),
    "handoff_reason": _whole(
        "Handoff reason", "Why a human was asked for.", "r.handoff_reasons", several=True
    ),
    "failed": _flag(
        "Failed turn",
        "No failed turn",
        "Whether the turn ended in an error.",
        "turn",
        f"status = '{semconv.STATUS_ERROR}'",
    ),
    "cancelled": _flag(
        "Cut off",
        "No turn cut off",
        "Whether the turn was cut off, by whomever.",
        "turn",
        f"status = '{semconv.STATUS_CANCELLED}'",
    ),
    "without_reply": _flag(
        "Without a reply",
        "No turn without a reply",
        "Whether the turn ended well with nothing to say.",
        "turn",
        WITHOUT_REPLY,
    ),
    "error_type": _turn("Error", "The kind of error that the turn ended in.", "error_type"),
    "tool": _turn(
        "Tool",
        "A tool that was called in the turn's trace.",
        "if(tool != '', toString(tool), toString(name))",
        elsewhere=_TOOL,
    ),
    "slow": _flag(
        "Slow turn",
        "No slow turn",
        f"Whether the turn took {SLOW_SECONDS:g} seconds or longer.",
        "turn",
        f"duration >= {SLOW_SECONDS}",
    ),
    "response_time": _turn(
        "Response time",
        "Seconds that an answered turn took.",
        RESPONSE_TIME,
        kind="number",
        unit="s",
    ),
    "fallback": _flag(
        "No intent matched",
        "No turn without an intent",
        "Whether the turn matched no intent.",
        "turn",
        "ifNull(fallback, false)",
    ),
    "unanswered": _flag(
        "Not understood",
        "Understood",
        "Whether the turn matched no intent, or one with a confidence below the threshold.",
        "turn",
        _NOT_UNDERSTOOD,
    ),
    "text": _turn(
        "Text",
        "What the user said in the turn or the bot replied, where texts are stored.",
        kind="said",
        private=True,
    ),
    "platform": _turn("Platform", "The platform that the turn came from.", "platform"),
    "location": _turn("Location", "Where the user was, as the application says.", "location"),
    "route": _combined("Route", "The HTTP route that the turn came by.", "route"),
    "status_code": _turn(
        "Status code",
        "What the turn's HTTP request was answered with.",
        "ifNull(toString(http_status), '')",
    ),
    "page": _turn("Page", "The page that the chat was on.", "page"),
    "referrer": _turn("Referrer", "Where the user came to the page from.", "referrer"),
    "service": _turn("Service", "The name of the service that told of the turn.", "service_name"),
    "provider": _turn("Provider", "The provider of the model.", "provider"),
    "sentiment": _turn("Sentiment", "The sentiment of the turn.", "sentiment"),
    "input_tokens": _turn(
        "Input tokens",
        "Tokens that the turn's model calls read.",
        "toFloat64(input_tokens)",
        kind="number",
    ),
    "output_tokens": _turn(
        "Output tokens",
        "Tokens that the turn's model calls wrote.",
        "toFloat64(output_tokens)",
        kind="number",
    ),
    "unpriced": _flag(
        "Without a price",
        "No turn without a price",
        "Whether the turn used a model or tokens, and has no price.",
        "turn",
        UNPRICED,
    ),
    "event": _whole(
        "Event",
        "An event of the conversation: the name of one's own, else as in the conventions.",
        "if(event_name != '', toString(event_name), toString(name))",
        elsewhere=_EVENTS,
    ),
    "rating": _whole(
        "Rating",
        "The mean rating of its user feedback, 0 to 1.",
        f"r.score_sum / nullIf(r.scores, 0) / {SCALE}",
        kind="number",
        bounds=(0, 1),
    ),
    "way": _whole(
        "Way",
        "A step of the conversation and the next, as a ribbon of the page Journeys says it:"
        " `1 refund \u2192 complaint`.",
        "ways",
        reads=("ways",),
        several=True,
    ),
    "topic": _whole("Topic", "A topic of the conversation.", "r.topics", several=True),
    "lead": _whole("Lead", "The kind of a lead that it made.", "r.leads", several=True),
    "visited": _whole(
        "Visited", "A page that the chat was on in any turn or event.", "r.pages", several=True
    ),
    "first_referrer": _whole(
        "First referrer",
        "The site that the user of its first turn came from, as `shop.example`.",
        "lower(domain(r.referrer))",
    ),
    "tag": _whole("Tag", "A colleague's tag.", "tags", several=True, elsewhere=_MARKS),
    "reviewed": Field(
        "Reviewed",
        "Whether a colleague marked it so.",
        "conversation",
        "reviewed",
        "flag",
        unless="To review",
        elsewhere=_MARKS,
    ),
    "verdict": _whole("Verdict", VERDICT, "verdicts", several=True, elsewhere=_REVIEWS),
    "label": _whole(
        "Label", "What a reviewer labelled it with.", "labels", several=True, elsewhere=_REVIEWS
    ),
    "reviewer": _whole(
        "Reviewer",
        "Whoever said something of it, by the name of the token.",
        "reviewers",
        several=True,
        elsewhere=_REVIEWS,
    ),
    "sample": _whole(
        "Sample",
        "A random sample that was drawn for review.",
        "sample",
        elsewhere=_SAMPLED,
    ),
    "cost": _whole(
        "Cost",
        "What its priced turns cost, USD.",
        "toFloat64(r.cost)",
        kind="number",
        unit="USD",
    ),
    "turns": _whole("Turns", "How many turns it has.", "toFloat64(r.turns)", kind="number"),
    "duration": _whole(
        "Duration",
        "Seconds from its first turn to its last activity.",
        f"duration / {SCALE}",
        kind="number",
        reads=("duration",),
        unit="s",
    ),
    "first_agent": _whole("First agent", "The agent of its first turn.", "toString(r.agent)"),
    "first_channel": _whole(
        "First channel", "The channel of its first turn.", "toString(r.channel)"
    ),
    "first_user_type": _whole(
        "First user type", "The type of the user of its first turn.", "toString(r.user_type)"
    ),
}
"""The fields by name, in the order of the documentation."""


def field_of(name: str) -> Field | None:
    """The field of a name, of which `metadata.` and a key is one; None of another.

    Example:
        >>> field_of("metadata.plan").label
        'Metadata plan'
    """
    if name in FIELDS:
        return FIELDS[name]
    if (found := _METADATA.fullmatch(name)) is None:
        return None
    key = found[1]
    text = f"JSONExtractString(metadata, '{key}')"
    told = f"if(JSONType(metadata, '{key}') = 'String', {text}, JSONExtractRaw(metadata, '{key}'))"
    return _turn(
        f"Metadata {key}",
        "What the application said of the turn under this key.",
        told,
        kind="any",
        private=True,
        bounds=(None, None),
    )


def parameter(name: str, operator: Operator) -> str:
    """What a field with an operator is called in an address.

    Example:
        >>> parameter("intent", "is"), parameter("intent", "not")
        ('intent', 'intent_not')
    """
    return name if operator == "is" else f"{name}_{operator}"


PARAMETERS: Final[Mapping[str, tuple[str, Operator]]] = {
    parameter(name, operator): (name, operator)
    for name, field in FIELDS.items()
    for operator in OPERATORS[field.kind]
}
"""Every parameter of an address, with its field and its operator."""


def field_and_operator(told: str) -> tuple[str, Operator] | None:
    """The field and the operator that a parameter names; None if it is no filter.

    Example:
        >>> field_and_operator("metadata.plan_not"), field_and_operator("cursor")
        (('metadata.plan', 'not'), None)
    """
    if told in PARAMETERS:
        return PARAMETERS[told]
    if _METADATA.fullmatch(told) is None:
        return None
    for operator in OPERATORS["any"]:
        if operator != "is" and told.endswith(f"_{operator}"):
            return told.removesuffix(f"_{operator}"), operator
    return told, "is"
