"""Erasing for good: what is named is gone from everywhere, and nothing else is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from otel_chat.cli import app
from otel_chat.server.access import Scope
from otel_chat.server.app import create_app
from otel_chat.server.erase import Erased, Eraser, forget_old
from otel_chat.server.settings import ServerSettings
from tests.server.given import Given, at
from tests.server.served import served
from tests.waiting import until

if TYPE_CHECKING:
    from otel_chat.server.store import Store

DAY = {"from": "2026-11-10T00:00:00Z", "to": "2026-11-11T00:00:00Z"}


def fill(given: Given) -> None:
    """Two conversations of Ann, one of Bob, each with a span in its trace and an event."""
    for number, (name, user) in enumerate((("a", "ann"), ("b", "ann"), ("c", "bob"))):
        turn = given.turn(name, 60 * number, user_hash=user, input_messages=f"said in {name}")
        given.span(turn["trace_id"], turn["span_id"], 60 * number, name=f"inside {name}")
        given.event("topic", name, 60 * number + 1, topic=name)
    given.metric("process.memory.usage", 1)
    given.save()


def token(client: TestClient, *tenants: str, scopes: tuple[str, ...] = ()) -> dict[str, str]:
    wanted = scopes or ("admin", "analytics:view", "conversations:read")
    made = client.app.state.access.tokens.create("t", scopes=wanted, tenants=tenants)  # type: ignore[attr-defined]
    return {"authorization": f"Bearer {made.token}"}


def listed(client: TestClient, allowed: dict[str, str]) -> list[str]:
    answer = client.get("/api/v1/conversations", params=DAY, headers=allowed).json()
    return sorted(item["conversation_id"] for item in answer["items"])


def kept(given: Given) -> dict[str, list[Any]]:
    """What of the tenant still stands in the tables."""
    names = {"turns": "conversation_id", "events": "topic", "spans": "name"}
    found = {
        table: sorted(
            row["shown"]
            for row in given.store.query(
                f"SELECT {column} AS shown FROM {table} WHERE tenant = {{tenant:String}}",
                {"tenant": given.tenant},
            )
        )
        for table, column in names.items()
    }
    return {name: rows for name, rows in found.items() if rows}


def test_a_conversation_is_erased_whole(client: TestClient, given: Given) -> None:
    """Its turn, its span and its event; the same id in another tenant stays."""
    other = Given(given.store)
    fill(given)
    fill(other)
    allowed = token(client, given.tenant)
    answer = client.post("/api/v1/erasures", json={"conversation_id": "a"}, headers=allowed)
    assert (answer.status_code, answer.json()) == (200, {"turns": 1, "spans": 1, "events": 1})
    assert listed(client, allowed) == ["b", "c"]
    assert client.get("/api/v1/conversations/a", headers=allowed).status_code == 404
    assert kept(given) == {
        "turns": ["b", "c"],
        "events": ["b", "c"],
        "spans": ["inside b", "inside c"],
    }
    assert len(kept(other)["turns"]) == 3
    again = client.post("/api/v1/erasures", json={"conversation_id": "a"}, headers=allowed)
    assert again.status_code == 404


def test_a_user_is_erased_from_all_conversations(client: TestClient, given: Given) -> None:
    """Ann had two; Bob stays."""
    fill(given)
    allowed = token(client, given.tenant)
    answer = client.post("/api/v1/erasures", json={"user_hash": "ann"}, headers=allowed)
    assert answer.json() == {"turns": 2, "spans": 2, "events": 2}
    assert kept(given) == {"turns": ["c"], "events": ["c"], "spans": ["inside c"]}


def test_what_began_before_a_moment_is_erased(client: TestClient, given: Given) -> None:
    """Before 12:01: the first conversation, and the process' memory at noon."""
    fill(given)
    allowed = token(client, given.tenant)
    moment = at(60).isoformat()
    answer = client.post("/api/v1/erasures", json={"before": moment}, headers=allowed)
    assert answer.json() == {"turns": 1, "spans": 1, "events": 1}
    assert kept(given)["turns"] == ["b", "c"]
    processes = client.get("/api/v1/performance/process", params=DAY, headers=allowed)
    assert processes.json()["items"] == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "conversation_id"),
        ({"conversation_id": "a", "user_hash": "ann"}, "user_hash"),
        ({"before": "10.11.2026"}, "before"),
        ({"before": "1999-12-31"}, "before"),
        ({"conversation_id": ""}, "conversation_id"),
    ],
)
def test_what_to_erase_is_named_exactly(
    client: TestClient, given: Given, body: dict[str, str], field: str
) -> None:
    """Nothing, or two things, or a time that is none: 422, and nothing is gone."""
    fill(given)
    answer = client.post("/api/v1/erasures", json=body, headers=token(client, given.tenant))
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, field)
    assert len(kept(given)["turns"]) == 3


