"""What becomes of the spans of real frameworks: recordings, and the turns that they are."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from otel_chat import semconv as sc
from otel_chat.pricing import PriceTable
from otel_chat.server.figures.filters import Filters
from otel_chat.server.figures.window import Window
from otel_chat.server.prices import PriceList, ServerPrices
from otel_chat.server.questions.dependencies import dependencies
from otel_chat.server.summaries.settler import Settler
from tests.foreign import expected
from tests.foreign.record import BOTS, RECORDINGS, conversation_id
from tests.server.given import DAY
from tools import frameworks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi.testclient import TestClient

    from tests.server.given import Given
    from tests.server.settled import SettledStore

JSON = {"content-type": "application/json"}


@pytest.fixture(autouse=True, scope="module")
def settled_by_hand(store: SettledStore) -> Iterator[None]:
    """With prices of the tests' own."""
    with store.by_hand():
        yield


def recording(bot: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((RECORDINGS / f"{bot}.json").read_text(encoding="utf-8"))
    return read


def sent_by(bot: str, tenant: str) -> dict[str, Any]:
    """The recorded spans, under a tenant."""
    sent: dict[str, Any] = copy.deepcopy(recording(bot)["sent"])
    for part in sent["resourceSpans"]:
        named = {"key": sc.TENANT, "value": {"stringValue": tenant}}
        part["resource"].setdefault("attributes", []).append(named)
    return sent


def turns(client: TestClient, given: Given, bot: str) -> list[dict[str, Any]]:
    address = f"/api/v1/conversations/{conversation_id(bot)}"
    answer = client.get(address, params={"tenant": given.tenant})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["turns"]
    return found


@pytest.mark.parametrize("bot", sorted(BOTS))
def test_a_recorded_conversation_is_the_one_that_was_held(
    client: TestClient, given: Given, bot: str
) -> None:
    """Two turns, one with a tool: of every framework the same tokens, cost, texts and tools."""
    sent = sent_by(bot, given.tenant)
    answer = client.post("/v1/traces", content=json.dumps(sent), headers=JSON)
    assert (answer.status_code, answer.json()) == (200, {})
    house = PriceList("house", PriceTable(expected.PRICES))
    Settler(given.store, prices=ServerPrices([house], published=False)).settle()
    told = [
        {key: turn.get(key, turn["tokens"].get(key)) for key in expected.turns(bot)[0]}
        for turn in turns(client, given, bot)
    ]
    assert told == expected.turns(bot)
    assert called(given, "tool") == expected.tools(bot)
    assert sum(called(given, "model").values()) == expected.model_calls(bot)
    rows = given.store.query(
        "SELECT count() AS rows FROM unclaimed_spans FINAL WHERE tenant = {tenant:String}",
        {"tenant": given.tenant},
    )
    assert rows == [{"rows": 0}]


def called(given: Given, kind: str) -> dict[str, int]:
    """What Dependencies says was called, and how often."""
    ever = Window(datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC), now=DAY.now)
    items = dependencies(given.store, given.scope, ever, Filters()).items
    return {item.name: item.calls for item in items if item.kind == kind}


def test_the_page_is_what_was_recorded() -> None:
    """After a change: python tools/frameworks.py."""
    assert frameworks.page() == frameworks.PAGE.read_text(encoding="utf-8")
