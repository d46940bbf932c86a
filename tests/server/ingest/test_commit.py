"""A body that the engine refuses is answered for by itself, and its neighbours hardly wait."""

from __future__ import annotations

import asyncio
import math
import threading
from typing import TYPE_CHECKING, Any

import pytest
from google.rpc.status_pb2 import Status

from otel_chat.errors import IngestError, StoreError, StoreUnavailableError
from otel_chat.server.ingest.check import Batch
from otel_chat.server.ingest.commit import ENOUGH_BYTES, Committer
from tests.server.ingest.sending import Telemetry, conversations
from tests.server.ingest.test_requests import post
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastapi.testclient import TestClient

PATH = "/srv/chat/store/data.bin"
ENGINE = f"Code: 36. DB::Exception: Invalid data: (in file {PATH}). (BAD_ARGUMENTS)"


class Picky:
    """A store that refuses some bodies, and may be away.

    Args:
        bad: The bodies that it refuses.
        away: How many inserts fail at first, whatever they hold.
    """

    def __init__(self, bad: Sequence[bytes] = (), away: int = 0) -> None:
        self._bad = bad
        self._away = away
        self.inserts = 0
        self.kept: set[bytes] = set()

    def insert_otlp(self, table: str, block: bytes, *, message: str) -> None:
        """Takes a block, or refuses it whole."""
        assert (table, message) == ("traces_in", "Traces")
        self.inserts += 1
        if self.inserts <= self._away:
            raise StoreUnavailableError(f"{PATH} is away", told="The store is away.")
        if any(one in block for one in self._bad):
            raise StoreError(ENGINE)
        while block:
            size, block = block[0], block[1:]
            self.kept.add(block[:size])
            block = block[size:]


async def commit(store: Picky, bodies: Sequence[bytes]) -> list[BaseException | None]:
    """Commits bodies as one group; what came of each."""
    committer: Any = Committer(store)  # type: ignore[arg-type]  # what is used of a store
    committer._open = True
    waiting = [
        asyncio.ensure_future(committer.commit(Batch("traces", (body,), 1))) for body in bodies
    ]
    await asyncio.sleep(0)
    committer.start()
    try:
        return await asyncio.gather(*waiting, return_exceptions=True)
    finally:
        await asyncio.to_thread(committer.stop)


class Slow(Picky):
    """A store of which an insert does not end before it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may_end = threading.Event()

    def insert_otlp(self, table: str, block: bytes, *, message: str) -> None:
        """Takes a block, once it may."""
        self.inserts += 1
        assert self.may_end.wait(30)


BODIES = [f"body-{number:03}".encode() for number in range(100)]


@pytest.mark.parametrize("bad", [[BODIES[0]], [BODIES[57]], [BODIES[3], BODIES[99]], BODIES[:1]])
async def test_a_refused_body_of_a_hundred_is_found_in_few_inserts(bad: list[bytes]) -> None:
    """It alone is answered with 400, for good; all others are on disk."""
    store = Picky(bad)
    answers = await commit(store, BODIES)
    for body, answer in zip(BODIES, answers, strict=True):
        if body in bad:
            assert isinstance(answer, IngestError)
            assert answer.status == 400
            assert PATH not in str(answer)
        else:
            assert answer is None
            assert body in store.kept
    assert store.inserts <= 3 + len(bad) * 2 * math.ceil(math.log2(len(BODIES)))


async def test_a_store_that_is_away_is_asked_twice_for_a_whole_group() -> None:
    """Not once for each body: every one of those would wait for it to answer."""
    store = Picky(away=2)
    answers = await commit(store, BODIES)
    assert all(isinstance(answer, StoreUnavailableError) for answer in answers)
    assert store.inserts == 2


async def test_a_store_that_is_away_for_a_moment_costs_nothing() -> None:
    """The second insert takes all, and finds the one that is refused."""
    store = Picky(BODIES[5:6], away=1)
    answers = await commit(store, BODIES)
    assert [BODIES[n] for n, one in enumerate(answers) if one is not None] == BODIES[5:6]
    assert len(store.kept) == len(BODIES) - 1


@pytest.mark.parametrize(
    ("bodies", "before"),
    [([b"small"] * 21, 1), ([bytes(ENOUGH_BYTES)], 2)],
    ids=["small", "large"],
)
async def test_small_bodies_that_come_during_an_insert_go_together(
    bodies: list[bytes], before: int
) -> None:
    """An insert costs nearly the same for one as for all; of large ones two are made at a time."""
    store = Slow()
    committer = Committer(store)  # type: ignore[arg-type]  # what is used of a store
    committer.start()
    try:
        first = asyncio.ensure_future(committer.commit(Batch("traces", (b"first",), 1)))
        await asyncio.to_thread(until, lambda: store.inserts == 1)
        others = [
            asyncio.ensure_future(committer.commit(Batch("traces", (body,), 1))) for body in bodies
        ]
        await asyncio.sleep(0)
        await asyncio.to_thread(until, lambda: store.inserts == before)
        store.may_end.set()
        await asyncio.gather(first, *others)
    finally:
        store.may_end.set()
        await asyncio.to_thread(committer.stop)
    assert store.inserts == 2


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (StoreError(ENGINE), 400),
        (StoreUnavailableError(f"{PATH} is away", told="The store is away."), 503),
        (ValueError(PATH), 400),
        (OSError(PATH), 503),
    ],
)
def test_what_the_engine_says_does_not_reach_the_sender(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    """400 for what would be refused again, 503 for what may be taken later; neither with a path."""

    def failing(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(client.app.state.store, "insert_otlp", failing)  # type: ignore[attr-defined]
    sent = Telemetry(conversations(0).tenant)
    sent.turn("c", 0)
    answer = post(client, sent.traces(sent.spans).SerializeToString())
    assert answer.status_code == status
    told = Status.FromString(answer.content).message
    assert told
    assert "/srv" not in told
    assert "DB::" not in told
