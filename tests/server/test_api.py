"""The API at its boundary: parameters, errors, headers, limits, operation."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient

from otel_chat.errors import StoreError, StoreUnavailableError
from otel_chat.server.app import create_app, is_loopback
from otel_chat.server.middleware import BODY_LIMIT
from otel_chat.server.settings import ServerSettings
from tests.server.given import Given

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_chat.server.store import Store

DAY = {"from": "2026-11-10T00:00:00Z", "to": "2026-11-11T00:00:00Z"}


@pytest.fixture(scope="module")
def running(store: Store) -> Iterator[TestClient]:
    app = create_app(store, ServerSettings())
    with TestClient(
        app, base_url="http://127.0.0.1:8400", raise_server_exceptions=False
    ) as connected:
        yield connected


def signed_in(client: TestClient, given: Given) -> dict[str, str]:
    """The header of a viewer of one tenant."""
    tokens = client.app.state.access.tokens  # type: ignore[attr-defined]
    made = tokens.create(
        "viewer", scopes=["analytics:view", "conversations:read"], tenants=[given.tenant]
    )
    return {"authorization": f"Bearer {made.token}"}


def test_the_overview_has_the_shape_that_was_promised(client: TestClient, given: Given) -> None:
    """Field by field, with money as a string and times in UTC."""
    given.turn("a", cost="0.100000001", input_tokens=3, output_tokens=4, confidence=0.5)
    given.save()
    headers = signed_in(client, given)
    found = client.get("/api/v1/overview", params=DAY, headers=headers).json()
    assert {name: found["window"][name] for name in DAY} == DAY
    assert found["cost"] == {
        "amount": "0.100000001", "priced_turns": 1, "unpriced_turns": 0, "currency": "USD",
    }  # fmt: skip
    assert found["tokens"]["total"] == 7
    assert found["response_time"] == {"mean": 1.0, "p50": 1.0, "p95": 1.0, "p99": 1.0, "count": 1}
    assert found["previous_window"]["to"] == DAY["from"]
    assert found["changes"]["turns"]["previous"] == 0


def test_times_with_an_offset_mean_the_same_moment(client: TestClient, given: Given) -> None:
    """13:00+01:00 is noon in UTC."""
    given.turn(seconds=0)
    given.save()
    headers = signed_in(client, given)
    params = {"from": "2026-11-10T13:00:00+01:00", "to": "2026-11-10T13:00:01+01:00"}
    found = client.get("/api/v1/overview", params=params, headers=headers).json()
    assert (found["turns"], found["window"]["from"]) == (1, "2026-11-10T12:00:00Z")


@pytest.mark.parametrize("path", ["overview", "interactions/stats", "report", "peak-hours"])
def test_days_are_whole_days_of_the_zone_asked_for(
    client: TestClient, given: Given, path: str
) -> None:
    """The last one included: a day of 25 hours where the clocks go back."""
    headers = signed_in(client, given)

    def span(**asked: str) -> dict[str, str]:
        found = client.get(f"/api/v1/{path}", params=asked, headers=headers).json()
        return {name: found["window"][name] for name in ("from", "to")}

    days = {"from": "2026-10-25", "to": "2026-10-25"}
    assert span(**days) == {"from": "2026-10-25T00:00:00Z", "to": "2026-10-26T00:00:00Z"}
    berlin = {"from": "2026-10-24T22:00:00Z", "to": "2026-10-25T23:00:00Z"}
    assert span(**days, timezone="Europe/Berlin") == berlin
    clock = {"from": "2026-10-25T00:00", "to": "2026-10-25T09:30"}
    assert span(**clock, timezone="Asia/Tokyo") == {
        "from": "2026-10-24T15:00:00Z",
        "to": "2026-10-25T00:30:00Z",
    }


@pytest.mark.parametrize("window", ["24h", "7d", "30d", "90d"])
def test_windows_by_name_end_now(client: TestClient, window: str) -> None:
    """Each of the names is taken."""
    assert client.get("/api/v1/overview", params={"window": window}).status_code == 200


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"window": "3d"}, "window"),
        ({"window": "7d", **DAY}, "window"),
        ({"from": "10.11.2026"}, "from"),
        ({"to": "2026-11-31"}, "to"),
        ({"from": "2026-11-10", "to": "2026-11-09"}, "from"),
        ({"from": "2026-11-10", "timezone": "Nowhere/Land"}, "timezone"),
        ({"window": "7d", "timezone": "Nowhere/Land"}, "timezone"),
        ({"from": DAY["to"], "to": DAY["from"]}, "from"),
        ({"from": "1001-01-01T00:00:00Z", "to": DAY["to"]}, "from"),
        ({"to": "0001-01-02T00:00:00Z"}, "to"),
        ({"from": DAY["from"], "to": "9999-12-31T23:59:59-23:00"}, "to"),
        ({"outcome": "sunny"}, "outcome"),
        ({"state": "ajar"}, "state"),
        ({"confidence_min": "2"}, "confidence_min"),
        ({"confidence_min": "nan"}, "confidence_min"),
        ({"confidence_min": "0.9", "confidence_max": "0.1"}, "confidence_min"),
        ({"handoff": "perhaps"}, "handoff"),
        ({"agnt_not": "sales"}, "agnt_not"),
        ({"agent_min": "3"}, "agent_min"),
        ({"handoff_not": "true"}, "handoff_not"),
        ({"outcome_not": "sunny"}, "outcome_not"),
        ({"cost_min": "-1"}, "cost_min"),
        ({"cost_min": ["0.1", "0.2"]}, "cost_min"),
        ({"intent_like": ""}, "intent_like"),
        ({"agent": [str(one) for one in range(101)]}, "agent"),
    ],
)
def test_a_wrong_parameter_is_named(client: TestClient, params: dict, field: str) -> None:
    """422 in the one shape, with the parameter at fault."""
    answer = client.get("/api/v1/overview", params=params)
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert (error["code"], error["field"]) == ("invalid", field)
    assert error["message"]


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("conversations", {"limit": 0}),
        ("conversations", {"limit": 201}),
        ("conversations", {"cursor": "nonsense"}),
        ("conversations", {"cursor": "WzFd"}),
        ("interactions", {"limit": "many"}),
        ("interactions", {"cursor": "W10"}),
        ("overview/series", {"bucket": "1m"}),
        ("overview/series", {"bucket": "15m", "window": "90d"}),
        ("traces/xyz", {}),
        ("interactions/xyz", {}),
        ("business", {"cost_per_interaction": "-1"}),
        ("business", {"cost_per_interaction": "nan"}),
    ],
)
def test_wrong_pages_ids_and_amounts_are_refused(
    client: TestClient, path: str, params: dict
) -> None:
    """422, never an error of the server."""
    answer = client.get(f"/api/v1/{path}", params=params)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/v1/nothing", 404, "not_found"),
        ("GET", "/api/v1/conversations/nothing", 404, "not_found"),
        ("GET", f"/api/v1/traces/{'0' * 32}", 404, "not_found"),
        ("POST", "/api/v1/overview", 405, "method_not_allowed"),
        ("DELETE", "/healthz", 405, "method_not_allowed"),
    ],
)
def test_every_error_has_one_shape(
    client: TestClient, method: str, path: str, status: int, code: str
) -> None:
    """{"error": {"code", "message", "field"}} and nothing else."""
    answer = client.request(method, path)
    assert answer.status_code == status
    assert set(answer.json()) == {"error"}
    assert set(answer.json()["error"]) == {"code", "message", "field"}
    assert answer.json()["error"]["code"] == code


def test_a_refused_method_is_told_every_one_that_is_taken(client: TestClient) -> None:
    """An address may be several routes: all of their methods are named."""
    document = client.get("/api/v1/openapi.json").json()["paths"]
    several = 0
    for path, operations in document.items():
        taken = {method.upper() for method in operations}
        several += len(taken) > 1
        address = path.replace("{", "").replace("}", "")
        answer = client.request("TRACE", address)
        assert answer.status_code == 405, path
        told = set(answer.headers["allow"].split(", "))
        assert told >= taken, path
        # An id may hold a slash: what stands below a conversation may be one by itself.
        assert told == taken or client.get(address).status_code != 405, path
    assert several > 2


def test_a_failure_of_the_server_says_nothing_of_its_inside(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """500 in the one shape; the reason goes to the log only."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError("a secret of the inside")

    monkeypatch.setattr(client.app.state.store, "query", fail)  # type: ignore[attr-defined]
    answer = client.get("/api/v1/overview")
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal")
    assert "secret" not in answer.text