def test_nobody_erases_beyond_their_tenants(client: TestClient, given: Given) -> None:
    """Not by naming another tenant, and not without the scope."""
    fill(given)
    outsider = token(client, "another")
    for body in ({"conversation_id": "a"}, {"conversation_id": "a", "tenant": given.tenant}):
        assert client.post("/api/v1/erasures", json=body, headers=outsider).status_code == 404
    viewer = token(client, given.tenant, scopes=("analytics:view", "conversations:read"))
    assert client.post("/api/v1/erasures", json=body, headers=viewer).status_code == 403
    assert len(kept(given)["turns"]) == 3


def test_one_tenant_of_several_can_be_named(given: Given) -> None:
    """The others of the token keep theirs."""
    other = Given(given.store)
    fill(given)
    fill(other)
    scope = Scope(frozenset({given.tenant, other.tenant}), frozenset())
    done = Eraser(given.store, scope, given.tenant).conversation("a")
    assert done == Erased(turns=1, spans=1, events=1)
    assert "a" in kept(other)["turns"]


def test_old_data_is_forgotten_by_itself(given: Given) -> None:
    """Nothing is older than ten years; all of it is older than a moment."""
    fill(given)
    forget_old(given.store, given.scope, 3650)
    assert len(kept(given)["turns"]) == 3
    forget_old(given.store, given.scope, 1e-6)
    assert kept(given) == {}


def test_a_server_forgets_what_is_older_than_its_retention(store: Store, given: Given) -> None:
    """Without one it keeps for ever; with one it looks at once, and then every hour."""
    fill(given)
    with TestClient(create_app(store, ServerSettings())):
        pass
    assert len(kept(given)["turns"]) == 3
    days = (datetime.now(UTC) - at(90)) / timedelta(days=1)
    with TestClient(create_app(store, ServerSettings(retention_days=days))):
        until(lambda: kept(given).get("turns") == ["c"])


def test_a_conversation_says_that_its_first_turns_are_erased(
    client: TestClient, given: Given
) -> None:
    """In lists, alone and on its page; it is still one that started before."""
    days = 24 * 3600
    given.turn("c", -2 * days)
    given.turn("c", 0)
    given.save()
    allowed = token(client, given.tenant)

    def told() -> list[tuple[str, int, bool]]:
        before = {"from": "2026-11-08", "to": "2026-11-08"}
        listed = client.get("/api/v1/conversations", params=before, headers=allowed).json()
        alone = client.get("/api/v1/conversations/c", headers=allowed).json()
        return [
            (one["started_at"], one["turns"], one["turns_erased"])
            for one in (*listed["items"], alone["summary"])
        ]

    assert told() == [("2026-11-08T12:00:00Z", 2, False)] * 2
    Eraser(given.store, given.scope).before(at(-days))
    assert told() == [("2026-11-08T12:00:00Z", 1, True)] * 2
    shown = client.get("/conversations/c", headers=allowed).text
    assert "its first turns are erased for their age" in shown


def test_the_command_erases_at_a_server(store: Store, given: Given) -> None:
    """One conversation by its id; what there is not ends with exit code 1."""
    fill(given)
    store.command("TRUNCATE TABLE tokens")
    with served(store) as server:
        arguments = ["erase", "--conversation", "a", "--tenant", given.tenant, "--server", server]
        done = CliRunner().invoke(app, arguments)
        again = CliRunner().invoke(app, arguments)
    assert (done.exit_code, done.output) == (0, "Erased 1 turns, 1 spans, 1 events.\n")
    assert again.exit_code == 1
    assert kept(given)["turns"] == ["b", "c"]
