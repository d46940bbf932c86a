"""Search in what was said, on hand-made conversations."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given as example
from hypothesis import strategies as st

from otel_chat.errors import AccessError, QueryError
from otel_chat.server.access import PERMISSIONS, Scope
from otel_chat.server.figures.filters import Filters
from otel_chat.server.questions.conversations import Conversations, conversations
from tests.examples import examples
from tests.server.given import DAY, Given, at

if TYPE_CHECKING:
    from otel_chat.server.store import Store


def said(role: str, *texts: str, ascii_only: bool = False) -> str:
    """Messages as the library stores them: one of a role, a part for each text."""
    parts = [{"type": "text", "content": text} for text in texts]
    return json.dumps([{"role": role, "parts": parts}], ensure_ascii=ascii_only)


def ask(given: Given, text: str, filters: Filters | None = None, **more: Any) -> Conversations:
    return conversations(given.store, given.scope, DAY, filters or Filters(), search=text, **more)


def found(given: Given, text: str, filters: Filters | None = None) -> list[str]:
    return [one.conversation_id for one in ask(given, text, filters).items]


@pytest.fixture
def spoken(given: Given) -> Given:
    given.turn("a", 0, input_messages=said("user", "Where is my Parcel?"))
    given.turn("b", 10, output_messages=said("assistant", "Your refund is on its way"))
    given.turn("b", 20, agent="help", input_messages=said("user", "thanks"))
    given.turn("c", 30, input_messages=said("user", "hello"))
    given.event("message", "c", 40, sender="human", text="I sent the PARCEL myself")
    given.turn("d", 50)
    given.save()
    return given


def test_users_replies_and_messages_between_turns_are_searched(spoken: Given) -> None:
    """In whatever case; newest first, as the list always is."""
    assert found(spoken, "parcel") == ["c", "a"]
    assert found(spoken, "REFUND") == ["b"]
    assert found(spoken, "nowhere") == []


def test_a_match_says_who_said_it_and_when(spoken: Given) -> None:
    """The first place of each conversation."""
    (of_c, of_a) = ask(spoken, "parcel").items
    assert of_a.match.model_dump() == {
        "at": at(0), "sender": "user", "snippet": "Where is my Parcel?",
    }  # fmt: skip
    assert of_c.match.model_dump() == {
        "at": at(40), "sender": "human", "snippet": "I sent the PARCEL myself",
    }  # fmt: skip
    listed = conversations(spoken.store, spoken.scope, DAY, Filters()).items
    assert [one.match for one in listed] == [None] * 4


def test_a_long_text_is_cut_around_the_match(given: Given) -> None:
    """60 characters on both sides, lines run together."""
    text = f"{'x' * 100}\n needle \n{'y' * 100}"
    given.turn("a", 0, input_messages=said("user", text))
    given.save()
    (one,) = ask(given, "needle").items
    assert one.match.snippet == f"…{'x' * 58} needle {'y' * 58}…"


def test_the_structure_of_what_is_stored_is_not_what_was_said(spoken: Given) -> None:
    """Every stored message has a role, parts and a type: nobody said these words."""
    for word in ("user", "assistant", "role", "parts", "content", "type", '"', "[{", "text"):
        assert found(spoken, word) == [], word


def test_only_the_last_message_of_a_history_was_said_in_a_turn(given: Given) -> None:
    """Other libraries send the whole history with each turn, and system prompts."""
    history = [
        {"role": "system", "content": "You sell aardvarks"},
        {"role": "user", "content": "An earlier beaver"},
        {"role": "assistant", "content": "A reply about beavers"},
        {"role": "user", "content": "What about cats?"},
    ]
    given.turn("a", 0, input_messages=json.dumps(history))
    given.save()
    assert found(given, "cats") == ["a"]
    assert found(given, "aardvark") == []
    assert found(given, "beaver") == []


@pytest.mark.parametrize("text", ["100%", "a_b", "%", "(x", "c:\\dir", 'say "hi"', "a/b", "'; --"])
def test_what_is_searched_for_is_taken_as_it_stands(given: Given, text: str) -> None:
    """Nothing in it is a wildcard, a regular expression or SQL."""
    given.turn("has", 0, input_messages=said("user", f"I mean {text} indeed"))
    given.turn("lacks", 1, input_messages=said("user", "I mean 100 a-b x axb ab and so on"))
    given.event("message", "lacks", 2, sender="system", text="plain")
    given.save()
    assert found(given, text) == ["has"]


@pytest.mark.parametrize("ascii_only", [True, False])
def test_other_alphabets_are_found_however_they_were_stored(given: Given, ascii_only: bool) -> None:
    """As they are, or as JSON's escapes; in whatever case."""
    given.turn("a", 0, input_messages=said("user", "Où est le café? Größe", ascii_only=ascii_only))
    given.turn("b", 1, output_messages=said("assistant", "我的包裹在哪里", ascii_only=ascii_only))
    given.save()
    assert found(given, "CAFÉ") == ["a"]
    assert found(given, "größe") == ["a"]
    assert found(given, "包裹") == ["b"]


