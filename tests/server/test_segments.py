"""Segments: kept, used by their name everywhere, bound to a tenant, watched by gauges."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest
from fastapi.routing import APIRoute

from otel_chat.server.api.filters import filters_of, takes_filters
from otel_chat.server.segments import MOST_WATCHED
from tests.server.given import NOON, Given
from tests.server.test_marks import bearer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi.dependencies.models import Dependant
    from fastapi.testclient import TestClient

WHERE: Final = "(intent = refund or metadata.plan = pro) and not failed"
TIMES: Final = {"from": "2026-11-10", "to": "2026-11-10"}
NOT_TOLD: Final = {"generated_at", "as_of", "now", "timestamp"}


def filled(given: Given) -> Given:
    """Five conversations, of which `WHERE` holds for two."""
    given.turn("refund", intent="refund")
    given.turn("failed", intent="refund", status="error")
    given.turn("pro", 1, intent="greet", metadata='{"plan": "pro"}')
    given.turn("free", 2, intent="greet", metadata='{"plan": "free"}')
    given.turn("other", 3, intent="greet")
    given.save()
    return given


def ids(client: TestClient, headers: dict[str, str], **more: str) -> list[str]:
    found = client.get("/api/v1/conversations", params={**TIMES, **more}, headers=headers)
    assert found.status_code == 200, found.text
    return sorted(item["conversation_id"] for item in found.json()["items"])


def test_a_segment_is_kept_used_changed_and_forgotten(client: TestClient, given: Given) -> None:
    """By its name it limits any list, also to what is outside of it; forgotten it is refused."""
    mine = bearer(client, filled(given).tenant)
    kept = client.put("/api/v1/segments/Good%20ones", json={"where": WHERE}, headers=mine)
    assert kept.status_code == 200, kept.text
    assert kept.json()["where"] == WHERE
    assert ids(client, mine, segment="Good ones") == ["pro", "refund"]
    assert ids(client, mine, segment_not="Good ones") == ["failed", "free", "other"]
    assert ids(client, mine, segment="Good ones", intent="greet") == ["pro"]
    client.put("/api/v1/segments/Good%20ones", json={"where": "failed"}, headers=mine)
    assert ids(client, mine, segment="Good ones") == ["failed"]
    listed = client.get("/api/v1/segments", headers=mine).json()["items"]
    assert [(one["name"], one["where"]) for one in listed] == [("Good ones", "failed")]
    assert client.delete("/api/v1/segments/Good%20ones", headers=mine).status_code == 200
    assert client.delete("/api/v1/segments/Good%20ones", headers=mine).status_code == 404
    gone = client.get("/api/v1/conversations", params={"segment": "Good ones"}, headers=mine)
    assert gone.status_code == 422
    assert gone.json()["error"]["message"] == "There is no segment 'Good ones'."


def test_a_segment_is_its_tenants(client: TestClient, given: Given) -> None:
    """Another tenant neither sees nor uses it; who sees both is told that they differ."""
    mine, other = bearer(client, given.tenant), bearer(client, f"{given.tenant}-b")
    both = bearer(client, given.tenant, f"{given.tenant}-b")
    client.put("/api/v1/segments/vip", json={"where": "slow"}, headers=mine)
    assert client.get("/api/v1/segments", headers=other).json()["items"] == []
    refused = client.get("/api/v1/overview", params={"segment": "vip"}, headers=other)
    assert (refused.status_code, refused.json()["error"]["field"]) == (422, "segment")
    asked = {"segment": "vip"}
    assert client.get("/api/v1/overview", params=asked, headers=both).status_code == 200
    client.put("/api/v1/segments/vip", json={"where": "failed"}, headers=other)
    told = client.get("/api/v1/overview", params=asked, headers=both).json()["error"]["message"]
    assert "have segments 'vip' that differ" in told
    named = {"tenant": f"{given.tenant}-c"}
    foreign = client.put("/api/v1/segments/vip", params=named, json={"where": "slow"}, headers=mine)
    assert foreign.status_code == 403


@pytest.mark.parametrize(
    ("name", "body", "field"),
    [
        ("x", {"where": "failed and"}, "where"),
        ("x", {"where": ""}, "where"),
        ("x" * 101, {"where": "failed"}, "name"),
        ("%0A", {"where": "failed"}, "name"),
    ],
)
def test_what_is_no_segment_is_refused(
    client: TestClient, given: Given, name: str, body: dict[str, Any], field: str
) -> None:
    """The field is named; nothing is kept."""
    mine = bearer(client, given.tenant)
    refused = client.put(f"/api/v1/segments/{name}", json=body, headers=mine)
    assert refused.status_code == 422
    assert refused.json()["error"]["field"] == field
    assert client.get("/api/v1/segments", headers=mine).json()["items"] == []


def test_text_in_a_segment_needs_the_right_to_read(client: TestClient, given: Given) -> None:
    """To save it, and to ask by it."""
    may = ("analytics:view", "marks:write")
    blind = bearer(client, given.tenant, scopes=may)
    body = {"where": 'text contains "lawyer"'}
    assert client.put("/api/v1/segments/x", json=body, headers=blind).status_code == 403
    client.put("/api/v1/segments/x", json=body, headers=bearer(client, given.tenant))
    asked = client.get("/api/v1/overview", params={"segment": "x"}, headers=blind)
    assert asked.status_code == 403


def _told(answer: Any) -> Any:
    """An answer without when it was made."""
    if isinstance(answer, dict):
        return {key: _told(value) for key, value in answer.items() if key not in NOT_TOLD}
    return [_told(one) for one in answer] if isinstance(answer, list) else answer


def filtered(client: TestClient) -> list[str]:
    """Every address of the API that takes filters and nothing that must be given."""
    return [
        route.path
        for route in client.app.routes  # type: ignore[attr-defined]
        if isinstance(route, APIRoute)
        and route.include_in_schema
        and takes_filters(route.dependant)
        and not route.param_convertors
        and "GET" in route.methods
    ]


def test_every_address_takes_a_segment_as_its_conditions(client: TestClient, given: Given) -> None:
    """By its name each says what it says under the same conditions; unlike without any."""
    scopes = ("analytics:view", "conversations:read", "marks:write", "export:create")
    mine = bearer(client, filled(given).tenant, scopes=scopes)
    client.put("/api/v1/segments/good", json={"where": WHERE}, headers=mine)
    alike, asked = 0, filtered(client)
    more = {
        "/api/v1/comparison": {"by": "channel", "a": "web", "b": "app"},
        "/api/v1/journeys/funnel": {"step": ["turn", "intent:greet"]},
    }
    assert len(asked) > 30
    for path in asked:
        answers = []
        for limit in ({"segment": "good"}, {"where": WHERE}, {}):
            params = {**TIMES, **more.get(path, {}), **limit}
            if path.endswith(("/realtime", "/waiting", "/stream")):
                params = {**limit}
            if path.endswith("/stream"):
                break
            told = client.get(path, params=params, headers=mine)
            assert told.status_code == 200, (path, told.text)
            plain = told.headers["content-type"].startswith("application/json")
            answers.append(_told(told.json()) if plain else told.text)
        if answers and not path.endswith("/all"):  # an archive says when it was made
            assert answers[0] == answers[1], path
            alike += answers[0] == answers[2]
    assert alike < len(asked) / 2


def _order(dependant: Dependant) -> Iterator[object]:
    for one in dependant.dependencies:
        yield from _order(one)
    yield dependant.call


def _says_who(call: object) -> bool:
    function = call if inspect.isfunction(call) else type(call).__call__
    return getattr(function, "__annotations__", {}).get("return") == "Scope"


def test_who_asks_is_known_before_filters_are_read(client: TestClient) -> None:
    """Each route that takes filters needs a scope first: a segment is looked up by it."""
    routes = [
        route
        for route in client.app.routes  # type: ignore[attr-defined]
        if isinstance(route, APIRoute) and takes_filters(route.dependant)
    ]
    for route in routes:
        order = list(_order(route.dependant))
        needs = next(number for number, call in enumerate(order) if _says_who(call))
        assert needs < order.index(filters_of), route.path


def test_a_watched_segment_has_gauges(client: TestClient, given: Given) -> None:
    """Of its own tenant's scrapers alone, with its conversations and shares in each window."""
    now = datetime.now(UTC)
    for number, intent in enumerate(("refund", "refund", "greet")):
        since = (now - NOON - timedelta(hours=2)).total_seconds()
        given.turn(f"c{number}", since, intent=intent, handoff=number == 0)
    given.save()
    mine = bearer(client, given.tenant)
    body = {"where": "intent = refund", "watched": True}
    client.put("/api/v1/segments/refunds", json=body, headers=mine)
    client.app.state.gauges.refresh(now)  # type: ignore[attr-defined]
    scraper = bearer(client, given.tenant, scopes=("metrics:read",))
    lines = client.get("/metrics", headers=scraper).text.splitlines()
    at = f'{{segment="refunds",tenant="{given.tenant}",window="24h"}}'
    assert f"otel_chat_segment_conversations{at} 2.0" in lines
    contained = at.replace("{", '{figure="containment_ratio",')
    assert f"otel_chat_segment_ratio{contained} 0.5" in lines
    stranger = bearer(client, f"{given.tenant}-b", scopes=("metrics:read",))
    assert "refunds" not in client.get("/metrics", headers=stranger).text


