"""What is going on right now, once and as a stream over a real connection."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from otel_chat.errors import QueryError, StoreUnavailableError
from otel_chat.server.api.live import Live
from otel_chat.server.figures.filters import Filters
from otel_chat.server.questions.realtime import Realtime, realtime
from otel_chat.server.settings import ServerSettings
from otel_chat.server.tokens import TokenStore
from tests import web
from tests.server.given import DAY, NOON, Given, at
from tests.server.served import served
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_chat.server.store import Store

NONE = Filters()


@pytest.fixture
def address(store: Store) -> Iterator[str]:
    store.command("TRUNCATE TABLE tokens")
    with served(store) as url:
        yield f"{url}/api/v1/realtime"
    store.command("TRUNCATE TABLE tokens")


def token(store: Store, tenant: str) -> tuple[str, dict[str, str]]:
    made = TokenStore(store).create("watcher", scopes=["analytics:view"], tenants=[tenant])
    return made.id, {"authorization": f"Bearer {made.token}"}


def test_the_last_minutes_are_counted_by_hand(given: Given) -> None:
    """At 12:10: two turns since 12:05, one failed; three conversations active, one ended."""
    given.turn("old", 0, duration=1)
    given.turn("a", 400, duration=1)
    given.turn("b", 500, duration=3, status="error", handoff=True)
    given.turn("ended", 100)
    given.event("conversation.end", "ended", 110)
    given.feedback(5, "a", 550)
    given.feedback(3, "old", 20)
    given.save()
    window = replace(DAY, end=at(600), now=at(600))
    found = realtime(given.store, given.scope, window, NONE)
    assert found.model_dump() == {
        "timestamp": at(600),
        "minutes": 5,
        "active_conversations": 3,
        "turns": 2,
        "avg_response_time_ms": 1000,
        "errors": 1,
        "handoffs": 1,
        "avg_satisfaction": 0.75,
        "ratings": 2,
        "satisfaction_by_scale": [{"lowest": 1, "highest": 5, "ratings": 2, "mean": 4}],
    }
    assert realtime(given.store, given.scope, window, NONE, 15).turns == 4


def test_satisfaction_is_told_on_each_scale_that_it_was_given_on(given: Given) -> None:
    """Five stars twice and thumbs once: three means that are not mixed, beside the one share."""
    given.turn("a", 400)
    given.feedback(4, "a", 410)
    given.feedback(5, "a", 420)
    given.feedback(1, "a", 430, scale=(0, 1))
    given.event(
        "gen_ai.evaluation.result", "a", 440, evaluation="user_feedback", score=0.5
    )  # without a scale
    given.save()
    window = replace(DAY, end=at(600), now=at(600))
    found = realtime(given.store, given.scope, window, NONE)
    assert [scale.model_dump() for scale in found.satisfaction_by_scale] == [
        {"lowest": 1, "highest": 5, "ratings": 2, "mean": 4.5},
        {"lowest": 0, "highest": 1, "ratings": 1, "mean": 1},
    ]
    assert (found.ratings, found.avg_satisfaction) == (4, (0.75 + 1 + 1 + 0.5) / 4)


def test_in_silence_there_are_no_means(given: Given) -> None:
    """Null, not 0; minutes that make no sense are refused."""
    found = realtime(given.store, given.scope, DAY, NONE)
    assert (found.turns, found.avg_response_time_ms, found.avg_satisfaction) == (0, None, None)
    with pytest.raises(QueryError):
        realtime(given.store, given.scope, DAY, NONE, 0)


def events(response: httpx.Response) -> Iterator[dict[str, Any]]:
    for line in response.iter_lines():
        if line.startswith("data:"):
            yield json.loads(line.removeprefix("data:"))


def test_a_stream_says_what_the_address_says(given: Given, address: str) -> None:
    """One event in the form of server-sent events, the figures of this tenant alone."""
    now = (datetime.now(UTC) - NOON).total_seconds()
    given.turn("a", now - 60)
    other = Given(given.store)
    other.turn("b", now - 60)
    given.save()
    other.save()
    _, allowed = token(given.store, given.tenant)
    answer = web.get(f"{address}/stream", params={"events": 1}, headers=allowed)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert "event: realtime\n" in answer.text
    assert "\nid: " in answer.text
    (told,) = events(answer)
    plain = web.get(address, headers=allowed).json()
    assert told["turns"] == plain["turns"] == 1
    assert {**told, "timestamp": ""} == {**plain, "timestamp": ""}


def test_a_stream_ends_when_its_token_is_revoked(
    given: Given, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may no longer see is told so, and sees no more."""
    monkeypatch.setattr("otel_chat.server.app.Live", partial(Live, every=0.05))
    store.command("TRUNCATE TABLE tokens")
    admin = TokenStore(store).create("admin", scopes=["admin"], tenants=[given.tenant])
    known, allowed = token(store, given.tenant)
    with (
        served(store) as url,
        web.stream("GET", f"{url}/api/v1/realtime/stream", headers=allowed) as answer,
    ):
        told = events(answer)
        assert next(told)["turns"] == 0
        assert next(told)["turns"] == 0
        revoked = web.delete(
            f"{url}/api/v1/tokens/{known}", headers={"authorization": f"Bearer {admin.token}"}
        )
        assert revoked.status_code == 200
        assert list(told)[-1] == {"message": "The token is unknown, expired or revoked."}
    store.command("TRUNCATE TABLE tokens")