def test_filters_hold_too(spoken: Given) -> None:
    """Of the agent help only conversation b; of the abandoned none."""
    assert found(spoken, "refund", Filters(agent="help")) == ["b"]
    assert found(spoken, "parcel", Filters(agent="help")) == []
    assert found(spoken, "parcel", Filters(state="settled")) == ["c", "a"]
    assert found(spoken, "parcel", Filters(outcome="abandoned")) == []


def test_pages_put_together_are_all_that_is_found(given: Given) -> None:
    """Two to a page, though the text was said hours after their start."""
    for number in range(7):
        text = "odd" if number % 2 else "even"
        given.turn(f"c{number}", number * 3600, input_messages=said("user", text))
        # Said hours after the start.
        given.turn(f"c{number}", number * 3600 + 7200, input_messages=said("user", f"late {text}"))
    given.save()
    pages, cursor = [], None
    while True:
        page = ask(given, "late odd", limit=2, cursor=cursor)
        pages.append([one.conversation_id for one in page.items])
        assert all(one.match.snippet == "late odd" for one in page.items)
        cursor = page.next_cursor
        if cursor is None:
            break
    assert pages == [["c5", "c3"], ["c1"]]


def test_text_is_searched_by_whoever_may_read_it_only(spoken: Given) -> None:
    """Whether something is found would say what was said."""
    scope = Scope(spoken.scope.tenants, frozenset(PERMISSIONS) - {"conversations:read"})
    with pytest.raises(AccessError, match="conversations:read") as raised:
        conversations(spoken.store, scope, DAY, Filters(), search="parcel")
    assert raised.value.status == 403


def test_another_tenants_words_are_not_found(store: Store) -> None:
    """The same conversation id, and the word in the other's only."""
    mine, other = Given(store), Given(store)
    mine.turn("a", 0, input_messages=said("user", "mine"))
    other.turn("a", 0, input_messages=said("user", "secret"))
    mine.save()
    other.save()
    assert found(mine, "secret") == []


@pytest.mark.parametrize("text", ["", "   ", "x" * 201, "a\nb", "\0"])
def test_what_cannot_be_searched_for_is_refused(given: Given, text: str) -> None:
    """Nothing, too much, or more than a line."""
    with pytest.raises(QueryError) as raised:
        ask(given, text)
    assert raised.value.field == "search"


@pytest.mark.parametrize("ascii_only", [False, True])
@pytest.mark.parametrize(
    "text", ["\u00df\u0100", "Stra\u00dfe \u00c4\u00f6\u00dc", 'a/b \U0001f600 "q"']
)
def test_letters_of_both_cases_are_found_however_json_writes_them(
    given: Given, text: str, ascii_only: bool
) -> None:
    """Escaped or not, a small letter beside a capital one."""
    given.turn("a", 0, input_messages=said("user", f"so {text} it is", ascii_only=ascii_only))
    given.save()
    assert found(given, text) == found(given, text.lower()) == ["a"]


words = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), max_size=6)


@examples(12, 200)
@example(before=words, middle=words.filter(bool), after=words, ascii_only=st.booleans())
def test_every_piece_of_what_was_said_is_found(
    store: Store, before: str, middle: str, after: str, ascii_only: bool
) -> None:
    """Whatever characters it has, and however JSON writes them."""
    given = Given(store)
    text = f"{before}{middle}{after}"
    given.turn("a", 0, input_messages=said("user", text, ascii_only=ascii_only))
    given.save()
    assert found(given, middle) == ["a"]
