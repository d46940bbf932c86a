"""Tags, notes, reviewed marks and saved views: kept, changed, bound to a tenant, and erased."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient

from otel_chat.server.api.security import COOKIE
from tests.server.given import Given, at

if TYPE_CHECKING:
    pass

ALL = ("analytics:view", "conversations:read", "marks:write", "admin")


def token(client: TestClient, *tenants: str, scopes: tuple[str, ...] = ALL) -> str:
    made = client.app.state.access.tokens.create("t", scopes=scopes, tenants=tenants)  # type: ignore[attr-defined]
    return str(made.token)


def bearer(client: TestClient, *tenants: str, scopes: tuple[str, ...] = ALL) -> dict[str, str]:
    return {"authorization": f"Bearer {token(client, *tenants, scopes=scopes)}"}


def noted(answer: Any) -> tuple[bool, list[str], str | None]:
    body = answer.json()
    return body["reviewed"], body["tags"], body["note"]


def test_what_is_noted_stays_until_it_is_changed(client: TestClient, given: Given) -> None:
    """Each change replaces what it names and leaves the rest; tags are tidied."""
    given.turn("a/b?", 0)
    given.save()
    mine = bearer(client, given.tenant)
    place = "/api/v1/marks/a%2Fb%3F"
    untouched = client.get(place, headers=mine)
    assert noted(untouched) == (False, [], None)
    assert untouched.json()["changed_at"] is None
    client.patch(place, json={"reviewed": True}, headers=mine)
    client.patch(place, json={"tags": [" slow  tool", "refund", "refund"]}, headers=mine)
    changed = client.patch(place, json={"note": " Ask Dana \u2026 "}, headers=mine)
    assert changed.status_code == 200
    assert noted(changed) == (True, ["refund", "slow tool"], "Ask Dana \u2026")
    assert noted(client.get(place, headers=mine)) == noted(changed)
    client.patch(place, json={"reviewed": False, "note": "", "tags": []}, headers=mine)
    assert noted(client.get(place, headers=mine)) == (False, [], None)


def test_marks_are_listed_by_tag_and_review(client: TestClient, given: Given) -> None:
    """Those changed last first; a tag or the mark limits them."""
    for name in ("a", "b", "c"):
        given.turn(name, 0)
    given.save()
    mine = bearer(client, given.tenant)
    for name, change in (
        ("a", {"tags": ["x"], "reviewed": True}),
        ("b", {"tags": ["x", "y"]}),
        ("c", {"reviewed": True}),
    ):
        assert client.patch(f"/api/v1/marks/{name}", json=change, headers=mine).is_success

    def listed(**asked: Any) -> list[str]:
        answer = client.get("/api/v1/marks", params=asked, headers=mine).json()
        return [item["conversation_id"] for item in answer["items"]]

    assert listed() == ["c", "b", "a"]
    assert listed(tag="x") == ["b", "a"]
    assert listed(reviewed="true") == ["c", "a"]
    assert listed(reviewed="false", tag="y") == ["b"]
    assert client.get("/api/v1/marks", headers=mine).json()["tags"] == ["x", "y"]


def test_notes_are_for_readers_of_what_was_said(client: TestClient, given: Given) -> None:
    """Without conversations:read the note is not told, and another change does not lose it."""
    given.turn("a", 0)
    given.save()
    mine = bearer(client, given.tenant)
    client.patch("/api/v1/marks/a", json={"note": "secret"}, headers=mine)
    blind = bearer(client, given.tenant, scopes=("analytics:view", "marks:write"))
    assert noted(client.get("/api/v1/marks/a", headers=blind)) == (False, [], None)
    told = client.patch("/api/v1/marks/a", json={"reviewed": True}, headers=blind)
    assert noted(told) == (True, [], None)
    assert noted(client.get("/api/v1/marks/a", headers=mine)) == (True, [], "secret")


def test_nobody_marks_another_tenants_conversation(client: TestClient, given: Given) -> None:
    """Neither seen nor changed from outside; the same id elsewhere is another conversation."""
    other = Given(given.store)
    for each in (given, other):
        each.turn("same", 0)
        each.save()
    mine, theirs = bearer(client, given.tenant), bearer(client, other.tenant)
    client.patch("/api/v1/marks/same", json={"tags": ["mine"]}, headers=mine)
    assert noted(client.get("/api/v1/marks/same", headers=theirs)) == (False, [], None)
    assert client.get("/api/v1/marks", headers=theirs).json()["items"] == []
    named = {"tenant": given.tenant}
    for answer in (
        client.patch("/api/v1/marks/same", params=named, json={"tags": []}, headers=theirs),
        client.get("/api/v1/marks/same", params=named, headers=theirs),
        client.patch("/api/v1/marks/nothing", json={"tags": []}, headers=mine),
    ):
        assert answer.status_code == 404
    assert noted(client.get("/api/v1/marks/same", headers=mine)) == (False, ["mine"], None)
    both = bearer(client, given.tenant, other.tenant)
    chosen = {"tenant": other.tenant}
    client.patch("/api/v1/marks/same", params=chosen, json={"reviewed": True}, headers=both)
    assert noted(client.get("/api/v1/marks/same", headers=theirs)) == (True, [], None)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"tags": ["  "]}, "tags"),
        ({"tags": ["x" * 61]}, "tags.0"),
        ({"tags": ["x"] * 21}, "tags"),
        ({"note": "x" * 10_001}, "note"),
        ({"starred": True}, "starred"),
    ],
)
def test_a_wrong_change_changes_nothing(
    client: TestClient, given: Given, change: dict[str, Any], field: str
) -> None:
    """422 names what is wrong."""
    given.turn("a", 0)
    given.save()
    mine = bearer(client, given.tenant)
    answer = client.patch("/api/v1/marks/a", json=change, headers=mine)
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, field)
    assert noted(client.get("/api/v1/marks/a", headers=mine)) == (False, [], None)


def test_a_readers_cookie_counts_from_this_site_alone(client: TestClient, given: Given) -> None:
    """The pages change marks with the cookie; what another site sends is refused."""
    given.turn("a", 0)
    given.save()
    client.cookies.set(COOKIE, token(client, given.tenant))
    for site, status in (("same-origin", 200), ("same-site", 403), ("cross-site", 403)):
        headers = {"sec-fetch-site": site}
        change = client.patch("/api/v1/marks/a", json={"reviewed": True}, headers=headers)
        view = client.put("/api/v1/views/x", json={"address": "/"}, headers=headers)
        assert (change.status_code, view.status_code) == (status, status)
    allowed = {"origin": "https://evil.example", "access-control-request-method": "PATCH"}
    asked = client.options("/api/v1/marks/a", headers=allowed)
    assert "access-control-allow-origin" not in asked.headers


def test_views_are_kept_replaced_and_dropped(client: TestClient, given: Given) -> None:
    """By name; each tenant has its own."""
    mine = bearer(client, given.tenant)
    theirs = bearer(client, Given(given.store).tenant)

    def listed(headers: dict[str, str]) -> list[tuple[str, str]]:
        items = client.get("/api/v1/views", headers=headers).json()["items"]
        return [(item["name"], item["address"]) for item in items]

    for name, address in (
        ("Late / slow?", "/conversations?sort=-response"),
        ("all", "/"),
        ("all", "/?window=90d"),
    ):
        quoted = name.replace("/", "%2F").replace("?", "%3F")
        saved = client.put(f"/api/v1/views/{quoted}", json={"address": address}, headers=mine)
        assert saved.status_code == 200
    assert listed(mine) == [
        ("all", "/?window=90d"),
        ("Late / slow?", "/conversations?sort=-response"),
    ]
    assert listed(theirs) == []
    assert client.delete("/api/v1/views/all", headers=theirs).status_code == 404
    assert client.delete("/api/v1/views/all", headers=mine).json()["name"] == "all"
    assert [name for name, _ in listed(mine)] == ["Late / slow?"]
    assert client.delete("/api/v1/views/all", headers=mine).status_code == 404


@pytest.mark.parametrize(
    ("name", "address", "field"),
    [
        ("x", "https://evil.example/", "address"),
        ("x", "//evil.example", "address"),
        ("x", "/\\evil.example", "address"),
        ("x", "javascript:alert(1)", "address"),
        ("x", "/a\nb", "address"),
        ("%20", "/", "name"),
        ("y" * 101, "/", "name"),
    ],
)
def test_a_view_leads_to_this_site(
    client: TestClient, given: Given, name: str, address: str, field: str
) -> None:
    """An address of elsewhere, or a name that is none, is not kept."""
    mine = bearer(client, given.tenant)
    answer = client.put(f"/api/v1/views/{name}", json={"address": address}, headers=mine)
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, field)
    assert client.get("/api/v1/views", headers=mine).json()["items"] == []


def test_views_of_several_tenants(client: TestClient, given: Given) -> None:
    """A token of several keeps a view for the one that it names, else for the first by name."""
    other = Given(given.store)
    both = bearer(client, given.tenant, other.tenant)
    kept = client.put("/api/v1/views/x", json={"address": "/"}, headers=both)
    assert kept.json()["tenant"] == min(given.tenant, other.tenant)
    named = {"tenant": "somebody-else"}
    refused = client.put("/api/v1/views/x", params=named, json={"address": "/"}, headers=both)
    assert refused.status_code == 403
    every = bearer(client, "*")
    assert client.put("/api/v1/views/x", json={"address": "/"}, headers=every).json()["tenant"] == (
        "default"
    )
    client.delete("/api/v1/views/x", params={"tenant": "default"}, headers=every)


@pytest.mark.parametrize(
    ("body", "left"),
    [
        ({"conversation_id": "a"}, ["b", "c"]),
        ({"user_hash": "ann"}, ["c"]),
        ({"before": at(60).isoformat()}, ["b", "c"]),
    ],
    ids=["conversation", "user", "before"],
)
def test_erasing_a_conversation_erases_what_was_noted(
    client: TestClient, given: Given, body: dict[str, str], left: list[str]
) -> None:
    """In whatever way it is erased; others, and other tenants', keep theirs."""
    other = Given(given.store)
    for number, (name, user) in enumerate((("a", "ann"), ("b", "ann"), ("c", "bob"))):
        for each in (given, other):
            each.turn(name, 60 * number, user_hash=user)
    mine = bearer(client, given.tenant)
    theirs = bearer(client, other.tenant)
    for each, headers in ((given, mine), (other, theirs)):
        each.save()
        for name in ("a", "b", "c"):
            change = {"note": f"about {name}", "tags": [name]}
            client.patch(f"/api/v1/marks/{name}", json=change, headers=headers)
    assert client.post("/api/v1/erasures", json=body, headers=mine).status_code == 200
    rows = given.store.query(
        "SELECT conversation_id FROM conversation_marks WHERE tenant = {tenant:String}"
        " ORDER BY ALL",
        {"tenant": given.tenant},
    )
    assert [row["conversation_id"] for row in rows] == left
    assert len(client.get("/api/v1/marks", headers=theirs).json()["items"]) == 3