def test_only_so_many_are_watched(client: TestClient, given: Given) -> None:
    """One too many is refused; one that is watched already may change."""
    mine = bearer(client, given.tenant)
    body = {"where": "failed", "watched": True}
    kept = []
    try:
        for number in range(MOST_WATCHED + 1):
            answer = client.put(f"/api/v1/segments/s{number}", json=body, headers=mine)
            if answer.status_code != 200:
                break
            kept.append(f"s{number}")
        assert answer.json()["error"]["field"] == "watched"
        assert client.put("/api/v1/segments/s0", json=body, headers=mine).status_code == 200
    finally:
        for name in kept:
            client.delete(f"/api/v1/segments/{name}", headers=mine)


def test_a_report_tells_of_a_segment(client: TestClient, given: Given) -> None:
    """Its conversations alone; one that was forgotten is said, not left out."""
    end = datetime.now(UTC) - NOON
    for number, intent in enumerate(("refund", "refund", "greet")):
        given.turn(f"c{number}", (end - timedelta(hours=3)).total_seconds(), intent=intent)
    given.save()
    scopes = ("analytics:view", "conversations:read", "marks:write", "export:create")
    mine = bearer(client, given.tenant, scopes=scopes)
    client.put("/api/v1/segments/refunds", json={"where": "intent = refund"}, headers=mine)
    body = {"period": "24h", "filters": {"segment": "refunds"}, "sections": ["tables"]}
    kept = client.put("/api/v1/reports/r", json=body, headers=mine)
    assert kept.status_code == 200, kept.text
    made = client.get("/api/v1/reports/r/preview", params={"format": "json"}, headers=mine)
    assert made.json()["conversations"] == 2
    client.delete("/api/v1/segments/refunds", headers=mine)
    gone = client.get("/api/v1/reports/r/preview", headers=mine)
    assert gone.status_code == 422
    assert gone.json()["error"]["message"] == "There is no segment 'refunds'."
    client.delete("/api/v1/reports/r", headers=mine)
