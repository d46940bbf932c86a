"""What a list shows of a conversation: how it began and ended, and why it is notable."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_chat.server.access import Scope
from otel_chat.server.questions.conversation import conversation, one_turn
from otel_chat.server.questions.previews import LONGEST, Preview, PreviewRating, previews
from tests.server.given import DAY, NOON
from tests.server.pages.scenes import content

if TYPE_CHECKING:
    from tests.server.given import Given


def seen(given: Given, *names: str, scope: Scope | None = None) -> dict[str, Preview]:
    """The previews of some conversations, by id."""
    keys = [(given.tenant, name) for name in names]
    found = previews(given.store, scope or given.scope, DAY, keys, NOON)
    return {name: preview for (_, name), preview in found.items()}


def test_a_preview_says_how_it_began_and_ended_and_what_stands_out(given: Given) -> None:
    """The first message, the last reply there was, intents in order, and what counts as notable."""
    said = [("Hi", "Hello"), ("My kettle\n leaks", "Oh"), ("Hm", "")]
    kinds = [{"intent": "greet"}, {"intent": "repair", "confidence": 0.2}, {"intent": "repair"}]
    for number, ((user, reply), columns) in enumerate(zip(said, kinds, strict=True)):
        replied = {"output_messages": content("assistant", reply)} if reply else {}
        given.turn(
            "c", number, 4.0 if number else 1.0, input_messages=content("user", user), **replied,
            **columns,
        )  # fmt: skip
    given.turn("c", 5, status="error", fallback=True, intent="greet")
    given.feedback(5, "c", 6)
    given.feedback(2, "c", 7)
    given.turn("other", 1, input_messages=content("user", "x" * 400))
    given.save()
    found = seen(given, "c", "other")
    assert found["c"] == Preview(
        first_message="Hi",
        last_reply="Oh",
        intents=["greet", "repair", "greet"],
        unsure=2,
        failed=1,
        slow=2,
        rating=PreviewRating(value=2, highest=5),
    )
    assert found["other"].first_message == "x" * LONGEST + "…"
    assert found["other"].rating is None


def test_a_preview_without_the_right_to_read_has_no_text(given: Given) -> None:
    """What is counted stays; what was said is not there."""
    given.turn("c", 0, intent="greet", input_messages=content("user", "Hi"), fallback=True)
    given.save()
    viewer = Scope(frozenset({given.tenant}), frozenset({"analytics:view"}))
    found = seen(given, "c", scope=viewer)["c"]
    assert (found.first_message, found.last_reply) == (None, None)
    assert (found.intents, found.unsure) == (["greet"], 1)


def test_an_event_knows_its_turn(given: Given) -> None:
    """By the nearest turn above its span; without a span of a turn it belongs to none."""
    outer = given.turn("c", 0, 9)
    inner = given.turn("c", 2, 3, trace_id=outer["trace_id"], parent_span_id=outer["span_id"])
    tool = given.span(outer["trace_id"], inner["span_id"], 3)
    for number, place in enumerate((outer, inner, tool)):
        at = {"trace_id": place["trace_id"], "span_id": place["span_id"]}
        given.event("action", "c", 4 + number, action="x", **at)
    given.event("action", "c", 8, action="x")
    given.save()
    events = conversation(given.store, given.scope, DAY, "c").events
    turns = [outer["span_id"], inner["span_id"], inner["span_id"], None]
    assert [one.turn_span_id for one in events] == turns


def test_one_turn_is_a_turn_with_its_events(given: Given) -> None:
    """Numbered as in the whole conversation; what happened in others is left out."""
    rows = [given.turn("c", 10 * number) for number in range(3)]
    for number, row in enumerate(rows):
        at = {"trace_id": row["trace_id"], "span_id": row["span_id"]}
        given.event("action", "c", 10 * number + 1, action=f"a{number}", **at)
    given.save()
    found = one_turn(given.store, given.scope, DAY, "c", None, rows[1]["span_id"])
    assert [one.index for one in found.turns] == [2]
    assert [one.details["action"] for one in found.events] == ["a1"]
