"""A served store, spoken to in each of the ways that the server has; and two servers on one."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient

from otel_chat import semconv as sc
from otel_chat.errors import StoreUnavailableError
from otel_chat.server.app import create_app
from otel_chat.server.rules import Rules
from otel_chat.server.settings import ServerSettings
from otel_chat.server.store import Store, open_store
from otel_chat.server.summaries.lease import Lease
from otel_chat.server.summaries.settler import Settler
from tests import web
from tests.clickhouse_http.running import running
from tests.server.ingest.sending import PROTOBUF, Telemetry
from tests.server.served import FROM_TO, served
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

CONVERSATIONS = 6
TURNS = 3


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(tmp_path_factory.mktemp("clickhouse")) as server:
        yield server.database("served")


@pytest.fixture(scope="module")
def stores(url: str) -> Iterator[tuple[Store, Store]]:
    """One store, opened twice."""
    with contextlib.closing(open_store(url)) as one, contextlib.closing(open_store(url)) as other:
        one.migrate()
        other.migrate()
        yield one, other


def bodies(number: int) -> dict[str, bytes]:
    """What is sent of a conversation."""
    sent = Telemetry("default")
    for turn in range(TURNS):
        sent.turn(f"c-{number}", turn)
        sent.event(sc.EVENT_TOPIC, f"c-{number}", turn, uid=False, **{sc.TOPIC_NAME: "prices"})
    return {
        "traces": sent.traces(sent.spans).SerializeToString(),
        "logs": sent.logs(sent.events).SerializeToString(),
    }


def rows(store: Store) -> list[dict[str, Any]]:
    """The settled rows, but for when they were settled."""
    return store.query(
        "SELECT * EXCEPT (version) FROM conversations FINAL ORDER BY conversation_id"
    )


def send(servers: list[str], number: int) -> None:
    """Each body of a conversation to every server."""
    for path, body in bodies(number).items():
        for server in servers:
            assert web.post(f"{server}/v1/{path}", content=body, headers=PROTOBUF).is_success


@contextlib.contextmanager
def at_work(settlers: list[Settler]) -> Iterator[None]:
    """Each settles in a thread of its own, again and again."""
    ended = threading.Event()

    def settle(settler: Settler) -> None:
        while not ended.is_set():
            settler.settle()

    threads = [threading.Thread(target=settle, args=(settler,)) for settler in settlers]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def test_two_servers_take_each_body_once_and_settle_it_once(stores: tuple[Store, Store]) -> None:
    """Every body goes to both, while both settle; the rows are as of one settler."""
    one, other = stores
    settlers = [Settler(store) for store in stores]
    with contextlib.ExitStack() as ending:
        servers = []
        for store in stores:
            servers.append(ending.enter_context(served(store)))
            # Two of them are made one after the other: pydantic makes models in one thread.
            assert web.get(f"{servers[-1]}/readyz").is_success
        with at_work(settlers):
            for number in range(CONVERSATIONS):
                send(servers, number)
    for settler in settlers:
        settler.settle()
    counts = "SELECT (SELECT count() FROM turns FINAL) AS turns, (SELECT count() FROM events FINAL)"
    (found,) = one.query(f"{counts} AS events")
    assert found == {"turns": CONVERSATIONS * TURNS, "events": CONVERSATIONS * TURNS}
    settled = rows(one)
    assert [row["turns"] for row in settled] == [TURNS] * CONVERSATIONS
    for table in ("conversations", "touched_keys", "settled"):
        one.command(f"TRUNCATE TABLE {table}")
    Settler(other).settle()
    assert rows(other) == settled


def test_lists_exports_and_erasing_work_over_http(stores: tuple[Store, Store]) -> None:
    """After the bodies of the test before."""
    client = TestClient(create_app(stores[0], ServerSettings()), base_url="http://127.0.0.1:8400")

    def listed() -> set[str]:
        page = client.get("/api/v1/conversations", params=FROM_TO)
        return {f"c-{number}" for number in range(CONVERSATIONS) if f'"c-{number}"' in page.text}

    assert len(listed()) == CONVERSATIONS
    for fmt in ("csv", "jsonl", "parquet"):
        answer = client.get("/api/v1/exports/sessions", params={**FROM_TO, "format": fmt})
        assert answer.status_code == 200, answer.text
        if fmt == "parquet":
            assert answer.content[:4] == answer.content[-4:] == b"PAR1"
        else:
            assert answer.text.count("\n") == CONVERSATIONS + (fmt == "csv")
    gone = client.post("/api/v1/erasures", json={"conversation_id": "c-0"})
    assert gone.is_success, gone.text
    assert len(listed()) == CONVERSATIONS - 1
    assert client.get("/readyz").status_code == 200


@pytest.mark.parametrize("fmt", ["CSV", "JSONEachRow"])
def test_a_stream_that_breaks_off_is_an_error_and_not_an_end(
    stores: tuple[Store, Store], fmt: str
) -> None:
    """The words of the engine behind the rows are not taken for rows that are all."""
    stream = stores[0].stream(
        "SELECT number, throwIf(number = 400000) AS failed FROM numbers(1000000)"
        " SETTINGS max_block_size = 50000, max_threads = 1",
        fmt=fmt,
    )
    with pytest.raises(StoreUnavailableError):
        for _ in stream:
            pass


def test_one_at_a_time_has_a_lease_and_the_other_takes_over(stores: tuple[Store, Store]) -> None:
    """When the first renews it no longer, and at once when it gives it up."""
    one, other = stores
    first = Lease(one, "chore", lasts=600, look=0)
    second = Lease(other, "chore", lasts=1, look=0)
    assert first.held()
    assert not second.held()
    assert first.held()
    first.give_up()
    assert second.held()
    third = Lease(one, "chore", lasts=600, look=0)
    # The second was killed: it renews nothing.
    assert until(third.held)
    assert not second.held()


def test_a_lease_that_is_renewed_stays(stores: tuple[Store, Store]) -> None:
    """And a settler without it does nothing."""
    one, other = stores
    held, waiting = (Lease(store, "settler", look=0) for store in (one, other))
    assert held.held()
    one.command("TRUNCATE TABLE conversations")
    one.command("TRUNCATE TABLE settled")
    assert Settler(other, lease=waiting).settle() == 0
    assert Settler(one, lease=held).settle() > 0


def test_every_server_says_up_to_when_all_is_settled(stores: tuple[Store, Store]) -> None:
    """The one that does not settle says it too, and no sooner than the other has settled."""
    one, other = stores
    settling, asked = Settler(one), Settler(other)
    before = asked.state().as_of
    settling.settle()
    assert asked.state().as_of == settling.state().as_of
    assert asked.state().as_of is not None
    assert before is None or before < asked.state().as_of
    again = asked.state().as_of
    settling.stop()
    settling.settle()
    assert asked.state().as_of == again


def test_servers_with_other_thresholds_say_whose_rules_the_rows_are_of(
    stores: tuple[Store, Store],
) -> None:
    """Those of the one that settles; the other brings in its own when it takes over, and back.

    No row is left that the other worked out meanwhile.
    """
    one, other = stores
    sent = Telemetry("thresholds")
    sent.turn("unsure", 0, **{sc.CONFIDENCE: 0.65})
    with TestClient(create_app(one, ServerSettings()), base_url="http://127.0.0.1:8400") as client:
        body = sent.traces(sent.spans).SerializeToString()
        assert client.post("/v1/traces", content=body, headers=PROTOBUF).status_code == 200
    usual = other.rules
    other.rules = Rules(0.6)
    strict, lenient = Settler(one), Settler(other)
    told = []
    try:
        for settler in (strict, lenient, strict, strict):
            settler.settle()
            settler.settle()
            (row,) = one.query(
                "SELECT outcome FROM conversations FINAL"
                " WHERE conversation_id = 'unsure' AND NOT gone"
            )
            told.append((strict.state().rules, lenient.state().rules, row["outcome"]))
    finally:
        other.rules = usual
    by_strict = (*["version 2, low_confidence 0.7"] * 2, "abandoned")
    by_lenient = (*["version 2, low_confidence 0.6"] * 2, "resolved")
    assert told == [by_strict, by_lenient, by_strict, by_strict]


def test_claims_of_servers_that_are_gone_are_forgotten(stores: tuple[Store, Store]) -> None:
    """The day after, when the engine puts parts together."""
    one, _ = stores
    one.command(
        "INSERT INTO leases (name, holder, taken, until, at) SELECT 'old chore', 'gone', 1, 1,"
        " toUnixTimestamp64Nano(now64(9) - INTERVAL 2 DAY)"
    )
    one.command("OPTIMIZE TABLE leases FINAL")
    assert one.query("SELECT count() AS n FROM leases WHERE name = 'old chore'") == [{"n": 0}]
