"""A question takes so much memory and time and no more: beyond it, 503 in words."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from otel_chat.errors import ConfigurationError
from otel_chat.server.figures.filters import Filters
from otel_chat.server.questions.exports import export_interactions
from otel_chat.server.settings import read_settings
from otel_chat.server.store.limits import EXPORT, Limit
from otel_chat.server.store.trouble import Trouble
from tests.server.given import DAY, Given

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi.testclient import TestClient

    from otel_chat.server.store import Store

MEMORY = "This takes more memory than one question may. Ask about less time"
TIME = "This takes longer than one question may. Ask about less time"
ASKED = "from=2026-11-10&to=2026-11-11"
PATHS = (
    "/api/v1/intents?",
    "/api/v1/exports/messages?format=jsonl&",
    "/intents?",
)
TURNS = 30_000


@pytest.fixture(scope="module")
def long(store: Store) -> Given:
    """A conversation that is long enough."""
    given = Given(store)
    given.store.command(
        """
        INSERT INTO turns (tenant, conversation_id, start, end, duration, trace_id, span_id, status,
            intent)
        SELECT {tenant:String}, 'long',
            toDateTime64('2026-11-10 00:00:00', 9, 'UTC') + number AS at, at + 1, 1,
            toFixedString(reverse(toString(number + 1e6)), 16),
            toFixedString(toString(number + 1e6), 8), 'ok', toString(number % 1000)
        FROM numbers({turns:UInt64})
        """,
        {"tenant": given.tenant, "turns": TURNS},
    )
    return given


@contextlib.contextmanager
def limited(store: Store, limit: Limit) -> Iterator[None]:
    """Questions and exports may take so much for as long as the block runs."""
    before = store.question, store.export
    store.question = store.export = limit
    try:
        yield
    finally:
        store.question, store.export = before


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("change", "words"), [({"memory": 2_000_000}, MEMORY), ({"seconds": 0.001}, TIME)]
)
def test_a_question_beyond_its_limit_is_503_in_words(
    client: TestClient, long: Given, path: str, change: dict[str, float], words: str
) -> None:
    """The API, an export and a page; the store is ready, and answers when it may take more."""
    assert client.get(path + ASKED).status_code == 200
    with limited(long.store, replace(long.store.question, **change)):
        answer = client.get(path + ASKED)
        assert answer.status_code == 503
        assert words in answer.text
        assert "MiB" not in answer.text
        assert "away" not in answer.text
        assert client.get("/readyz").status_code == 200


def test_what_all_take_together_is_limited(client: TestClient, long: Given) -> None:
    """Each by itself would be let through; the store has no memory left for it, and says so."""
    with limited(long.store, replace(long.store.question, together=2_000_000)):
        answer = client.get(PATHS[0] + ASKED)
    long.store.trouble = Trouble()  # other tests share the store
    assert (answer.status_code, "run out of memory" in answer.text) == (503, True)


def test_an_export_goes_on_beyond_the_limit_of_questions(long: Given) -> None:
    """It has limits of its own, of memory as of time."""
    with limited(long.store, Limit(1_000_000, 0.001)):
        long.store.export = EXPORT
        rows = export_interactions(long.store, long.scope, DAY, Filters())
        assert b"".join(rows).count(b"\n") == TURNS


def test_the_limits_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory with or without a unit."""
    monkeypatch.setenv("OTEL_CHAT_SERVER_QUESTION_MEMORY", "200MB")
    assert read_settings(export_memory=3_000_000).question_memory == 200_000_000
    monkeypatch.setenv("OTEL_CHAT_SERVER_QUESTION_MEMORY", "2 apples")
    with pytest.raises(ConfigurationError, match="QUESTION_MEMORY"):
        read_settings()
