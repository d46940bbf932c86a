"""The one language of filters: a list holds what plain Python over the rows says."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from otel_chat.errors import AccessError, QueryError
from otel_chat.server.access import CONVERSATIONS_READ, Scope
from otel_chat.server.figures.fields import FIELDS, NUMERIC, OPERATORS, PARAMETERS, parameter
from otel_chat.server.figures.filters import Filters
from otel_chat.server.questions.conversations import conversations
from otel_chat.server.questions.interactions import interactions
from tests.examples import examples
from tests.server.given import DAY, Given

if TYPE_CHECKING:
    from otel_chat.server.store import Store

MANY: Final = 40
WORDS: Final[Mapping[str, Sequence[str]]] = {
    "agent": ("support", "sales", ""),
    "channel": ("web", "app"),
    "user_type": ("client", "guest"),
    "intent": ("refund", "greet", "refund_status", ""),
    "variant": ("blue", ""),
    "agent_version": ("1", "2"),
    "environment": ("prod", "test"),
    "prompt": ("answer", ""),
    "prompt_version": ("7", "8"),
    "message_type": ("text", "voice"),
    "error_type": ("", "TimeoutError"),
    "model": ("small", "large"),
    "user": ("u1", "u2", ""),
    "tool": ("search", "pay"),
    "topic": ("delivery", "price"),
    "tag": ("billing", "odd"),
    "handoff_reason": ("asked", "unsure"),
    "outcome": FIELDS["outcome"].choices,
    "state": FIELDS["state"].choices,
    "conversation_id": ("c1", "c2", "c33"),
    "platform": ("ios", ""),
    "location": ("DE", "FR"),
    "route": ("/chat", ""),
    "page": ("/help", "/cart"),
    "referrer": ("mail", ""),
    "service": ("bot", "desk"),
    "provider": ("openai", ""),
    "sentiment": ("positive", "negative", ""),
    "event": ("cart.opened", "otel_chat.topic"),
    "text": ("Refund", "grüße", '5 "% off"', "thanks"),
    "metadata.plan": ("pro", "free", ""),
    "metadata.seats": ("3", "20"),
}
WORDS_OF_MORE: Final = {
    "last_intent": "intent",
    "first_agent": "agent",
    "first_channel": "channel",
    "first_user_type": "user_type",
}
NUMBERS: Final[Mapping[str, Sequence[float]]] = {
    "confidence": (0.0, 0.3, 0.7, 1.0),
    "response_time": (1.0, 3.0, 4.0),
    "rating": (0.0, 0.25, 0.5, 1.0),
    "cost": (0.0, 0.25, 0.5),
    "turns": (1.0, 2.0, 3.0),
    "duration": (1.0, 60.0, 120.0),
    "input_tokens": (10.0, 20.0),
    "output_tokens": (1.0, 5.0),
    "metadata.seats": (3.0, 10.0),
}
METADATA: Final = {
    parameter(name, operator): (name, operator)
    for name in ("metadata.plan", "metadata.seats")
    for operator in OPERATORS["any"]
    if name == "metadata.seats" or operator not in NUMERIC
}


@dataclass
class Life:
    """A conversation as it was given."""

    turns: list[dict[str, Any]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


def _turn(told: Given, rolled: random.Random, name: str, seconds: float) -> dict[str, Any]:
    def one(of: str) -> str:
        return rolled.choice(WORDS[of])

    same = (
        "agent", "channel", "user_type", "intent", "variant", "agent_version", "environment",
        "prompt", "prompt_version", "message_type", "platform", "location", "route", "page",
        "referrer", "provider", "sentiment",
    )  # fmt: skip
    made: dict[str, Any] = {key: one(key) for key in same}
    made |= {
        "status": rolled.choice(("ok", "ok", "error")),
        "confidence": rolled.choice((None, 0.2, 0.3, 0.7, 0.9)),
        "fallback": rolled.choice((None, False, True)),
        "handoff": rolled.random() < 0.1,
        "cost": rolled.choice((None, "0.25", "0.5")),
        "response_model": rolled.choice(("small", "large")),
        "user_hash": one("user"),
        "error_type": one("error_type"),
        "service_name": one("service"),
        "input_tokens": rolled.choice((None, 10, 25)),
        "output_tokens": rolled.choice((None, 1, 5)),
    }
    plan, seats = one("metadata.plan"), rolled.choice((None, 3, 20))
    made["metadata"] = json.dumps(
        ({"plan": plan} if plan else {}) | ({"seats": seats} if seats else {})
    )
    said = [f"{one('text')} please", f"{rolled.choice(WORDS['text']).lower()}!"]
    for column, role, text in zip(
        ("input_messages", "output_messages"), ("user", "assistant"), said, strict=True
    ):
        message = {"role": role, "parts": [{"type": "text", "content": text}]}
        made[column] = json.dumps([message]) if rolled.random() < 0.7 else ""
    row = told.turn(name, seconds, rolled.choice((1, 3, 4)), **made)
    row["tools"] = rolled.sample(WORDS["tool"], rolled.randint(0, 2))
    for tool in row["tools"]:
        told.span(row["trace_id"], row["span_id"], seconds, operation="execute_tool", tool=tool)
    return row


def _life(told: Given, rolled: random.Random, name: str) -> Life:
    life = Life()
    for number in range(rolled.randint(1, 3)):
        life.turns.append(_turn(told, rolled, name, number * 60))
    topics = rolled.sample(WORDS["topic"], rolled.randint(0, 2))
    for topic in topics:
        told.event("topic", name, 1, topic=topic)
    opened = rolled.random() < 0.4
    if opened:
        told.event("custom", name, 3, event_name="cart.opened")
    ratings = [rolled.choice((1, 2, 3, 5)) for _ in range(rolled.randint(0, 2))]
    for number, value in enumerate(ratings):
        told.feedback(value, name, 200 + number)
    reasons = rolled.sample(WORDS["handoff_reason"], rolled.choice((0, 0, 1)))
    for reason in reasons:
        told.event("handoff.requested", name, 2, reason=reason)
    tags = rolled.sample(WORDS["tag"], rolled.randint(0, 1))
    reviewed = rolled.random() < 0.3
    life.facts = {
        "topic": topics,
        "event": [
            *(["otel_chat.topic"] if topics else []),
            *(["cart.opened"] if opened else []),
            *(["gen_ai.evaluation.result"] if ratings else []),
            *(["otel_chat.handoff.requested"] if reasons else []),
        ],
        "rating": sum((one - 1) / 4 for one in ratings) / len(ratings) if ratings else None,
        "handoff_reason": [*reasons, *([""] if any(t["handoff"] for t in life.turns) else [])],
        "tag": tags,
        "reviewed": reviewed,
        "handoff": bool(reasons) or any(turn["handoff"] for turn in life.turns),
        "conversation_id": name,
        "last_intent": next((t["intent"] for t in reversed(life.turns) if t["intent"]), ""),
        "first_agent": life.turns[0]["agent"],
        "first_channel": life.turns[0]["channel"],
        "first_user_type": life.turns[0]["user_type"],
        "turns": len(life.turns),
        "cost": sum(float(t["cost"]) for t in life.turns if t["cost"]) or None,
        "duration": (len(life.turns) - 1) * 60 + life.turns[-1]["duration"],
    }
    mark = {"tenant": told.tenant, "conversation_id": name, "version": 1, "note": ""}
    told.store.insert_rows(
        "conversation_marks",
        [{**mark, "reviewed": reviewed, "tags": tags, "changed_at": DAY.now}],
    )
    return life


class World:
    """Conversations by name, and where they are stored; no dataclass, which would be printed."""

    def __init__(self, told: Given, lives: dict[str, Life]) -> None:
        self.told, self.lives = told, lives


@pytest.fixture(scope="module")
def world(store: Store) -> World:
    """Conversations that differ in everything; what rules make of them is read of their list."""
    told, rolled = Given(store), random.Random(7)
    made = {f"c{number}": _life(told, rolled, f"c{number}") for number in range(MANY)}
    tools = {row["trace_id"]: row.pop("tools") for kind, row in told.rows if kind == "turns"}
    told.save()
    for life in made.values():
        for turn in life.turns:
            turn["tools"] = tools[turn["trace_id"]]
    for item in conversations(store, told.scope, DAY, Filters(), 200).items:
        facts = made[item.conversation_id].facts
        facts |= {"outcome": item.outcome, "confirmed": item.confirmed}
        facts["state"] = "settled" if item.settled else "open"
    return World(told, made)


def _low(turn: Mapping[str, Any]) -> bool:
    return turn["confidence"] is not None and turn["confidence"] < 0.7


def _said(turn: Mapping[str, Any]) -> list[str]:
    stored = [turn[name] for name in ("input_messages", "output_messages") if turn[name]]
    return [json.loads(one)[0]["parts"][0]["content"] for one in stored]


def _metadata(turn: Mapping[str, Any], key: str) -> str:
    return str(json.loads(turn["metadata"]).get(key, ""))


OF_A_TURN: Final[Mapping[str, Callable[[Mapping[str, Any]], Any]]] = {
    "model": lambda t: t["response_model"],
    "user": lambda t: t["user_hash"],
    "tool": lambda t: t["tools"],
    "failed": lambda t: t["status"] == "error",
    "slow": lambda t: t["duration"] >= 3,
    "response_time": lambda t: None if t["status"] == "error" else t["duration"],
    "turn_handoff": lambda t: t["handoff"],
    "fallback": lambda t: bool(t["fallback"]),
    "unanswered": lambda t: bool(t["fallback"]) or _low(t),
    "service": lambda t: t["service_name"],
    "text": _said,
    "metadata.plan": lambda t: _metadata(t, "plan"),
    "metadata.seats": lambda t: _metadata(t, "seats"),
}


def holds(found: Any, operator: str, values: Sequence[Any]) -> bool:
    """Whether a value, or one of several, fulfils a condition, without its `not`."""
    if isinstance(found, list):
        return any(holds(one, operator, values) for one in found)
    if operator in {"min", "max", "below"}:
        limit = values[0]
        if isinstance(found, str):
            found = float(found) if found else None
        return found is not None and {
            "min": found >= limit, "max": found <= limit, "below": found < limit
        }[operator]  # fmt: skip
    if operator == "like":
        return any(value.lower() in found.lower() for value in values)
    return found is values[0] if isinstance(found, bool) else found in values


def matching(lives: Mapping[str, Life], filters: Filters) -> tuple[set[str], int]:
    """The conversations that match, and how many turns do."""
    names, turns = set(), 0
    for name, life in lives.items():
        whole = [one for one in filters.conditions if one.field.level == "conversation"]
        parts = [one for one in filters.conditions if one.field.level == "turn"]

        def on(turn: Mapping[str, Any], one: Any) -> bool:
            read = OF_A_TURN.get(one.name, lambda t: t[one.name])
            values = (True,) if one.values[0] is False else one.values
            return holds(read(turn), one.operator.replace("not", "is"), values)

        if not all(
            holds(life.facts[one.name], one.operator.replace("not", "is"),
                  (True,) if one.values[0] is False else one.values) is not one.negative
            for one in whole
        ):  # fmt: skip
            continue
        wanted = [one for one in parts if not one.negative]
        unwanted = [one for one in parts if one.negative]
        such = [turn for turn in life.turns if all(on(turn, one) for one in wanted)]
        if such and not any(on(turn, one) for turn in life.turns for one in unwanted):
            names.add(name)
        turns += sum(not any(on(turn, one) for one in unwanted) for turn in such)
    return names, turns


@st.composite
def asked(draw: st.DrawFn) -> dict[str, Any]:
    """One to three parameters, each with what values it takes."""
    known = {**PARAMETERS, **METADATA}
    names = draw(st.lists(st.sampled_from(sorted(known)), min_size=1, max_size=3, unique=True))
    made: dict[str, Any] = {}
    for name in names:
        key, operator = known[name]
        if key in FIELDS and FIELDS[key].kind == "flag":
            made[name] = draw(st.booleans())
        elif operator in NUMERIC:
            made[name] = draw(st.sampled_from(NUMBERS[key]))
        else:
            words = [one for one in WORDS[WORDS_OF_MORE.get(key, key)] if one or operator != "like"]
            made[name] = draw(st.lists(st.sampled_from(words), min_size=1, max_size=2))
    return made


@examples(60, 1500)
@drawn(named=asked())
def test_a_list_is_what_plain_python_finds(world: World, named: dict[str, Any]) -> None:
    """Whatever fields, operators and values: the conversations, and the turns of them."""
    told = world.told
    try:
        filters = Filters(**named)
    except QueryError as error:
        assert "least" in str(error)  # noqa: PT017 - two bounds the wrong way round
        return
    names, turns = matching(world.lives, filters)
    found = conversations(told.store, told.scope, DAY, filters, 200).items
    assert {item.conversation_id for item in found} == names, named
    listed = interactions(told.store, told.scope, DAY, filters, 200).items
    assert len(listed) == turns, named


def test_what_was_said_is_found_by_who_may_read_it(world: World) -> None:
    """Neither a text nor metadata can be guessed at without the right to read."""
    told = world.told
    blind = Scope(told.scope.tenants, told.scope.permissions - {CONVERSATIONS_READ})
    for filters in (Filters(text_like="refund"), Filters(**{"metadata.plan": "pro"})):
        assert conversations(told.store, told.scope, DAY, filters, 200).items
        with pytest.raises(AccessError):
            conversations(told.store, blind, DAY, filters, 200)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("text", "refund", "The filter text takes text_like."),
        ("cost", "1", "The filter cost takes cost_min, cost_max, cost_below."),
        ("text_like", " ", "What to search for has 1 to 200 characters."),
        ("metadata.", "x", "After metadata. comes a key of letters, digits and _ . : -"),
        ("metadata.a'b", "x", "After metadata. comes a key of letters, digits and _ . : -"),
        ("metadata.seats_min", "many", "metadata.seats_min is a number."),
    ],
)
def test_a_filter_that_would_limit_nothing_is_refused(name: str, value: str, told: str) -> None:
    """It is named, with what it takes."""
    with pytest.raises(QueryError) as caught:
        Filters(**{name: value})
    assert (str(caught.value), caught.value.field) == (told, name)