def test_a_store_that_is_away_is_503_with_a_time_to_try_again(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And readiness says so too, while the process is still alive."""

    def away(*_: object) -> None:
        raise StoreUnavailableError("The store is away.", retry_after=7)

    monkeypatch.setattr(client.app.state.store, "query", away)  # type: ignore[attr-defined]
    for path in ("/api/v1/overview", "/readyz"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
        assert answer.headers["retry-after"] == "7"
    assert client.get("/healthz").json() == {"status": "ok"}


def test_readiness_fails_with_any_failure_of_the_store(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that answers with an error is not ready."""

    def broken(*_: object) -> None:
        raise StoreError("disk on fire")

    assert client.get("/readyz").json() == {"status": "ok"}
    monkeypatch.setattr(client.app.state.store, "query", broken)  # type: ignore[attr-defined]
    assert client.get("/readyz").status_code == 503


@pytest.mark.parametrize("path", ["/healthz", "/api/v1/overview", "/api/v1/nothing", "/"])
def test_every_answer_binds_the_browser(client: TestClient, path: str) -> None:
    """No inline script, no other host, no frame, no guessing of types, no cache in between."""
    headers = client.get(path).headers
    policy = dict(
        part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] == "private, no-store"


def test_long_answers_are_compressed(client: TestClient) -> None:
    """For whoever takes gzip; others get them as they are."""
    with client.stream(
        "GET", "/api/v1/openapi.json", headers={"accept-encoding": "gzip"}
    ) as answer:
        raw = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(raw))["info"]["title"] == "otel-chat"
    plain = client.get("/api/v1/openapi.json", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_over_the_limit_is_refused(client: TestClient, announced: bool) -> None:
    """413 in the one shape, whether its length was announced or it came in pieces."""
    piece = b"x" * (BODY_LIMIT // 2 + 1)
    body = piece * 2 if announced else iter([piece, piece])
    answer = client.post(
        "/api/v1/tokens", content=body, headers={"content-type": "application/json"}
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")


def test_metrics_are_in_the_exposition_format(client: TestClient) -> None:
    """With the build of the server, from a registry of its own."""
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "otel_chat_server_build_info{version=" in answer.text
    assert "python_info" not in answer.text


def test_the_description_names_every_error_shape_and_every_route(client: TestClient) -> None:
    """OpenAPI: each operation has a summary, and its errors are the one shape."""
    document = client.get("/api/v1/openapi.json").json()
    operations = {
        (path, method): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if path.startswith("/api/")
    }
    assert {path for path, _ in operations} >= {
        "/api/v1/overview", "/api/v1/conversations", "/api/v1/interactions", "/api/v1/intents",
        "/api/v1/business", "/api/v1/definitions", "/api/v1/traces/{trace_id}",
    }  # fmt: skip
    for place, operation in operations.items():
        assert operation["summary"], place
        assert operation["security"], place
        if "422" in operation["responses"]:
            schema = operation["responses"]["422"]["content"]["application/json"]["schema"]
            assert schema == {"$ref": "#/components/schemas/ErrorAnswer"}, place


def test_the_main_answers_have_examples(client: TestClient) -> None:
    """An example beside the schema, with every field of it (null ones fall away in OpenAPI)."""
    document = client.get("/api/v1/openapi.json").json()
    for path in (
        "overview",
        "conversations",
        "conversations/{conversation_id}",
        "traces/{trace_id}",
        "interactions",
        "interactions/{interaction_id}",
        "business",
        "comparison",
    ):
        answer = document["paths"][f"/api/v1/{path}"]["get"]["responses"]["200"]
        content = answer["content"]["application/json"]
        name = content["schema"]["$ref"].rsplit("/", 1)[1]
        fields = document["components"]["schemas"][name]["properties"]
        nullable = {
            field for field, about in fields.items() if {"type": "null"} in about.get("anyOf", [])
        }
        assert set(fields) >= set(content["example"]) >= set(fields) - nullable, path


def test_definitions_are_the_words_of_the_description(client: TestClient) -> None:
    """The same text in the definitions and in the API's own description."""
    items = client.get("/api/v1/definitions").json()["items"]
    by_name = {one["name"]: one for one in items}
    document = client.get("/api/v1/openapi.json").json()
    described = document["components"]["schemas"]["Containment"]["properties"]["rate"]
    assert by_name["containment_ratio"]["definition"] == described["description"]
    assert by_name["containment_ratio"]["unit"] == "1"
    assert len(by_name) == len(items)


def test_only_this_machine_counts_as_loopback() -> None:
    """Addresses of every kind."""
    here = ["127.0.0.1", "127.1.2.3", "localhost", "::1", "[::1]"]
    elsewhere = ["0.0.0.0", "::", "192.168.0.1", "example.org", ""]
    assert [is_loopback(host) for host in here] == [True] * 5
    assert [is_loopback(host) for host in elsewhere] == [False] * 5


@pytest.mark.parametrize(
    ("path", "asked", "told"),
    [
        ("overview", "agnt=support", "did you mean 'agent'?"),
        ("overview", "xyz=1", "known are"),
        ("conversations", "serch=order", "did you mean 'search'?"),
        ("conversations/c", "widow=7d", "There is no parameter 'widow' here"),
    ],
)
def test_a_misspelt_parameter_is_refused(
    client: TestClient, path: str, asked: str, told: str
) -> None:
    """It would limit nothing: the answer would be of everything."""
    answer = client.get(f"/api/v1/{path}?{asked}")
    assert answer.status_code == 422
    assert told in answer.json()["error"]["message"]
    assert answer.json()["error"]["field"] == asked.partition("=")[0]
