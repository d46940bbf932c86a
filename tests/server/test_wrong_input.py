"""Input that is refused is told in words: which field, what it must be, what it was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
from fastapi.testclient import TestClient

from otel_chat.server.patterns import WORDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import FastAPI


@pytest.mark.parametrize(
    ("asked", "field", "words"),
    [
        ({"limit": "0"}, "limit", "Must be at least 1, not '0'."),
        ({"limit": "many"}, "limit", "Must be a whole number, not 'many'."),
        ({"window": "2h"}, "window", "Must be 24h, 7d, 30d or 90d, not '2h'."),
        ({"cursor": "x" * 5000}, "cursor", "Must have at most 4,000 characters."),
    ],
)
def test_a_parameter_is_refused_in_words(
    client: TestClient, asked: dict[str, str], field: str, words: str
) -> None:
    """No pattern and no type of a program; what is long is not repeated."""
    answer = client.get("/api/v1/conversations", params=asked)
    error = answer.json()["error"]
    assert (answer.status_code, error["field"], error["message"]) == (422, field, words)


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({}, "name", "Is missing."),
        ({"name": "", "scopes": ["admin"], "tenants": ["a"]}, "name", "Must not be empty."),
        ({"name": "a", "scopes": [], "tenants": ["a"]}, "scopes", "Must not be empty."),
        (
            {"name": "a", "scopes": ["root"], "tenants": ["a"]},
            "scopes.0",
            "Must be analytics:view, conversations:read, export:create, admin, ingest:write, ",
        ),
        (
            {"name": "a", "scopes": ["admin"], "tenants": ["a"], "expires_in_days": 0},
            "expires_in_days",
            "Must be more than 0, not 0.",
        ),
        ({"name": 7, "scopes": ["admin"], "tenants": ["a"]}, "name", "Must be text, not 7."),
        ({"name": "a", "scopes": "admin", "tenants": ["a"]}, "scopes", "Must be a list, not 'a"),
        ([], None, "Must be an object with fields."),
    ],
)
def test_a_body_is_refused_in_words(
    client: TestClient, body: Any, field: str | None, words: str
) -> None:
    """The field stands beside the words, however deep it lies."""
    answer = client.post("/api/v1/tokens", json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["field"]) == (422, field)
    assert error["message"].startswith(words)


def test_a_page_names_the_parameter(client: TestClient) -> None:
    """As it stands in the address."""
    answer = client.get("/conversations", params={"cursor": "x" * 5000})
    assert answer.status_code == 422
    assert "cursor must have at most 4,000 characters." in answer.text


def test_a_wrong_recipient_is_named_and_the_form_stays(client: TestClient) -> None:
    """Of several the one that is wrong; what was typed and ticked stands in the form again."""
    typed = {"to": "boss@example.com, team", "timezone": "Europe/Berlin", "mondays": "yes"}
    answer = client.post("/reports", data=typed, headers={"origin": "http://127.0.0.1:8400"})
    assert answer.status_code == 422
    assert "To: must be an e-mail address, as name@example.com, not &#39;team&#39;." in answer.text
    assert 'value="boss@example.com, team"' in answer.text
    assert "<option selected>Europe/Berlin</option>" in answer.text
    assert 'value="yes" checked' in answer.text


def test_forms_of_settings_stay_as_typed(client: TestClient) -> None:
    """Of a token that is not made, and of what is not erased."""
    headers = {"origin": "http://127.0.0.1:8400"}
    form = {"name": "shop", "tenants": "a, b", "days": "365"}
    refused = client.post("/settings/tokens", data=form, headers=headers)
    assert refused.status_code == 422
    assert 'name="name" value="shop"' in refused.text
    assert 'value="a, b"' in refused.text
    assert '<option value="365" selected>' in refused.text
    form = {"kind": "before", "named": "last week", "sure": "yes"}
    refused = client.post("/settings/erasures", data=form, headers=headers)
    assert refused.status_code == 422
    assert 'value="before" checked' in refused.text
    assert 'value="last week"' in refused.text


def test_every_pattern_is_said_in_words(client: TestClient) -> None:
    """Nobody who writes something is shown a regular expression, or told no more than `wrong`."""

    def patterns(described: Any) -> Iterator[str]:
        if isinstance(described, dict):
            if isinstance(described.get("pattern"), str):
                yield described["pattern"]
            described = list(described.values())
        if isinstance(described, list):
            for one in described:
                yield from patterns(one)

    app = cast("FastAPI", client.app)
    found = set(patterns(app.openapi()))
    assert len(found) > 3
    assert found <= set(WORDS)
