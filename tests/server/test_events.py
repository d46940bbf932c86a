"""What is told of a conversation from outside: feedback and outcome, counted like telemetry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from otel_chat.server.app import create_app
from otel_chat.server.settings import ServerSettings
from tests.server.given import Given

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_chat.server.store import Store

DAY = {"from": "2026-11-10T00:00:00Z", "to": "2026-11-11T00:00:00Z"}
TIME = "2026-11-10T12:05:00Z"
SHOP = "https://shop.example"


@pytest.fixture(scope="module")
def running(store: Store) -> Iterator[TestClient]:
    app = create_app(store, ServerSettings(cors_origins=(SHOP,)))
    with TestClient(app, base_url="http://127.0.0.1:8400") as connected:
        yield connected


def headers(client: TestClient, *tenants: str, scopes: tuple[str, ...] = ()) -> dict[str, str]:
    """A token that writes both kinds of report and reads what became of them."""
    wanted = scopes or ("feedback:write", "ingest:write", "analytics:view", "conversations:read")
    made = client.app.state.access.tokens.create("test", scopes=wanted, tenants=tenants)  # type: ignore[attr-defined]
    return {"authorization": f"Bearer {made.token}"}


def detail(client: TestClient, allowed: dict[str, str]) -> dict[str, Any]:
    return client.get("/api/v1/conversations/c", headers=allowed).json()


def test_feedback_counts_for_its_conversation(client: TestClient, given: Given) -> None:
    """Five of five makes an assumed resolution a confirmed one, agent told or not."""
    given.turn(agent="support")
    given.save()
    allowed = headers(client, given.tenant)

    def confirmed() -> int:
        asked = {**DAY, "agent": "support"}
        answer = client.get("/api/v1/business", params=asked, headers=allowed).json()
        return answer["resolution"]["confirmed"]

    assert confirmed() == 0
    body = {"conversation_id": "c", "value": 5, "time": TIME, "comment": "card 4111 1111 1111 1111"}
    answer = client.post("/api/v1/feedback", json=body, headers=allowed)
    assert answer.status_code == 201, answer.text
    assert answer.json() == {
        "id": answer.json()["id"],
        "tenant": given.tenant,
        "conversation_id": "c",
        "time": TIME,
    }
    assert confirmed() == 1
    (event,) = detail(client, allowed)["events"]
    assert event["name"] == "gen_ai.evaluation.result"
    assert (event["details"]["value"], event["details"]["score"]) == (5, 1)
    assert "4111" not in str(event)
    assert event["text"].startswith("card ")


def test_a_score_may_be_about_one_turn_and_have_a_name(client: TestClient, given: Given) -> None:
    """On a scale from 0 to 10 a 2 is 0.2."""
    turn = given.turn()
    given.save()
    allowed = headers(client, given.tenant)
    about = {"trace_id": turn["trace_id"], "span_id": turn["span_id"], "time": TIME}
    body = {"conversation_id": "c", "value": 2, "scale": [0, 10], "name": "tone", **about}
    assert client.post("/api/v1/feedback", json=body, headers=allowed).status_code == 201
    (event,) = detail(client, allowed)["events"]
    assert event["details"]["evaluation"] == "tone"
    assert event["details"]["score"] == pytest.approx(0.2)
    assert event["trace_id"] == turn["trace_id"]


def test_a_second_try_with_the_same_id_counts_once(client: TestClient, given: Given) -> None:
    """The answer was lost on the way, so the sender sends again."""
    given.turn()
    given.save()
    allowed = headers(client, given.tenant)
    body = {"conversation_id": "c", "value": 1, "id": "crm-1", "time": TIME}
    first = client.post("/api/v1/feedback", json=body, headers=allowed)
    assert client.post("/api/v1/feedback", json=body, headers=allowed).json() == first.json()
    assert len(detail(client, allowed)["events"]) == 1
    other = {**body, "id": "crm-2"}
    client.post("/api/v1/feedback", json=other, headers=allowed)
    assert len(detail(client, allowed)["events"]) == 2


@pytest.mark.parametrize("outcome", ["resolved", "handed_off", "abandoned", "failed"])
def test_an_outcome_goes_before_the_rules(client: TestClient, given: Given, outcome: str) -> None:
    """A turn that errored makes a failed conversation, unless somebody knows better."""
    given.turn(conversation="shop/4711", status="error")
    given.save()
    allowed = headers(client, given.tenant)
    place = "/api/v1/conversations/shop/4711"
    assert client.get(place, headers=allowed).json()["summary"]["outcome"] == "failed"
    told = {"outcome": outcome, "reason": "ticket closed", "time": TIME}
    answer = client.post(f"{place}/outcome", json=told, headers=allowed)
    assert answer.status_code == 201, answer.text
    assert client.get(place, headers=allowed).json()["summary"]["outcome"] == outcome


@pytest.mark.parametrize("key", ["a\nb", "a/b/outcome", "ü ?#%"])
def test_any_id_is_found_at_its_address(client: TestClient, given: Given, key: str) -> None:
    """With line breaks, slashes and whatever else an application names its conversations by."""
    given.turn(conversation=key, status="error")
    given.save()
    allowed = headers(client, given.tenant)
    place = f"/api/v1/conversations/{quote(key, safe='')}"
    told = {"outcome": "resolved", "time": TIME}
    assert client.post(f"{place}/outcome", json=told, headers=allowed).status_code == 201
    found = client.get(place, headers=allowed).json()["summary"]
    assert (found["conversation_id"], found["outcome"]) == (key, "resolved")


WRONG = {
    "value": {"value": 6},
    "scale": {"scale": [5, 1]},
    "span_id": {"trace_id": "a" * 32},
    "trace_id": {"trace_id": "xyz", "span_id": "b" * 16},
    "time": {"id": "crm-1"},
    "conversation_id": {"conversation_id": ""},
    "comment": {"comment": "x" * 10_001},
    "outcome": {"outcome": "resolved"},
}


@pytest.mark.parametrize("field", WRONG)
def test_a_wrong_field_is_named_and_nothing_is_stored(
    client: TestClient, given: Given, field: str
) -> None:
    """422, with the field; a field that there is not is one too."""
    given.turn()
    given.save()
    allowed = headers(client, given.tenant)
    body = {"conversation_id": "c", "value": 3, **WRONG[field]}
    answer = client.post("/api/v1/feedback", json=body, headers=allowed)
    assert answer.status_code == 422
    assert answer.json()["error"]["field"] == field
    assert detail(client, allowed)["events"] == []


def test_a_token_of_several_tenants_says_which(client: TestClient, given: Given) -> None:
    """None named is 422, one outside the token is 403, one within is written."""
    allowed = headers(client, given.tenant, "other")
    body = {"conversation_id": "c", "value": 3}

    def post(**more: str) -> int:
        sent = client.post("/api/v1/feedback", json={**body, **more}, headers=allowed)
        return sent.status_code

    assert [post(), post(tenant="third"), post(tenant=given.tenant)] == [422, 403, 201]


def test_a_browsers_token_can_do_nothing_but_send_feedback(
    client: TestClient, given: Given
) -> None:
    """It stands in a page that anybody can read."""
    allowed = headers(client, given.tenant, scopes=("feedback:write",))
    body = {"conversation_id": "c", "value": 3}
    assert client.post("/api/v1/feedback", json=body, headers=allowed).status_code == 201
    ended = client.post(
        "/api/v1/conversations/c/outcome", json={"outcome": "resolved"}, headers=allowed
    )
    assert ended.status_code == 403
    assert client.get("/api/v1/overview", headers=allowed).status_code == 403


@pytest.mark.parametrize(("origin", "told"), [(SHOP, SHOP), ("https://evil.example", None)])
def test_only_pages_that_were_named_may_send_from_the_browser(
    client: TestClient, origin: str, told: str | None
) -> None:
    """The browser asks first, and is told yes for the named origin alone."""
    asked = {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type",
    }
    answer = client.options("/api/v1/feedback", headers=asked)
    assert answer.headers.get("access-control-allow-origin") == told
    assert "access-control-allow-credentials" not in answer.headers