def test_only_so_many_may_watch(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one is told to ask now and then; when one leaves, there is room."""
    monkeypatch.setattr("otel_chat.server.app.Live", partial(Live, watchers=1))
    store.command("TRUNCATE TABLE tokens")
    with served(store) as url:
        place = f"{url}/api/v1/realtime/stream"
        with web.stream("GET", place) as answer:
            told = events(answer)
            assert next(told)["turns"] >= 0
            refused = web.get(place)
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "unavailable")
        until(lambda: web.get(place, params={"events": 1}).status_code == 200)


def test_without_the_right_no_stream_begins(given: Given, address: str) -> None:
    """The answer is an error, and not an empty stream."""
    made = TokenStore(given.store).create("x", scopes=["ingest:write"], tenants=[given.tenant])
    denied = web.get(f"{address}/stream", headers={"authorization": f"Bearer {made.token}"})
    assert (denied.status_code, web.get(f"{address}/stream").status_code) == (403, 401)


def test_settings_of_the_idle_time_hold(given: Given, address: str) -> None:
    """Active is what was quiet for less than the idle time, half an hour by default."""
    idle = ServerSettings().idle_seconds
    now = (datetime.now(UTC) - NOON).total_seconds()
    given.turn("active", now - idle + 120)
    given.turn("quiet", now - idle - 120)
    given.save()
    _, allowed = token(given.store, given.tenant)
    assert web.get(address, headers=allowed).json()["active_conversations"] == 1
    assert timedelta(seconds=idle) == timedelta(minutes=30)


async def test_who_watches_the_same_shares_one_computation(given: Given) -> None:
    """Three at once ask the store once; another scope's asks for itself."""
    asked: list[str] = []

    def compute(name: str) -> Realtime:
        asked.append(name)
        return realtime(given.store, given.scope, DAY, NONE)

    live = Live(every=3600)
    same = partial(compute, "same")
    answers = await asyncio.gather(*(live.answer("same", same) for _ in range(3)))
    await live.answer("other", partial(compute, "other"))
    assert asked == ["same", "other"]
    assert answers[0] is answers[1] is answers[2]


def test_a_server_that_stops_ends_its_streams_and_begins_none() -> None:
    """Those who watch are told to end, and the next one is refused."""
    live = Live()
    with live.watch() as first, live.watch() as second:
        live.close()
        assert first.is_set()
        assert second.is_set()
    with pytest.raises(StoreUnavailableError), live.watch():
        pass
