"""The one language of filters: a list holds what plain Python over the rows says."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from otel_chat.errors import AccessError, QueryError
from otel_chat.server.access import CONVERSATIONS_READ, Scope
from otel_chat.server.figures.conditions import Condition
from otel_chat.server.figures.fields import FIELDS, NUMERIC, OPERATORS, PARAMETERS, parameter
from otel_chat.server.figures.filters import Filters
from otel_chat.server.figures.where import Either, Every, Node, Without
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
    "status_code": ("200", "500", ""),
    "model": ("small", "large"),
    "user": ("u1", "u2", ""),
    "tool": ("search", "pay"),
    "topic": ("delivery", "price"),
    "lead": ("signup", "call"),
    "visited": ("/help", "/cart", "/end"),
    "first_referrer": ("mail.example", "shop.example", ""),
    "way": ("1 refund \u2192 refund_status", "1 refund \u2192 (end)", "1 greet \u2192 refund"),
    "tag": ("billing", "odd"),
    "handoff_reason": ("asked", "unsure"),
    "outcome": FIELDS["outcome"].choices,
    "state": FIELDS["state"].choices,
    "conversation_id": ("c1", "c2", "c33"),
    "platform": ("ios", ""),
    "location": ("DE", "FR"),
    "route": ("/chat", ""),
    "page": ("/help", "/cart"),
    "referrer": ("https://Mail.example/x", "shop.example/y", ""),
    "service": ("bot", "desk"),
    "provider": ("openai", ""),
    "sentiment": ("positive", "negative", ""),
    "event": ("cart.opened", "otel_chat.topic"),
    "text": ("Refund", "grüße", '5 "% off"', "thanks"),
    "metadata.plan": ("pro", "free", ""),
    "metadata.seats": ("3", "20"),
    "verdict": ("resolved: yes", "resolved: no"),
    "label": ("tone", "too slow"),
    "reviewer": ("Ana", "Ben", "Cay"),
    "sample": ("first", "second"),
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
        "status": rolled.choice(("ok", "ok", "error", "cancelled")),
        "without_reply": rolled.random() < 0.1,
        "http_status": rolled.choice((None, 200, 500)),
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
    leads = rolled.sample(WORDS["lead"], rolled.randint(0, 2))
    for kind in leads:
        told.event("lead", name, 4, lead_kind=kind, page="/end")
    opened = rolled.random() < 0.4
    if opened:
        told.event("custom", name, 3, event_name="cart.opened")
    ratings = [rolled.choice((1, 2, 3, 5)) for _ in range(rolled.randint(0, 2))]
    for number, value in enumerate(ratings):
        told.feedback(value, name, 200 + number)
    reasons = rolled.sample(WORDS["handoff_reason"], rolled.choice((0, 0, 1)))
    for reason in reasons:
        told.event("handoff.requested", name, 2, reason=reason)
    steps = [t["intent"] for t in life.turns if t["intent"] not in {"", "greet"}]  # small talk
    merged = [one for one, before in zip(steps, ["", *steps], strict=False) if one != before]
    pairs = zip(merged, [*merged[1:], "(end)"], strict=False)
    ways = [f"{number} {one} \u2192 {then}" for number, (one, then) in enumerate(pairs, 1)]
    tags = rolled.sample(WORDS["tag"], rolled.randint(0, 1))
    reviewed = rolled.random() < 0.3
    said = {one: rolled.choice(("yes", "no")) for one in WORDS["reviewer"] if rolled.random() < 0.4}
    labels = rolled.sample(WORDS["label"], 1) if said else []
    samples = rolled.sample(WORDS["sample"], rolled.randint(0, 2))
    life.facts = {
        "verdict": [
            f"resolved: {value}"
            for value in ("yes", "no")
            if 2 * list(said.values()).count(value) > len(said)
        ],
        "label": labels,
        "reviewer": list(said),
        "sample": samples,
        "topic": topics,
        "lead": leads,
        "visited": [*(turn["page"] for turn in life.turns), *(["/end"] if leads else [])],
        "first_referrer": {"h": "mail.example", "s": "shop.example"}.get(
            life.turns[0]["referrer"][:1], ""
        ),
        "event": [
            *(["otel_chat.lead"] if leads else []),
            *(["otel_chat.topic"] if topics else []),
            *(["cart.opened"] if opened else []),
            *(["gen_ai.evaluation.result"] if ratings else []),
            *(["otel_chat.handoff.requested"] if reasons else []),
        ],
        "way": ways,
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
    about = {"tenant": told.tenant, "conversation_id": name, "version": 1}
    told.store.insert_rows(
        "reviews",
        [
            {**about, "reviewer": one, "verdicts": [f"resolved: {value}"], "labels": labels}
            for one, value in said.items()
        ],
    )
    told.store.insert_rows("sampled", [{**about, "sample": one} for one in samples])
    mark = {**about, "note": ""}
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
    "cancelled": lambda t: t["status"] == "cancelled",
    "without_reply": lambda t: t["status"] == "ok" and t["without_reply"],
    "status_code": lambda t: "" if t["http_status"] is None else str(t["http_status"]),
    "unpriced": lambda t: (
        t["cost"] is None and (t["input_tokens"] is not None or t["output_tokens"] is not None)
    ),
    "slow": lambda t: t["duration"] >= 3,
    "response_time": lambda t: (
        t["duration"] if t["status"] == "ok" and not t["without_reply"] else None
    ),
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
    if operator in NUMERIC:
        limit = values[0]
        if isinstance(found, str):
            found = float(found) if found else None
        return found is not None and {
            "min": found >= limit, "max": found <= limit, "below": found < limit,
            "above": found > limit,
        }[operator]  # fmt: skip
    if operator == "like":
        return any(value.lower() in found.lower() for value in values)
    return found is values[0] if isinstance(found, bool) else found in values


def on_turn(life: Life, turn: Mapping[str, Any], tree: Node, *, whole: bool) -> bool:
    """Whether a turn, with its conversation around it, fulfils a tree.

    Args:
        life: The conversation.
        turn: One of its turns.
        tree: What is asked.
        whole: Whether conversations are asked for: then what must not be is true of no turn.
    """
    match tree:
        case Condition(name, operator, values):
            read = OF_A_TURN.get(name, lambda t: t[name])
            found = life.facts[name] if tree.field.level == "conversation" else read(turn)
            return holds(found, operator, values)
        case Without(part) if whole:
            return not any(on_turn(life, one, part, whole=True) for one in life.turns)
        case Without(part):
            return not on_turn(life, turn, part, whole=False)
        case Every(parts):
            return all(on_turn(life, turn, part, whole=whole) for part in parts)
        case Either(parts):
            return any(on_turn(life, turn, part, whole=whole) for part in parts)


def matching(lives: Mapping[str, Life], filters: Filters) -> tuple[set[str], int]:
    """The conversations that match, and how many turns do."""
    tree = filters.tree
    names = {
        name
        for name, life in lives.items()
        if any(on_turn(life, turn, tree, whole=True) for turn in life.turns)
    }
    turns = [(life, turn) for life in lives.values() for turn in life.turns]
    return names, sum(on_turn(life, turn, tree, whole=False) for life, turn in turns)


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


SIGNS: Final = {
    "is": "=", "not": "!=", "min": ">=", "max": "<=", "above": ">", "below": "<",
    "like": "contains",
}  # fmt: skip


@st.composite
def leaves(draw: st.DrawFn) -> str:
    """One condition as it is written in `where`."""
    known = {**PARAMETERS, **METADATA}
    key, operator = known[draw(st.sampled_from(sorted(known)))]
    if key in FIELDS and FIELDS[key].kind == "flag":
        return draw(st.sampled_from((key, f"{key} = true", f"{key} = false")))
    if operator in NUMERIC:
        return f"{key} {SIGNS[operator]} {draw(st.sampled_from(NUMBERS[key]))}"
    words = [one for one in WORDS[WORDS_OF_MORE.get(key, key)] if one or operator != "like"]
    quoted = [json.dumps(one, ensure_ascii=False) for one in words]
    if operator in {"is", "not"} and draw(st.booleans()):
        among = ", ".join(draw(st.lists(st.sampled_from(quoted), min_size=1, max_size=2)))
        return f"{key} {'not ' if operator == 'not' else ''}in ({among})"
    return f"{key} {SIGNS[operator]} {draw(st.sampled_from(quoted))}"


TREES: Final = st.recursive(
    leaves(),
    lambda inner: st.one_of(
        inner.map(lambda one: f"not ({one})"),
        st.tuples(inner, st.sampled_from(("and", "or", "AND", "OR")), inner).map(
            lambda three: f"({' '.join(three)})"
        ),
    ),
    max_leaves=6,
)


@examples(60, 1500)
@drawn(where=TREES, named=asked())
def test_a_tree_holds_what_plain_python_finds(
    world: World, where: str, named: dict[str, Any]
) -> None:
    """However conditions nest, alone or beside the flat language: conversations and turns."""
    told = world.told
    try:
        filters = Filters(where=where, **(named if len(where) % 3 == 0 else {}))
    except QueryError as error:
        assert "least" in str(error)  # noqa: PT017 - two bounds the wrong way round
        return
    names, turns = matching(world.lives, filters)
    found = conversations(told.store, told.scope, DAY, filters, 200).items
    assert {item.conversation_id for item in found} == names, filters.words
    active = conversations(told.store, told.scope, replace(DAY, by="active"), filters, 200).items
    assert {item.conversation_id for item in active} == names, filters.words
    listed = interactions(told.store, told.scope, DAY, filters, 200).items
    assert len(listed) == turns, filters.words


@pytest.mark.parametrize(
    ("flat", "where"),
    [
        ({"intent": "refund", "failed": True}, "intent = refund and failed"),
        ({"intent_not": ["refund", "greet"]}, "intent not in (refund, greet)"),
        ({"failed": False, "cost_min": 0.25}, "not failed and cost >= 0.25"),
        ({"outcome": "abandoned", "tool": "pay"}, "outcome = 'abandoned' and (tool = \"pay\")"),
    ],
)
def test_the_flat_language_is_the_flat_part(world: World, flat: dict[str, Any], where: str) -> None:
    """The same conditions, written either way, let the same through."""
    told = world.told
    both = [
        conversations(told.store, told.scope, DAY, Filters(**named), 200)
        for named in (flat, {"where": where})
    ]
    assert both[0].items == both[1].items


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("", "where, at character 1: here comes a field, not or (, not the end."),
        ("intent = ", ('where, at character 9: here comes a value, "in quotes" if it has spaces, '
         "not the end.")),
        ("(failed or slow", ("where, at character 16: the bracket of character 1 is open: here "
         "comes and, or, ), not the end.")),
        ("failed slow", "where, at character 8: here comes and, or, or the end, not 'slow'."),
        ("slow and inten = x", ("where, at character 10: there is no field 'inten'; did you mean "
         "intent?")),
        ("slow and cost contains 3", "where, at character 10: cost takes >=, <=, >, <."),
        ("cost > much", "where, at character 1: cost_above is a number from 0 up."),
        ("outcome = lost", ("where, at character 1: outcome is one of resolved, handed_off, "
         "abandoned, failed, open, not 'lost'.")),
        ("intent = 'refund", "where, at character 10: this quote is not closed."),
        ("intent ! refund", "where, at character 8: '!' means nothing here."),
        ("not " * 30 + "slow", "where, at character 81: it nests deeper than 20."),
        (" or ".join(["slow"] * 51), "where has 50 conditions at most."),
        (" and ".join(["(failed or handoff)"] * 7), ("where has too many cases: put what is said "
         "of turns, and of whole conversations, into brackets of their own.")),
        ("slow or " + "x" * 4000, "where has 4000 characters at most."),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_told_with_its_place(where: str, message: str) -> None:
    """The character, what stands there, and what may."""
    with pytest.raises(QueryError) as caught:
        Filters(where=where)
    assert (str(caught.value), caught.value.field) == (message, "where")


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
        ("cost", "1", "The filter cost takes cost_min, cost_max, cost_above, cost_below."),
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
