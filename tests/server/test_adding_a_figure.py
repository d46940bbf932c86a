"""A figure is one entry: what `docs/adding-a-figure.md` adds is told wherever figures are."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from otel_chat.server.queries import conversation_sums
from otel_chat.server.queries.conversation_sums import SHARES
from otel_chat.server.queries.registry import FIGURES
from tests.server.given import Given

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastapi.testclient import TestClient

    from otel_chat.server.store import Store

    Ask = Callable[[str], Any]

ADDING = Path(__file__).parents[2] / "docs" / "adding-a-figure.md"
NAME = "many_handoffs_ratio"
DAY = "from=2026-11-10&to=2026-11-10"


@pytest.fixture(scope="module")
def given(store: Store) -> Given:
    """Four settled conversations, of which one was handed off four times."""
    given = Given(store)
    for conversation in ("many", "few", "none", "other"):
        given.turn(conversation, agent="figures")
        given.event("conversation.end", conversation, 100)
    for number in range(4):
        given.event("handoff.requested", "many", number)
    given.event("handoff.requested", "few", 1)
    given.save()
    return given


@pytest.fixture(autouse=True)
def added() -> Iterator[None]:
    """The entry of the page, for one test."""
    (entry,) = re.findall(r"```python\n(register\(.*?)```", ADDING.read_text("utf-8"), re.DOTALL)
    exec(entry, dict(vars(conversation_sums)))
    yield
    del SHARES[NAME], FIGURES[NAME]


@pytest.fixture
def ask(client: TestClient, given: Given) -> Ask:
    """Asks about these conversations alone."""
    scopes = ("analytics:view", "conversations:read", "export:create", "metrics:read")
    tokens = client.app.state.access.tokens  # type: ignore[attr-defined]
    made = tokens.create("reader", scopes=scopes, tenants=[given.tenant])

    def asked(path: str) -> Any:
        answer = client.get(path, headers={"authorization": f"Bearer {made.token}"})
        assert answer.status_code == 200, answer.text
        return answer

    return asked


def test_the_overview_tells_it_and_its_course(ask: Ask) -> None:
    """One of four; in the window before there was none to be a share of."""
    overview = ask(f"/api/v1/overview?{DAY}").json()
    assert (overview["shares"][NAME], overview["previous"]["shares"][NAME]) == (0.25, None)
    series = ask(f"/api/v1/overview/series?{DAY}&bucket=1d").json()
    assert [point["shares"][NAME] for point in series["points"]] == [0.25]


def test_its_definition_is_told(ask: Ask) -> None:
    """With its unit and version."""
    items = {one["name"]: one for one in ask("/api/v1/definitions").json()["items"]}
    assert "more than three handoffs" in items[NAME]["definition"]
    assert (items[NAME]["unit"], items[NAME]["version"]) == ("1", 1)


@pytest.mark.parametrize("kind", ["sessions", "analytics"])
def test_exports_have_its_column(ask: Ask, kind: str) -> None:
    """Whether a conversation counts."""
    text = ask(f"/api/v1/exports/{kind}?{DAY}&format=csv").text
    rows = csv.DictReader(io.StringIO(text))
    assert {one["conversation_id"]: one["many_handoffs"] for one in rows} == {
        "many": "true", "few": "false", "none": "false", "other": "false",
    }  # fmt: skip


def test_comparisons_have_its_row(ask: Ask) -> None:
    """With an interval and which way is good; on the page under its label."""
    rates = ask(f"/api/v1/comparison?by=period&{DAY}").json()["rates"]
    (found,) = (one for one in rates if one["figure"] == NAME)
    assert (found["a"]["value"], found["a"]["count"], found["better"]) == (0.25, 4, "lower")
    assert "Handed off more than three times" in ask(f"/compare?by=period&{DAY}").text


def test_prometheus_has_its_gauge(client: TestClient, ask: Ask) -> None:
    """By agent, channel and window."""
    gauges = client.app.state.gauges  # type: ignore[attr-defined]
    gauges.refresh(datetime(2026, 11, 11, tzinfo=UTC))
    told = re.findall(rf"^otel_chat_{NAME}{{(.*)}} 0.25$", ask("/metrics").text, re.MULTILINE)
    assert 'agent="figures",channel="",window="7d"' in told
