"""A store in trouble: 503 in words that hold nothing of its inside, and not ready for a while."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from otel_chat.errors import StoreError, StoreUnavailableError
from otel_chat.server.store import trouble
from otel_chat.server.store.trouble import Trouble

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi.testclient import TestClient

    from otel_chat.server.store import Store

GREEDY = (
    "SELECT number FROM numbers(10000000) GROUP BY number"
    " SETTINGS max_memory_usage_for_user = 1000000"
)


@pytest.fixture(autouse=True)
def forgotten(store: Store) -> Iterator[None]:
    """Other tests share the store."""
    yield
    store.trouble = Trouble()


def test_memory_that_runs_out_is_503_and_turns_readyz(
    client: TestClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The API, a page and `/readyz` say so in words; after a minute without it all is well."""
    query = store.query
    assert client.get("/readyz").status_code == 200
    monkeypatch.setattr(
        store, "query", lambda sql, *args, **named: query(sql if "FROM tokens" in sql else GREEDY)
    )
    for path in ("/api/v1/overview", "/conversations"):
        answer = client.get(path)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert "The store has run out of memory." in answer.text
        assert "MiB" not in answer.text
    monkeypatch.undo()
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "run out of memory" in answer.json()["error"]["message"]
    later = trouble.time.monotonic() + trouble.LASTS_SECONDS + 1  # type: ignore[attr-defined]
    monkeypatch.setattr(trouble.time, "monotonic", lambda: later)  # type: ignore[attr-defined]
    assert client.get("/readyz").status_code == 200


def test_a_damaged_part_is_told_as_such(client: TestClient, store: Store) -> None:
    """No path, no name of a file; the log has what the engine said."""
    store.command(
        "CREATE TABLE damaged (a String, b UInt64) ENGINE = MergeTree ORDER BY b"
        " SETTINGS min_bytes_for_wide_part = 0"
    )
    try:
        store.command(
            "INSERT INTO damaged SELECT toString(cityHash64(number)), number FROM numbers(100000)"
        )
        found = store.query("SELECT path FROM system.parts WHERE table = 'damaged' AND active")
        store.command("DETACH TABLE damaged")
        (folder,) = (Path(str(row["path"])) for row in found)
        file = folder / "a.bin"
        content = bytearray(file.read_bytes())
        content[1000:3000] = bytes(2000)
        file.write_bytes(content)
        store.command("ATTACH TABLE damaged")
        with pytest.raises(StoreUnavailableError) as failed:
            store.query("SELECT sum(cityHash64(a)) FROM damaged")
    finally:
        store.command("DROP TABLE IF EXISTS damaged")
    assert failed.value.told == "Part of the stored data cannot be read: it is damaged."
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "damaged" in answer.text
    assert str(folder) not in answer.text


def test_a_wrong_question_is_no_trouble_of_the_store(client: TestClient, store: Store) -> None:
    """It is a fault of ours, and the store is ready; what was asked cannot pose as trouble."""
    for sql in (
        "SELECT nowhere FROM turns",
        "SELECT throwIf(1, 'x (MEMORY_LIMIT_EXCEEDED)')",
    ):
        with pytest.raises(StoreError) as failed:
            store.query(sql)
        assert not isinstance(failed.value, StoreUnavailableError)
    assert client.get("/readyz").status_code == 200


def test_a_failure_of_the_store_is_told_without_its_inside(
    client: TestClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in an answer of the API nor on a page nor in a stream stands what the engine said."""
    query = store.query

    def failing(sql: str, *args: object, **named: object) -> object:
        if "FROM tokens" in sql:
            return query(sql)
        raise StoreUnavailableError("clickhouse://me@db:8123: /srv/x", told="The store is away.")

    monkeypatch.setattr(store, "query", failing)
    for path in ("/api/v1/overview", "/conversations", "/api/v1/realtime/stream?events=1"):
        answer = client.get(path)
        assert "The store is away." in answer.text
        assert "/srv" not in answer.text
        assert "db:8123" not in answer.text
