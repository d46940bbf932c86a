"""Tenant and permission, proved for every query function and every route there is."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.routing import APIRoute, iter_route_contexts
from fastapi.testclient import TestClient

from otel_chat._common.moments import nanoseconds
from otel_chat.errors import AccessError
from otel_chat.server import figures, questions
from otel_chat.server.access import PERMISSIONS, Scope
from otel_chat.server.api.security import COOKIE, Needs
from otel_chat.server.budgets import Budget
from otel_chat.server.figures.filters import Filters
from otel_chat.server.figures.registry import QUERIES
from otel_chat.server.prices import ServerPrices
from tests.server.given import DAY, NOON, Given

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI
    from fastapi.dependencies.models import Dependant

    from otel_chat.server.store import Store

OPEN_ROUTES = {"/healthz", "/readyz"}
SECRET = "of-another-tenant"


def modules() -> Iterator[pkgutil.ModuleInfo]:
    """Those that ask the store."""
    for package in (figures, questions):
        yield from pkgutil.walk_packages(package.__path__, f"{package.__name__}.")


def all_queries() -> dict[str, Callable[..., Any]]:
    """Every function of the query package that takes a store, by its qualified name."""
    found = {}
    for module_info in modules():
        module = importlib.import_module(module_info.name)
        for name, function in inspect.getmembers(module, inspect.isfunction):
            ours = function.__module__ == module.__name__ and not name.startswith("_")
            if ours and next(iter(inspect.signature(function).parameters), "") == "store":
                found[f"{module.__name__}.{name}"] = function
    return found


NAMES = sorted(all_queries())
HELPERS = {
    "otel_chat.server.questions.conversation.find",
    "otel_chat.server.questions.segments.conditions_of",
}
ASKED = [name for name in NAMES if name not in HELPERS]


def fill(given: Given, marker: str) -> dict[str, str]:
    """A tenant with a bit of everything, its texts marked; gives the ids to ask for."""
    turn = given.turn(
        "shared", agent=f"agent-{marker}", channel="web", intent=f"intent-{marker}",
        response_model=f"model-{marker}", handoff=True, handoff_reason=f"reason-{marker}",
        cost="1", input_tokens=5, confidence=0.4, message_type=f"type-{marker}",
        sentiment=f"mood-{marker}", metadata=f'{{"a": "{marker}"}}', variant=f"arm-{marker}",
        time_to_first_chunk=0.1, attributes={"x": marker}, route=f"/{marker}",
        input_messages=f'[{{"role": "user", "parts": [{{"content": "{marker}"}}]}}]',
        platform=f"os-{marker}", page=f"/page-{marker}", user_hash=marker,
    )  # fmt: skip
    inside = {"trace_id": turn["trace_id"], "span_id": turn["span_id"]}
    given.span(turn["trace_id"], turn["span_id"], name=f"tool-{marker}", tool=f"tool-{marker}")
    given.event("intent", "shared", 1, intent=f"intent-{marker}", success=True, **inside)
    given.event("topic", "shared", 2, topic=f"topic-{marker}")
    given.event("entity", "shared", 3, entity_type=f"entity-{marker}")
    given.event("message", "shared", 4, sender="human", text=f"text-{marker}")
    given.event("handoff.accepted", "shared", 5, wait=30.0)
    given.event("action", "shared", 6, action=f"action-{marker}")
    flow = {"workflow": f"flow-{marker}", "step": f"step-{marker}"}
    given.event("workflow.started", "shared", 7, **flow)
    given.event("workflow.started", f"only-{marker}", 99, **flow)
    given.event("lead", "shared", 8, lead_kind=f"lead-{marker}")
    given.event("api_call", "shared", 9, api_name=f"api-{marker}", duration=0.5)
    given.feedback(5, "shared", 10)
    given.span(
        turn["trace_id"], turn["span_id"], 1, operation="execute_tool", tool=f"run-{marker}",
        status_code="error", error_type=f"broken-{marker}",
    )  # fmt: skip
    given.metric("process.memory.usage", 5, 20, service_name=f"service-{marker}")
    given.turn(f"only-{marker}", 100, status="error", error_type=f"error-{marker}")
    now = (datetime.now(UTC) - NOON).total_seconds()
    given.turn(f"now-{marker}", now)  # what /realtime counts
    given.save()
    kept = {"tenant": given.tenant, "version": 1}
    given.store.insert_rows(
        "conversation_marks",
        [{**kept, "conversation_id": "shared", "tags": [f"tag-{marker}"], "note": marker}],
    )
    given.store.insert_rows("saved_views", [{**kept, "name": f"view-{marker}", "address": "/"}])
    definition = json.dumps({"name": "none", "title": marker})
    given.store.insert_rows("reports", [{**kept, "name": "none", "definition": definition}])
    run = {"report": "none", "period": marker, "recipient": marker, "state": "sent"}
    given.store.insert_rows("report_runs", [{**kept, **run, "attempt": marker}])
    decided = {"trace_id": turn["trace_id"], "message": marker, "state": "ignored"}
    decided |= {"changed_by": marker, "changed_at": NOON}
    given.store.insert_rows("theme_states", [{**kept, **decided}])
    about = {**kept, "conversation_id": "shared"}
    said = {"reviewer": f"reviewer-{marker}", "comment": marker, "labels": [f"label-{marker}"]}
    said |= {"verdicts": [f"resolved: {marker}"], "reviewed_at": NOON}
    given.store.insert_rows("reviews", [{**about, **said}])
    given.store.insert_rows("sampled", [{**about, "sample": "none", "place": 1}])
    sample = {"name": "none", "from_ns": nanoseconds(DAY.start), "to_ns": nanoseconds(DAY.end)}
    sample |= {"filters": f"agent_not={marker}", "drawn_by": marker, "drawn_at": NOON}
    given.store.insert_rows("samples", [{**kept, **sample}])
    asked = [{"name": "resolved", "values": ["yes", f"value-{marker}"]}]
    rubric = {"definition": json.dumps({"scores": asked}), "changed_by": marker}
    given.store.insert_rows("rubrics", [{**kept, **rubric, "changed_at": NOON}])
    return {
        "conversation_id": "shared",
        "session_id": "shared",
        "trace_id": turn["trace_id"],
        "interaction_id": f"{turn['trace_id']}-{turn['span_id']}",
        "tenant": given.tenant,
        "turn": turn["span_id"],
        "token_id": "none",
        "dimension": "channel",
        "pack": "lex-v2",
        "name": "none",
    }


def arguments(function: Callable[..., Any], ids: dict[str, str]) -> dict[str, Any]:
    """What a query is asked with: fails for a parameter that it does not know."""
    budgets = (Budget(name="all", usd=Decimal(1), period="day"),)
    known = {
        "window": DAY,
        "filters": Filters(),
        "now": DAY.now,
        "budgets": budgets,
        "prices": ServerPrices(),
        "keys": ((ids["tenant"], "shared"),),
        "since": DAY.start,
        "target": "none",
        **ids,
    }
    wanted = list(inspect.signature(function).parameters.values())[2:]
    needed = [one.name for one in wanted if one.default is inspect.Parameter.empty]
    assert set(needed) <= set(known), f"say here what to ask {function.__qualname__} with"
    return {name: known[name] for name in needed}


def answer_of(function: Callable[..., Any], *asked: Any, **wanted: Any) -> Any:
    """What a query answers; a stream as a whole."""
    answer = function(*asked, **wanted)
    return b"".join(answer) if isinstance(answer, Iterator) else answer


def test_every_query_function_is_registered_with_its_permission() -> None:
    """A function of the package that takes a store is a query, or a named helper of one."""
    assert set(NAMES) - HELPERS == set(QUERIES)
    assert set(QUERIES.values()) <= set(PERMISSIONS)


@pytest.mark.parametrize("name", ASKED)
def test_a_query_takes_the_scope_right_after_the_store(name: str) -> None:
    """The scope cannot be left out."""
    parameters = list(inspect.signature(all_queries()[name]).parameters.values())
    assert [one.name for one in parameters[:2]] == ["store", "scope"]
    assert parameters[1].default is inspect.Parameter.empty


@pytest.mark.parametrize("name", ASKED)
def test_a_query_refuses_a_scope_without_its_permission(name: str) -> None:
    """With every permission but its own the store is not even asked."""
    function = all_queries()[name]
    scope = Scope(None, frozenset(PERMISSIONS) - {QUERIES[name]})
    asked = ("conversation_id", "trace_id", "interaction_id", "tenant", "turn", "name")
    ids = dict.fromkeys(asked, "x")
    with pytest.raises(AccessError) as raised:
        function(object(), scope, **arguments(function, ids))
    assert raised.value.status == 403


@dataclass(frozen=True)
class Neighbours:
    """A tenant, and what it was answered before another one had as much."""

    mine: Given
    ids: dict[str, str]
    before: dict[str, Any]
    other: Given
    other_ids: dict[str, str]


@pytest.fixture(scope="module")
def neighbours(store: Store) -> Neighbours:
    """Two tenants with a bit of everything."""
    mine, other = Given(store), Given(store)
    ids = fill(mine, "mine")
    before = {
        name: answer_of(function, store, mine.scope, **arguments(function, ids))
        for name, function in all_queries().items()
        if name in ASKED
    }
    return Neighbours(mine, ids, before, other, fill(other, SECRET))


@pytest.mark.parametrize("name", ASKED)
def test_a_query_sees_nothing_of_another_tenant(
    name: str, store: Store, neighbours: Neighbours
) -> None:
    """The same conversation id, times and kinds in another tenant change no answer."""
    function = all_queries()[name]
    wanted = arguments(function, neighbours.ids)
    after = answer_of(function, store, neighbours.mine.scope, **wanted)
    assert after == neighbours.before[name]
    assert SECRET not in repr(after)
    assert neighbours.other.tenant not in repr(after)


@pytest.mark.parametrize("name", ASKED)
def test_a_query_of_no_tenant_finds_nothing(
    name: str, store: Store, neighbours: Neighbours
) -> None:
    """A scope without any tenant sees an empty store, or is told that there is none."""
    function, ids = all_queries()[name], neighbours.other_ids
    nobody = Scope(frozenset(), frozenset(PERMISSIONS))
    wanted = arguments(function, ids)
    if set(ids) & set(wanted):
        with pytest.raises(AccessError) as raised:
            function(store, nobody, **wanted)
        assert raised.value.status == 404
    else:
        assert SECRET not in repr(answer_of(function, store, nobody, **wanted))


def test_tables_are_read_in_one_place_only() -> None:
    """No query names a table behind FROM or JOIN: they all go through `Query.table`."""
    for module_info in modules():
        source = inspect.getsource(importlib.import_module(module_info.name))
        direct = re.findall(
            r"\b(?:FROM|JOIN)\s+(?:turns|spans|events|metrics|tokens|conversation_\w+|parted_\w+|saved_views|reports|report_runs|theme_states|reviews|rubrics|samples|sampled)\b",
            source,
        )
        assert direct == [], module_info.name


# Routes


@pytest.fixture
def app(client: TestClient) -> FastAPI:
    return client.app  # type: ignore[return-value]


def permission_of(dependant: Dependant) -> str | None:
    """The permission that a route asks for, wherever among its dependencies."""
    if isinstance(dependant.call, Needs):
        return dependant.call.permission
    return next(filter(None, map(permission_of, dependant.dependencies)), None)


def routes(app: FastAPI) -> list[tuple[str, set[str], str | None]]:
    """Every route there is: path, methods, and the permission that it asks for."""
    found = []
    for context in iter_route_contexts(app.routes):
        original = context.original_route
        permission = permission_of(original.dependant) if isinstance(original, APIRoute) else None
        found.append((context.path or "", context.methods or set(), permission))
    return found


def guarded(app: FastAPI) -> list[tuple[str, str, str]]:
    """Every route that asks for a permission: method, path and permission."""
    return [
        (method, path, permission)
        for path, methods, permission in routes(app)
        if permission is not None
        for method in sorted(methods)
    ]


def page(path: str) -> bool:
    """Whether a route answers with a page, for people, and not with JSON."""
    return not path.startswith(("/api/", "/v1/", "/metrics"))


def ask(app: FastAPI, method: str, path: str, ids: dict[str, str], token: str | None = None):
    """A request for a route, its path filled in."""
    described = app.openapi()["paths"].get(re.sub(r":[a-z]+}", "}", path), {})
    known = {one["name"] for one in described.get(method.lower(), {}).get("parameters", ())}
    names = re.findall(r"{(\w+)(?::\w+)?}", path)
    assert set(names) <= set(ids), f"say here what to put into {path}"
    for name in names:
        path = re.sub(rf"{{{name}(:\w+)?}}", ids[name], path)
    # No lifespan, and the address as a caller on this machine would have it.
    client = TestClient(app, base_url="http://127.0.0.1:8400")
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    times = {"from": "2026-11-10T00:00:00Z", "to": "2026-11-11T00:00:00Z"}
    params = {name: value for name, value in times.items() if name in known}
    if path.endswith("/stream"):
        params = {"events": "1"}
    return client.request(method, path, headers=headers, params=params)


def token_for(app: FastAPI, permissions: set[str], *tenants: str) -> str:
    tokens = app.state.access.tokens
    return tokens.create("test", scopes=permissions, tenants=tenants or ("*",)).token


IDS = {
    "conversation_id": "none",
    "session_id": "none",
    "trace_id": "0" * 32,
    "interaction_id": f"{'0' * 32}-{'0' * 16}",
    "token_id": "none",
    "dimension": "channel",
    "pack": "lex-v2",
    "name": "none",
}


def test_every_route_but_the_open_ones_asks_for_a_permission(app: FastAPI) -> None:
    """A route under /api, the ingest and the metrics cannot forget to."""
    unguarded = {path for path, _, permission in routes(app) if permission is None}
    kept = {path for path in unguarded if path.startswith(("/api/", "/v1/", "/metrics"))}
    assert kept == {app.openapi_url}
    described = set(app.openapi()["paths"]) - OPEN_ROUTES
    assert {re.sub(r":[a-z]+}", "}", path) for _, path, _ in guarded(app)} >= described


def test_without_a_token_every_route_answers_401(app: FastAPI) -> None:
    """Once a token exists, and for every method."""
    token_for(app, {"metrics:read"})
    for method, path, _ in guarded(app):
        answer = ask(app, method, path, IDS)
        assert answer.status_code == 401, path
        if path.startswith("/v1/"):
            assert b"A token is needed" in answer.content  # in OTLP's own shape of an error
        elif not page(path):
            assert answer.json()["error"]["code"] == "unauthenticated"
            assert answer.headers["www-authenticate"] == "Bearer"


def test_without_the_scope_every_route_answers_403(app: FastAPI) -> None:
    """A token with every scope but the one that is asked for."""
    tokens = {
        permission: token_for(app, set(PERMISSIONS) - {permission}) for permission in PERMISSIONS
    }
    for method, path, permission in guarded(app):
        answer = ask(app, method, path, IDS, tokens[permission])
        assert answer.status_code == 403, path
        assert permission in answer.text


def test_text_is_kept_from_whoever_may_not_read_it(app: FastAPI, store: Store) -> None:
    """With analytics:view alone a conversation comes without what anybody said."""
    mine = Given(store)
    ids = fill(mine, "spoken")
    viewer = token_for(app, {"analytics:view"}, mine.tenant)
    reader = token_for(app, {"analytics:view", "conversations:read"}, mine.tenant)
    path = "/api/v1/conversations/{conversation_id}"
    seen = ask(app, "GET", path, ids, viewer).json()
    assert seen["turns"][0]["user_message"] is None
    assert seen["turns"][0]["metadata"] is None
    assert all(event["text"] is None for event in seen["events"])
    read = ask(app, "GET", path, ids, reader).json()
    assert read["turns"][0]["user_message"] == "spoken"
    assert "text-spoken" in [event["text"] for event in read["events"]]
    trace = ask(app, "GET", "/api/v1/traces/{trace_id}", ids, viewer).json()
    assert all("x" not in span["attributes"] for span in trace["spans"])


def test_a_cookie_signs_in_to_read_but_changes_nothing(app: FastAPI) -> None:
    """A page of another site can make the browser send the cookie: so it makes no tokens."""
    token = token_for(app, {"analytics:view", "admin", "metrics:read"})
    client = TestClient(app, base_url="http://127.0.0.1:8400", cookies={COOKIE: token})
    assert client.get("/api/v1/overview").status_code == 200
    for method, path, permission in guarded(app):
        if permission in {"admin", "ingest:write", "feedback:write", "metrics:read"}:
            place = path.replace("{token_id}", IDS["token_id"])
            assert client.request(method, place).status_code == 401, path


def test_an_admin_makes_tokens_for_tenants_of_its_own_only(app: FastAPI) -> None:
    """Neither another tenant's nor one for all; and it neither sees nor revokes those."""
    client = TestClient(app, base_url="http://127.0.0.1:8400")
    headers = {"authorization": f"Bearer {token_for(app, {'admin'}, 'acme')}"}
    foreign = app.state.access.tokens.create("b", scopes={"admin"}, tenants={"beta"})

    def make(*tenants: str):
        body = {"name": "x", "scopes": ["analytics:view"], "tenants": tenants}
        return client.post("/api/v1/tokens", headers=headers, json=body)

    assert make("acme").status_code == 201
    assert [make("beta").status_code, make("*").status_code] == [403, 403]
    listed = client.get("/api/v1/tokens", headers=headers).json()["items"]
    assert foreign.id not in [one["id"] for one in listed]
    assert all("token" not in one and "hash" not in one for one in listed)
    assert client.delete(f"/api/v1/tokens/{foreign.id}", headers=headers).status_code == 404
    made = make("acme").json()
    revoked = client.delete(f"/api/v1/tokens/{made['id']}", headers=headers)
    assert revoked.json()["revoked_at"] is not None
    again = {"authorization": f"Bearer {made['token']}"}
    assert client.get("/api/v1/overview", headers=again).status_code == 401
