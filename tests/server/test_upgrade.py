"""A store that version 0.1.0 made and filled: brought forward, and used while its rows are made."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient

from otel_chat.server.app import create_app
from otel_chat.server.ingest.wire import varint
from otel_chat.server.settings import ServerSettings
from otel_chat.server.store import open_store
from otel_chat.server.summaries.settler import Settler
from tests.clickhouse_http.running import running
from tests.server.ingest.sending import conversations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_chat.server.store import Store

CONVERSATIONS = 6
DAY = {"from": "2026-11-10", "to": "2026-11-10"}
MESSAGES = {"traces": "Traces", "logs": "Logs"}
ANSWERS = ("overview", "conversations", "business", "feedback", "engagement", "intents")
PAGES = ("/", "/conversations", "/journeys", "/outcomes", "/performance", "/settings")


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[tuple[Store, Store]]:
    """One that 0.1.0 made and filled through its own views, and a new one without any data."""
    with (
        running(tmp_path) as server,
        contextlib.closing(open_store(server.database("old"))) as old,
        contextlib.closing(open_store(server.database("new"))) as new,
    ):
        named = Path(__file__).with_name("released_migrations.json").read_text()
        released = json.loads(named)["0.1.0"]
        former = old.migrations()
        former.steps = tuple(
            step for step in former.steps if f"{step.version:04d}_{step.name}" in released
        )
        former.views = ()
        former.apply()
        new.migrate()
        yield old, new


def fill(*stores: Store) -> None:
    """The same bodies for each."""
    sent = conversations(CONVERSATIONS)
    sent.tenant = "default"
    for path, body in sent.requests():
        for store in stores:
            store.insert_otlp(f"{path}_in", varint(len(body)) + body, message=MESSAGES[path])


def count(store: Store, table: str) -> int:
    """Rows of a table, each once."""
    return int(store.query(f"SELECT count() AS n FROM {table} FINAL")[0]["n"])


def of_day(client: TestClient) -> dict[str, Any]:
    """What is told of the day on which all of it happened, but for when it is told."""
    told = {name: client.get(f"/api/v1/{name}", params=DAY).json() for name in ANSWERS}
    for answer in told.values():
        for window in ("window", "previous_window"):
            answer.pop(window, None)
    return told


def browser(store: Store) -> TestClient:
    """The application over a store; nothing settles it by itself."""
    return TestClient(create_app(store, ServerSettings()), base_url="http://127.0.0.1:8400")


def test_a_store_of_the_first_release_is_brought_forward(stores: tuple[Store, Store]) -> None:
    """It can be read while its rows are worked out, and says so; then all is as in a new one."""
    old, new = stores
    fill(old, new)
    former = {table: count(old, table) for table in ("turns", "spans", "events")}
    assert min(former.values()) > 0
    old.migrate()
    assert {table: count(old, table) for table in former} == former
    client = browser(old)

    def stop(_: float) -> float:
        settler.stop()
        return 0

    settler = Settler(old, batch=4, rests=stop)
    settler.settle()
    for page in PAGES:
        assert client.get(page, params=DAY).status_code == 200, page
    overview = client.get("/api/v1/overview", params=DAY).json()
    assert (overview["turns"], overview["conversations"]) == (former["turns"], 4)
    assert (overview["window"]["as_of"], overview["window"]["rules"]) == (None, None)
    words = "All conversations are being worked out anew."
    assert words in client.get("/readyz").json()["notice"]
    shown = client.get("/settings").text
    assert words in shown
    assert "<span>6 are left.</span>" in shown

    for store in stores:
        Settler(store).settle()
    assert client.get("/readyz").json() == {"status": "ok"}
    assert words not in client.get("/settings").text
    assert of_day(client) == of_day(browser(new))
    assert of_day(client)["overview"]["conversations"] == CONVERSATIONS
