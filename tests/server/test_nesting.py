"""What somebody nested deeply costs nobody else their answer."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import given as generated
from hypothesis import strategies as st

from otel_chat.errors import QueryError
from otel_chat.server.access import OPEN
from otel_chat.server.figures.content import reply, user_message
from otel_chat.server.figures.paging import Cursor
from tests.examples import examples
from tests.server.served import FROM_TO

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

    from tests.server.given import Given

DEPTHS = (100, 990, 5000, 200_000)
MESSAGE = '[{"role": "user", "parts": [{"type": "text", "content": "Hi", "x": %s}]}]'


def nested(depth: int, opening: str = "[", closing: str = "]") -> str:
    return opening * depth + closing * depth


def cursor_of(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize("depth", DEPTHS)
def test_a_stored_turn_that_is_nested_deeply_leaves_every_list_readable(
    client: TestClient, given: Given, depth: int
) -> None:
    """Lists, the conversation, search, exports and pages answer; its own text may be missing."""
    stored = MESSAGE % nested(depth)
    given.turn(
        "deep", input_messages=stored, output_messages=nested(depth, '{"a":', "}"),
        metadata=nested(depth), attributes={"x": nested(depth)}, fallback=True, confidence=0.1,
    )  # fmt: skip
    given.turn("plain", 60, input_messages=MESSAGE % "1", fallback=True)
    given.event("message", "deep", 1, sender="user", text="x", data=nested(depth))
    given.save()
    made = client.app.state.access.tokens.create(  # type: ignore[attr-defined]
        "t",
        scopes=["analytics:view", "conversations:read", "export:create"],
        tenants=[given.tenant],
    )  # type: ignore[attr-defined]
    headers = {"authorization": f"Bearer {made.token}"}
    for path in (
        "/api/v1/interactions", "/api/v1/conversations", "/api/v1/conversations/deep",
        "/api/v1/unanswered", "/api/v1/events", "/api/v1/exports/messages",
        "/api/v1/exports/interactions", "/conversations/deep", "/conversations",
    ):  # fmt: skip
        asked = {} if path.endswith("deep") else FROM_TO
        answer = client.get(path, params=asked, headers=headers)
        assert answer.status_code in (200, 404), (path, answer.text[:300])
    found = client.get("/api/v1/interactions", params=FROM_TO, headers=headers).json()
    assert len(found["items"]) == 2
    assert "Hi" in json.dumps(found)


@examples(40, 400)
@generated(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["role", "parts", "content", "type"]), inner)
        ),
        max_leaves=12,
    )
)
def test_any_stored_json_is_read_without_an_error(value: object) -> None:
    """Of whatever shape: a text comes out of it, or none."""
    for stored in (json.dumps(value), json.dumps([value]), json.dumps(value)[:-1]):
        assert isinstance(user_message(OPEN, stored), str | None)
        assert isinstance(reply(OPEN, stored), str | None)


CURSORS = [
    cursor_of(nested(1400)),
    cursor_of("[1," + nested(600) + ',"c"]'),
    cursor_of('[1,"a",' + nested(1400, '{"a":[', "]}")[:1000] + "]"),
    cursor_of('[1,"\\ud800","c"]'),
    cursor_of('[1,"a","\\udfff"]'),
    cursor_of('[1e400,"a","c"]'),
    cursor_of("[" + "9" * 2000 + ',"a","c"]'),
    cursor_of('[NaN,"a","c"]'),
    cursor_of('{"a":1,"b":2,"c":3}'),
    cursor_of('[1,"a","c","d"]'),
    cursor_of("[true,1,2]"),
    "é", "%", "=", "A", "\x00",
]  # fmt: skip


@pytest.mark.parametrize("path", ["interactions", "conversations", "feedback/comments"])
def test_a_cursor_that_came_from_elsewhere_is_422(client: TestClient, path: str) -> None:
    """Nested, cut, of other types or of no text: the parameter is named."""
    for cursor in CURSORS:
        answer = client.get(f"/api/v1/{path}", params={"cursor": cursor})
        assert answer.status_code == 422, (cursor, answer.text)
        assert answer.json()["error"]["field"] == "cursor"


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
@generated(st.text(max_size=60) | st.text('[]{}",1\\ud80', max_size=200).map(cursor_of))
def test_a_cursor_is_read_or_named(text: str) -> None:
    """Nothing else comes of any text."""
    with contextlib.suppress(QueryError):
        read = Cursor.read(text)
        assert Cursor.read(read.text()) == read


@pytest.mark.parametrize("path", ["interactions", "conversations", "feedback/comments"])
def test_a_sound_cursor_of_odd_values_is_answered(client: TestClient, path: str) -> None:
    """An empty page, or the parameter is named; never an error of the server."""
    for at in (0, -1, -(2**63) + 1, 2**63 - 1):
        for tenant, key in (("", ""), ("\x00", "a\x00b"), ("'", "\\"), ("", "turns")):
            asked = {"cursor": Cursor(at, tenant, key).text()}
            for sort in ({}, {"sort": "turns"}) if path == "conversations" else ({},):
                answer = client.get(f"/api/v1/{path}", params=asked | sort)
                assert answer.status_code in (200, 422), (at, tenant, key, answer.text)
