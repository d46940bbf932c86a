"""The same telemetry in other bodies, orders and numbers: every table and answer stays the same."""

from __future__ import annotations

import json
import random
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given as generated
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.examples import THOROUGH, examples
from tests.server.ingest.sending import PROTOBUF, Telemetry, conversations
from tests.server.ingest.test_requests import JSON, hexadecimal

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

    from otel_chat.server.store import Store

Said = tuple[dict[str, list[dict[str, Any]]], dict[str, str]]
DAY = {"from": "2026-11-10T00:00:00Z", "to": "2026-11-11T00:00:00Z"}
KEYS = {
    "turns": "conversation_id, trace_id, span_id",
    "spans": "trace_id, span_id",
    "events": "conversation_id, name, uid",
}


def token(client: TestClient, *scopes: str, tenant: str = "*") -> dict[str, str]:
    made = client.app.state.access.tokens.create("test", scopes=scopes, tenants=[tenant])  # type: ignore[attr-defined]
    return {"authorization": f"Bearer {made.token}"}


def send(client: TestClient, requests: list[tuple[str, bytes]]) -> None:
    headers = {**PROTOBUF, **token(client, "ingest:write")}
    for path, body in requests:
        answer = client.post(f"/v1/{path}", content=body, headers=headers)
        assert answer.status_code == 200, answer.text


def as_json(path: str, body: bytes) -> bytes:
    """The same request in OTLP's JSON."""
    kind = ExportTraceServiceRequest if path == "traces" else ExportLogsServiceRequest
    return json.dumps(hexadecimal(MessageToDict(kind.FromString(body)))).encode()


def tables(store: Store, tenant: str) -> dict[str, list[dict[str, Any]]]:
    """What counts of a tenant, but for its name and ids that are made of it."""
    rows = {
        name: store.query(
            f"SELECT * EXCEPT tenant FROM {name} FINAL WHERE tenant = {{tenant:String}}"
            f" ORDER BY {key}",
            {"tenant": tenant},
        )
        for name, key in KEYS.items()
    }
    for event in rows["events"]:
        if len(event["uid"]) == 32:
            event["uid"] = "made of all fields, the tenant among them"
    rows["events"].sort(key=repr)
    return rows


def answers(client: TestClient, tenant: str) -> dict[str, str]:
    """What every address of the API that reads answers, the tenant's name taken out."""
    described = client.app.openapi()["paths"]  # type: ignore[attr-defined]
    headers = token(client, "analytics:view", "conversations:read", tenant=tenant)
    ids = {"dimension": "channel", "pack": "lex-v2", "name": "none"}
    ids |= dict.fromkeys(("conversation_id", "session_id"), "conversation-1")
    listed = client.get("/api/v1/interactions", params=DAY, headers=headers).json()["items"][0]
    ids |= {"trace_id": listed["trace_id"]}
    ids |= {"interaction_id": f"{listed['trace_id']}-{listed['span_id']}"}
    found = {}
    for path, methods in described.items():
        if not path.startswith("/api/v1") or "get" not in methods or "tokens" in path:
            continue
        known = {one["name"] for one in methods["get"].get("parameters", ())}
        times = {name: value for name, value in DAY.items() if name in known}
        params = {"events": "1"} if path.endswith("/stream") else times
        answer = client.get(path.format_map(ids), params=params, headers=headers)
        if answer.status_code == 403:
            continue  # another scope's
        if "{name}" in path:
            assert answer.status_code == 404, path  # nobody wrote a report
            continue
        if path.startswith("/api/v1/unanswered/{trace_id}") and answer.status_code == 404:
            continue  # it was answered
        assert answer.status_code == 200, (path, answer.text)
        if not answer.headers["content-type"].startswith("application/json"):
            continue
        body = answer.json()
        if isinstance(body, dict):
            body.pop("next_cursor", None)
            body.pop("timestamp", None)
        text = json.dumps(body, sort_keys=True).replace(tenant, "TENANT")
        # When it was asked, as the timestamp, and whether all was settled by then.
        found[path] = re.sub(r'"(as_of|rules)": "[^"]*"', r'"\1": null', text)
    assert len(found) >= 8
    return found


def test_a_second_delivery_changes_no_table_and_no_answer(client: TestClient, store: Store) -> None:
    """Sent whole, again whole, and again in shuffled pieces: everything stays as it was."""
    sent = conversations()
    send(client, sent.requests())
    once, told = tables(store, sent.tenant), answers(client, sent.tenant)
    send(client, sent.requests())
    send(client, sent.requests(random.Random(1)))
    assert tables(store, sent.tenant) == once
    assert answers(client, sent.tenant) == told
    assert len(once["turns"]) == sum(1 + c % 4 for c in range(6))
    assert len(once["spans"]) == len(once["turns"])
    assert len(once["events"]) == len(sent.events)


@pytest.fixture
def whole(client: TestClient, store: Store) -> Said:
    """What one body for each signal comes to."""
    sent = conversations()
    send(client, sent.requests())
    return said(client, store, sent.tenant)


def said(client: TestClient, store: Store, tenant: str) -> Said:
    """What a tenant's tables hold; every address is asked by the test above, and where many are."""
    return tables(store, tenant), answers(client, tenant) if THOROUGH else {}


@examples(2, 10)
@generated(seed=st.integers(0, 2**32))
def test_any_grouping_and_order_comes_to_the_same(
    client: TestClient, store: Store, whole: Said, seed: int
) -> None:
    """However the telemetry is cut, shuffled and doubled, the tables hold what one body gives."""
    pieces = conversations()
    send(client, pieces.requests(random.Random(seed)))
    assert said(client, store, pieces.tenant) == whole


@examples(2, 10)
@generated(seed=st.integers(0, 2**32))
def test_json_and_protobuf_at_once_come_to_the_same(
    client: TestClient, store: Store, whole: Said, seed: int
) -> None:
    """Cut, doubled, sent by eight at once, each body in one of the two forms: as one body gives."""
    pieces = conversations()
    rng = random.Random(seed)
    made = [
        (path, as_json(path, body), JSON) if rng.random() < 0.5 else (path, body, PROTOBUF)
        for path, body in [*pieces.requests(rng), *pieces.requests(rng)]
    ]
    allowed = token(client, "ingest:write")

    def post(path: str, body: bytes, headers: dict[str, str]) -> int:
        sent = client.post(f"/v1/{path}", content=body, headers={**headers, **allowed})
        return sent.status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda request: post(*request), made)) == {200}
    assert said(client, store, pieces.tenant) == whole


def test_concurrent_requests_are_joined_and_each_counts_once(
    client: TestClient, store: Store
) -> None:
    """Forty requests at once, each sent twice, take fewer inserts than requests."""
    sent = Telemetry(conversations(0).tenant)
    for number in range(40):
        sent.turn(f"c-{number % 5}", number)
    bodies = [sent.traces(sent.spans[i : i + 2]).SerializeToString() for i in range(0, 80, 2)]
    before = client.app.state.committer.stats.inserts  # type: ignore[attr-defined]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda body: send(client, [("traces", body)]), [*bodies, *bodies]))
    assert client.app.state.committer.stats.inserts - before < 80  # type: ignore[attr-defined]
    found = tables(store, sent.tenant)
    assert len(found["turns"]) == 40
    assert len(found["spans"]) == 40
