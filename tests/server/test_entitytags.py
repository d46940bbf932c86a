"""Answers that the caller has already are not sent again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi.testclient import TestClient
from hypothesis import given as generated
from hypothesis import strategies as st

from otel_chat.server.entitytags import known, tag_of
from tests.server.given import Given
from tests.server.served import FROM_TO

if TYPE_CHECKING:
    from otel_chat.server.tokens import TokenStore

PERFORMANCE = "/api/v1/performance"


def allowed(client: TestClient, given: Given) -> dict[str, str]:
    tokens: TokenStore = client.app.state.access.tokens  # type: ignore[attr-defined]
    made = tokens.create("x", scopes=["analytics:view"], tenants=[given.tenant])
    return {"authorization": f"Bearer {made.token}"}


def test_an_answer_that_has_not_changed_is_not_sent_again(given: Given, client: TestClient) -> None:
    """304 without a body, until a turn comes in: then 200 with another tag."""
    given.turn()
    given.save()
    headers = allowed(client, given)
    first = client.get(PERFORMANCE, params=FROM_TO, headers=headers)
    tag = first.headers["etag"]
    assert first.headers["cache-control"] == "private, no-store"
    assert {"Authorization", "Cookie"} <= set(first.headers["vary"].split(", "))
    again = client.get(PERFORMANCE, params=FROM_TO, headers={**headers, "if-none-match": tag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert "content-length" not in again.headers
    given.turn(seconds=60)
    given.save()
    changed = client.get(PERFORMANCE, params=FROM_TO, headers={**headers, "if-none-match": tag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag


def test_a_tag_of_another_scope_does_not_fit(given: Given, client: TestClient) -> None:
    """Another tenant's token gets its own answer, and without a token nobody gets any."""
    given.turn()
    given.save()
    tag = client.get(PERFORMANCE, params=FROM_TO, headers=allowed(client, given)).headers["etag"]
    other = {**allowed(client, Given(given.store)), "if-none-match": tag}
    answer = client.get(PERFORMANCE, params=FROM_TO, headers=other)
    assert (answer.status_code, answer.json()["turns"]) == (200, 0)
    refused = client.get(PERFORMANCE, params=FROM_TO, headers={"if-none-match": "*"})
    assert (refused.status_code, "etag" in refused.headers) == (401, False)


def test_a_compressed_answer_has_the_same_tag(given: Given, client: TestClient) -> None:
    """Which is why tags are weak ones."""
    headers = allowed(client, given)
    tags = {
        client.get(
            PERFORMANCE, params=FROM_TO, headers={**headers, "accept-encoding": coding}
        ).headers["etag"]
        for coding in ("gzip", "identity")
    }
    assert len(tags) == 1
    assert tags.pop().startswith("W/")


def test_streams_and_what_is_no_json_have_no_tags(given: Given, client: TestClient) -> None:
    """They would have to be held back to the end."""
    headers = allowed(client, given)
    stream = client.get("/api/v1/realtime/stream", params={"events": 1}, headers=headers)
    assert (stream.status_code, "etag" in stream.headers) == (200, False)


@generated(st.binary(max_size=50), st.lists(st.binary(max_size=50), max_size=4))
def test_a_tag_is_known_exactly_if_its_content_is(body: bytes, others: list[bytes]) -> None:
    """Among whatever else the caller has, in either form."""
    listed = ", ".join(tag_of(other).removeprefix("W/") for other in others)
    assert known(tag_of(body), listed) == (body in others)
