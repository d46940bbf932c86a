"""A server that is killed: what it acknowledged is in its tables afterwards, once and whole."""

from __future__ import annotations

import multiprocessing
import random
import signal
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import Any, TypeVar

import httpx
import pytest

from otel_chat import semconv as sc
from otel_chat.client import AnalyticsClient
from otel_chat.client.local_server import free_port
from otel_chat.server.store import open_store
from otel_chat.server.summaries.settler import Settler
from tests import web
from tests.commands import serving
from tests.examples import THOROUGH
from tests.server.ingest.sending import PROTOBUF, Telemetry, digest
from tests.waiting import until

T = TypeVar("T")
Row = dict[str, Any]
DAY = {"start": "2026-11-10T00:00:00Z", "end": "2026-11-11T00:00:00Z"}
CONVERSATIONS = 40
TURNS = 3
TABLES = {"traces": ("turns", "spans"), "logs": ("events",)}
PARTS = [(path, number) for number in range(CONVERSATIONS) for path in TABLES]


def body(path: str, number: int) -> bytes:
    """The spans or the events of a conversation, the same ones every time."""
    sent = Telemetry("default")
    for turn in range(TURNS):
        sent.turn(f"c-{number}", turn)
        topic = {sc.TOPIC_NAME: "prices"}
        sent.event(sc.EVENT_TOPIC, f"c-{number}", turn, uid=False, **topic)
    made = sent.traces(sent.spans) if path == "traces" else sent.logs(sent.events)
    return made.SerializeToString()


def traces(number: int) -> list[str]:
    """The ids of a conversation's traces: each has a turn, a span inside it, and an event."""
    return [digest(f"c-{number}", turn, size=16).hex() for turn in range(TURNS)]


class Ledger:
    """Sends bodies from four threads and keeps which were acknowledged.

    Args:
        server: Address of the server.
        killed: Whether it is killed meanwhile: no other may leave a body without an answer.
    """

    def __init__(self, server: str, *, killed: bool = False) -> None:
        self._server = server
        self._killed = killed
        self._gone = Event()
        self.acknowledged: set[tuple[str, int]] = set()

    def send(self, parts: Iterable[tuple[str, int]]) -> None:
        """Returns when all is acknowledged, or the server is gone."""
        with (
            web.Client(base_url=self._server) as http,
            ThreadPoolExecutor(4) as pool,
        ):
            for done in [pool.submit(self._post, http, *part) for part in parts]:
                done.result()

    def _post(self, http: httpx.Client, path: str, number: int) -> None:
        if self._gone.is_set():
            return
        try:
            answer = http.post(f"/v1/{path}", content=body(path, number), headers=PROTOBUF)
        except httpx.TransportError:
            if not self._killed:
                raise
            self._gone.set()
            return
        assert answer.status_code == 200, answer.content
        self.acknowledged.add((path, number))


def _contents(store: Path) -> dict[str, Counter[str]]:
    with closing(open_store(f"chdb:{store}")) as opened:
        return {
            table: Counter(
                str(row["id"])
                for row in opened.query(f"SELECT lower(hex(trace_id)) AS id FROM {table} FINAL")
            )
            for tables in TABLES.values()
            for table in tables
        }


def _settled(store: Path) -> tuple[list[Row], list[Row]]:
    """The rows of conversations as the settler left them, and as all are worked out anew."""
    sql = "SELECT * EXCEPT version FROM conversations FINAL ORDER BY tenant, conversation_id"
    with closing(open_store(f"chdb:{store}")) as opened:
        Settler(opened).settle()
        rows = opened.query(sql)
        for table in ("conversations", "settled", "touched_keys"):
            opened.command(f"TRUNCATE TABLE {table}")
        Settler(opened).settle()
        return rows, opened.query(sql)


def elsewhere(function: Callable[[Path], T], store: Path) -> T:
    """What a function says of a store, asked by a process of its own.

    One process cannot open two embedded stores, and other tests hold one in this process.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as other:
        return other.submit(function, store).result(120)


def contents(store: Path) -> dict[str, Counter[str]]:
    """How often each trace stands in each table."""
    return elsewhere(_contents, store)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "enough", random.Random(50).sample(range(1, 77), 50) if THOROUGH else (1, 60)
)
def test_what_was_acknowledged_before_a_kill_is_there_once(tmp_path: Path, enough: int) -> None:
    """The tables hold every acknowledged body after SIGKILL; sent again, all is there once.

    That goes too for a body of which the kill left a part, and what a part of a retry repeats.
    """
    port, store = free_port(), tmp_path / "store"
    parts = random.Random(enough).sample(PARTS, len(PARTS))
    with serving(store, port) as (url, server), ThreadPoolExecutor(1) as background:
        ledger = Ledger(url, killed=True)
        sending = background.submit(ledger.send, parts)
        until(lambda: len(ledger.acknowledged) >= enough)
        server.send_signal(signal.SIGKILL)
        server.wait()
        sending.result(60)
    assert enough <= len(ledger.acknowledged) < len(parts)
    found = contents(store)
    for path, number in ledger.acknowledged:
        for table in TABLES[path]:
            assert [found[table][trace] for trace in traces(number)] == [1] * TURNS, table
    with serving(store, port) as (url, _), AnalyticsClient(url) as client:
        again = Ledger(url)
        again.send(parts)
        assert client.settled()
        overview = client.overview(**DAY)
    assert again.acknowledged == set(parts)
    once = Counter(trace for number in range(CONVERSATIONS) for trace in traces(number))
    assert contents(store) == {"turns": once, "spans": once, "events": once}
    assert (overview["turns"], overview["conversations"]) == (once.total(), CONVERSATIONS)
    settled, rebuilt = elsewhere(_settled, store)
    assert settled == rebuilt
    assert [row["turns"] for row in settled] == [TURNS] * CONVERSATIONS
