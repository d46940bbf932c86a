"""What is read from a request, and what a hostile one cannot do."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_chat.errors import ConfigurationError, TelemetryError
from otel_chat.middleware.request import ID_LENGTH, Request, Rules


def request(**given: object) -> Request:
    headers = {str(k): str(v) for k, v in dict(given.get("headers", {})).items()}  # type: ignore[call-overload]
    made = Request(
        "POST", str(given.get("path", "/chat")), str(given.get("query", "")), headers, {}
    )
    made.path_params = given.get("path_params", {})  # type: ignore[assignment]
    body = given.get("body")
    made.body = body if isinstance(body, bytes) else json.dumps(body).encode() if body else None
    return made


@pytest.mark.parametrize(
    ("source", "made"),
    [
        ("header:X-Session", request(headers={"x-session": "s-1"})),
        ("cookie:sid", request(headers={"cookie": "a=b; sid=s-1"})),
        ("query:session", request(query="x=1&session=s-1&session=s-2")),
        ("path:session_id", request(path_params={"session_id": "s-1"})),
        ("path:/chat/{id}/messages", request(path="/chat/s-1/messages")),
        ("json:session.id", request(body={"session": {"id": "s-1"}})),
        (lambda r: r.headers["x"], request(headers={"x": "s-1"})),
    ],
)
def test_a_conversation_id_is_found_where_the_source_says(source: object, made: Request) -> None:
    """Header, cookie, query, path parameter, path pattern, JSON body and a function."""
    assert Rules(conversation_id=source).facts(made)["conversation_id"] == "s-1"  # type: ignore[arg-type]


def test_sources_are_tried_in_order_and_a_missing_one_is_skipped() -> None:
    """The first that has a value wins; none makes one up."""
    rules = Rules(conversation_id=["header:a", "query:b", "json:c"])
    assert rules.facts(request(query="b=2", body={"c": 3}))["conversation_id"] == "2"
    assert rules.facts(request(body={"c": 3}))["conversation_id"] == "3"
    assert "conversation_id" not in rules.facts(request())


@pytest.mark.parametrize("wrong", ["session", "header:", "path:/a/{b}/{c}", "path:/a", 7])
def test_a_malformed_source_is_refused_when_configured(wrong: object) -> None:
    """The error names the argument."""
    with pytest.raises(ConfigurationError, match=r"path|conversation_id"):
        Rules(conversation_id=wrong)  # type: ignore[arg-type]


def test_texts_stand_for_themselves_where_they_are_no_source() -> None:
    """`channel="web"` is a value, `channel="header:x-channel"` a place."""
    made = request(headers={"x-channel": "voice"})
    assert Rules(channel="web").facts(made)["channel"] == "web"
    assert Rules(channel="header:x-channel").facts(made)["channel"] == "voice"


def test_secrets_in_addresses_stay_behind() -> None:
    """User, password, query and fragment of the referrer are cut; the page is its path."""
    made = request(headers={"referer": "https://u:p@shop.example:8443/help?token=t#x"})
    facts = Rules().facts(made)
    assert facts["referrer"] == "https://shop.example:8443/help"
    assert facts["page"] == "/help"


def test_a_source_that_raises_is_reported_and_the_next_one_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Under test it raises as `TelemetryError`; in production the next source has its turn."""
    rules = Rules(conversation_id=[lambda r: 1 / 0, "query:s"])
    with pytest.raises(TelemetryError, match="ZeroDivisionError"):
        rules.facts(request(query="s=1"))
    monkeypatch.delenv("OTEL_CHAT_RAISE")
    assert rules.facts(request(query="s=1"))["conversation_id"] == "1"


@pytest.mark.parametrize("length", ["70000", "99999999999999999999"])
def test_a_large_body_is_not_asked_for(length: str) -> None:
    """Above the limit, or where it is no JSON, no rule looks into the body."""
    rules = Rules(conversation_id="json:s")
    kind = {"content-type": "application/json"}
    assert rules.wants_body(request(headers={**kind, "content-length": "10"}))
    assert not rules.wants_body(request(headers={**kind, "content-length": length}))
    assert not rules.wants_body(request(headers={"content-length": "10"}))


@given(
    headers=st.dictionaries(
        st.sampled_from(["cookie", "referer", "user-agent", "content-type", "content-length", "x"]),
        st.text(max_size=600),
    ),
    query=st.text(max_size=300),
    path=st.text(max_size=300),
    body=st.binary(max_size=300),
)
def test_no_request_makes_reading_fail(
    headers: dict[str, str], query: str, path: str, body: bytes
) -> None:
    """Whatever a client sends: facts are short printable text, and an id is whole or missing."""
    rules = Rules(
        conversation_id=["cookie:s", "json:a.b", "query:s", "path:/{x}", "header:x"],
        user_type="header:x",
        page="header:x",
    )
    made = request(headers=headers, query=query, path=path, body=body)
    rules.wants_body(made)
    for value in rules.facts(made).values():
        assert value
        assert value.isprintable()
        assert len(value) <= 512
    assert len(rules.facts(made).get("conversation_id", "")) <= ID_LENGTH


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda v: st.lists(v) | st.dictionaries(st.sampled_from("ab"), v),
    )
)
def test_json_of_any_shape_gives_an_id_or_none(body: object) -> None:
    """Only text and whole numbers are ids."""
    made = request()
    made.body = json.dumps(body).encode()
    found = Rules(conversation_id="json:a.b").facts(made).get("conversation_id")
    inner = body.get("a") if isinstance(body, dict) else None
    value = inner.get("b") if isinstance(inner, dict) else None
    if found is not None:
        assert isinstance(value, str)
        assert found == value.strip()


def test_deep_json_is_no_id() -> None:
    """Nesting beyond the parser's depth is not an error of ours."""
    made = request(body=b"[" * 100_000)
    assert "conversation_id" not in Rules(conversation_id="json:a").facts(made)
