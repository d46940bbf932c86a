"""Ids that live for ever: where a gap is set, a longer silence begins another conversation."""

from __future__ import annotations

import itertools
import random
import threading
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest
from fastapi.testclient import TestClient
from hypothesis import given as generated
from hypothesis import strategies as st

from otel_chat.errors import ConfigurationError
from otel_chat.server.app import create_app
from otel_chat.server.episodes import Episode
from otel_chat.server.erase import Eraser
from otel_chat.server.settings import read_settings
from otel_chat.server.summaries.settler import Settler
from tests.examples import examples
from tests.server.given import Given, at

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import httpx

    from otel_chat.server.store import Store
    from tests.server.settled import SettledStore

HOUR: Final = 3600
DAY: Final = {"from": "2026-11-10", "to": "2026-11-10"}
GAP: Final = 2 * HOUR


@pytest.fixture(scope="module")
def running(store: Store) -> Iterator[TestClient]:
    """The application, as it is with a gap of two hours."""
    usual = store.rules
    for table in ("turns", "events", "conversations", "touched_keys"):
        store.command(f"TRUNCATE TABLE {table}")  # else all of other tests is settled anew
    app = create_app(store, read_settings(conversation_gap=GAP, grafana_url="http://grafana"))
    yield TestClient(app, base_url="http://127.0.0.1:8400")
    store.rules = usual


def asks(client: TestClient, given: Given) -> dict[str, str]:
    """Who may see and do everything in the tenant."""
    scopes = ("admin", "analytics:view", "conversations:read", "marks:write", "export:create")
    tokens = client.app.state.access.tokens  # type: ignore[attr-defined]
    made = tokens.create("t", scopes=scopes, tenants=(given.tenant,))
    return {"authorization": f"Bearer {made.token}"}


@pytest.fixture
def told(client: TestClient, given: Given) -> Any:
    """What the API says of the tenant."""
    allowed = asks(client, given)

    def ask(path: str, **params: object) -> Any:
        asked: Any = params
        answer: httpx.Response = client.get(f"/api/v1/{path}", params=asked, headers=allowed)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return ask


def name(seconds: float, known: str = "c") -> str:
    """The id of an episode that begins so long after noon."""
    return f"{known}@{at(seconds):%Y%m%dT%H%M%S.%f}000Z"


def start(seconds: float) -> str:
    """As the API tells when an episode began."""
    return name(seconds).removeprefix("c@")


def listed(told: Any, **params: object) -> dict[str, int]:
    """The conversations of the day and their turns, the oldest first."""
    items = told("conversations", **{**DAY, **params})["items"]
    return {item["conversation_id"]: item["turns"] for item in reversed(items)}


def three(given: Given) -> None:
    """An id that speaks at noon, at three and at eight."""
    for seconds in (0, 60, 3 * HOUR, 3 * HOUR + 60, 3 * HOUR + 90, 8 * HOUR):
        given.turn("c", seconds, intent="order")
    given.save()
    given.rows.clear()


def test_an_id_is_a_conversation_after_each_silence(given: Given, told: Any) -> None:
    """Three rows, three links; each says which id it is of, and what was before and after."""
    three(given)
    assert listed(told) == {"c": 2, name(3 * HOUR): 3, name(8 * HOUR): 1}
    assert told("overview", **DAY)["conversations"] == 3
    second = told("conversations/c", episode=start(3 * HOUR))
    about = second["summary"]
    assert (about["conversation_id"], about["sent_id"], about["episode"], about["turns"]) == (
        name(3 * HOUR), "c", start(3 * HOUR), 3,
    )  # fmt: skip
    assert [turn["index"] for turn in second["turns"]] == [1, 2, 3]
    assert (second["previous_episode"], second["next_episode"]) == ("c", name(8 * HOUR))
    first = told("conversations/c")
    assert (first["summary"]["episode"], len(first["turns"])) == (None, 2)
    assert (first["previous_episode"], first["next_episode"]) == (None, name(3 * HOUR))
    assert told(f"conversations/{name(3 * HOUR)}") == second
    assert told("conversations/c/traces", episode=start(8 * HOUR)).keys() == {
        turn["trace_id"] for turn in told("conversations/c", episode=start(8 * HOUR))["turns"]
    }


def test_lists_and_pages_of_lists_go_through_all(given: Given, told: Any) -> None:
    """One by one; filters, activity and a search for one of them find it."""
    three(given)
    seen: list[str] = []
    more: dict[str, str] = {}
    while True:
        page = told("conversations", **DAY, limit=1, **more)
        seen += [item["conversation_id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        more = {"cursor": page["next_cursor"]}
    assert seen == [name(8 * HOUR), name(3 * HOUR), "c"]
    assert listed(told, by="active").keys() == set(seen)
    assert listed(told, conversation_id=name(3 * HOUR)) == {name(3 * HOUR): 3}
    assert listed(told, where="intent = order and not outcome = failed").keys() == set(seen)


def test_a_silence_as_long_as_the_gap_is_within(given: Given, told: Any) -> None:
    """From the end of the last activity to the start of the next turn."""
    given.turn("exact", 0, 10)
    given.turn("exact", 10 + GAP)
    given.turn("longer", 0, 10)
    given.turn("longer", 10 + GAP + 0.000001)
    given.turn("long", 0, GAP * 2)
    given.turn("long", 60)
    given.turn("long", GAP * 3)
    given.save()
    later = name(10 + GAP + 0.000001, "longer")
    assert listed(told) == {"exact": 2, "long": 3, "longer": 1, later: 1}


def test_a_human_who_writes_keeps_it_going(given: Given, told: Any) -> None:
    """Messages are activity; what the system writes is none, nor are outcomes and ratings."""
    for known, sender in (("heard", "human"), ("silent", "system")):
        given.turn(known, 0)
        given.event("message", known, 1.5 * HOUR, sender=sender)
        given.feedback(5, known, 1.5 * HOUR)
        given.turn(known, 3 * HOUR)
    given.save()
    assert listed(told) == {"heard": 2, "silent": 1, name(3 * HOUR, "silent"): 1}


def test_what_is_told_belongs_to_the_episode_of_its_time(given: Given, told: Any) -> None:
    """An outcome to the second, a rating of a day later to the last; before the first to it."""
    given.event("action", "c", -600, action="open")
    three(given)
    given.event("conversation.end", "c", 4 * HOUR, outcome="failed")
    given.feedback(1, "c", 32 * HOUR)
    given.save()
    items = told("conversations", **DAY)["items"]
    found = {
        one["conversation_id"]: (one["outcome"], one["feedback"], one["actions"]) for one in items
    }
    assert found == {
        "c": ("resolved", None, 1),
        name(3 * HOUR): ("failed", None, 0),
        name(8 * HOUR): ("abandoned", "negative", 0),
    }
    last = told("conversations/c", episode=start(8 * HOUR))
    assert [event["name"] for event in last["events"]] == ["gen_ai.evaluation.result"]


def test_a_late_turn_joins_two(given: Given, told: Any) -> None:
    """One row is left, and the link to the other leads nowhere."""
    given.turn("c", 0)
    given.turn("c", 3 * HOUR)
    given.save()
    assert listed(told) == {"c": 1, name(3 * HOUR): 1}
    given.rows.clear()
    given.turn("c", 1.5 * HOUR)
    given.save()
    assert listed(told) == {"c": 3}
    assert len(told("conversations/c")["turns"]) == 3


def test_a_late_turn_before_all_others_begins_the_first(given: Given, told: Any) -> None:
    """What was the first is the second."""
    given.turn("c", 3 * HOUR)
    given.save()
    assert listed(told) == {"c": 1}
    given.rows.clear()
    given.turn("c", 0)
    given.turn("c", 60)
    given.save()
    assert listed(told) == {"c": 2, name(3 * HOUR): 1}


def test_what_colleagues_noted_goes_with_it(given: Given, client: TestClient, told: Any) -> None:
    """Of an episode that a late turn joins to another, the note is that of both."""
    three(given)
    allowed = asks(client, given)
    place = f"/api/v1/marks/{name(3 * HOUR)}"
    assert client.patch(place, json={"tags": ["odd"]}, headers=allowed).is_success
    score = {"comment": "hm"}
    of_review = "/api/v1/reviews/c"
    episode = {"episode": start(3 * HOUR)}
    assert client.put(of_review, json=score, params=episode, headers=allowed).is_success
    assert told("marks/c", **episode)["tags"] == ["odd"]
    assert told("marks/c")["tags"] == []
    assert listed(told, tag="odd") == {name(3 * HOUR): 3}
    given.turn("c", 1.5 * HOUR)
    given.save()
    assert told("marks/c")["tags"] == ["odd"]
    assert [one["comment"] for one in told("reviews/c")["items"]] == ["hm"]
    assert client.patch("/api/v1/marks/c", json={"tags": ["new"]}, headers=allowed).is_success
    assert [(one["conversation_id"], one["tags"]) for one in told("marks")["items"]] == [
        ("c", ["new"])
    ]


def test_an_id_is_erased_with_all_of_them(
    store: Store, given: Given, client: TestClient, told: Any
) -> None:
    """And a later one by itself, with what was noted about it."""
    three(given)
    allowed = asks(client, given)
    client.patch(f"/api/v1/marks/{name(3 * HOUR)}", json={"note": "secret"}, headers=allowed)
    client.patch(f"/api/v1/marks/{name(8 * HOUR)}", json={"note": "kept"}, headers=allowed)
    wanted = {"conversation_id": name(3 * HOUR)}
    erased = client.post("/api/v1/erasures", json=wanted, headers=allowed)
    assert erased.json() == {"turns": 3, "spans": 0, "events": 0}
    Settler(store).settle()
    assert listed(told) == {"c": 2, name(8 * HOUR): 1}
    assert [one["note"] for one in told("marks")["items"]] == ["kept"]
    erased = client.post("/api/v1/erasures", json={"conversation_id": "c"}, headers=allowed)
    assert erased.json() == {"turns": 3, "spans": 0, "events": 0}
    assert (listed(told), told("marks")["items"]) == ({}, [])


def test_an_episode_keeps_its_name_when_those_before_it_are_erased(
    store: Store, given: Given, told: Any
) -> None:
    """For their age; the id alone then leads to the first that is left."""
    three(given)
    listed(told)
    Eraser(store, given.scope).before(at(HOUR))
    assert listed(told) == {name(3 * HOUR): 3, name(8 * HOUR): 1}
    Eraser(store, given.scope).before(at(3 * HOUR + 30))
    Settler(store).settle()
    assert listed(told) == {name(3 * HOUR): 2, name(8 * HOUR): 1}
    given.turn("c", 8 * HOUR + 60)
    given.save()
    assert listed(told) == {name(3 * HOUR): 2, name(8 * HOUR): 2}
    found = told("conversations/c")
    assert found["summary"]["conversation_id"] == name(3 * HOUR)
    assert found["summary"]["turns_erased"]
    assert found["next_episode"] == name(8 * HOUR)


def test_notes_on_an_episode_leave_with_it(
    store: Store, given: Given, client: TestClient, told: Any
) -> None:
    """For its age, though its id lives on; those on the others stay."""
    three(given)
    allowed = asks(client, given)
    for known in ("c", name(3 * HOUR), name(8 * HOUR)):
        client.patch(f"/api/v1/marks/{known}", json={"note": known}, headers=allowed)
    assert len(listed(told)) == 3
    Eraser(store, given.scope).before(at(HOUR))
    assert {one["note"] for one in told("marks")["items"]} == {name(3 * HOUR), name(8 * HOUR)}
    Eraser(store, given.scope).before(at(4 * HOUR))
    assert {one["note"] for one in told("marks")["items"]} == {name(8 * HOUR)}


def test_feedback_on_an_episode_is_stored_by_the_id_that_was_sent(
    client: TestClient, given: Given, store: Store
) -> None:
    """Its time says where it belongs."""
    three(given)
    sent: list[bytes] = []

    class Committer:
        async def commit(self, batch: Any) -> None:
            sent.append(batch)

    client.app.state.committer, usual = Committer(), client.app.state.committer  # type: ignore[attr-defined]
    try:
        answer = client.post(
            "/api/v1/feedback", json={"conversation_id": name(3 * HOUR), "value": 4}
        )
    finally:
        client.app.state.committer = usual  # type: ignore[attr-defined]
    assert (answer.status_code, answer.json()["conversation_id"], len(sent)) == (201, "c", 1)


def test_an_id_that_looks_like_an_episodes_is_found(given: Given, told: Any) -> None:
    """As long as no episode has its name."""
    odd = name(0, "odd")
    given.turn(odd, 0)
    given.turn(odd, 3 * HOUR)
    given.save()
    assert listed(told) == {odd: 1, name(3 * HOUR, odd): 1}
    assert len(told(f"conversations/{odd}")["turns"]) == 1
    assert len(told(f"conversations/{odd}", episode=start(3 * HOUR))["turns"]) == 1


def test_an_episode_is_asked_for_as_it_is_told(client: TestClient, given: Given) -> None:
    """Else 422, which names the parameter; 404 where none began then."""
    three(given)
    allowed = asks(client, given)
    for wrong in ("2026-11-10T15:00:00Z", "1", "20261399T000000.000000000Z"):
        answer = client.get(f"/api/v1/conversations/c?episode={wrong}", headers=allowed)
        assert (answer.status_code, answer.json()["error"]["field"]) == (422, "episode")
    answer = client.get(f"/api/v1/conversations/c?episode={start(1)}", headers=allowed)
    assert answer.status_code == 404


def test_pages_lead_to_it_and_on(client: TestClient, given: Given) -> None:
    """The list by its start, it to those beside it; Grafana knows the id that was sent."""
    three(given)
    allowed = asks(client, given)
    page = client.get("/conversations?from=2026-11-10&to=2026-11-10", headers=allowed).text
    assert f'episode={start(3 * HOUR)}" data-row-link' in page
    page = client.get(f"/conversations/c?episode={start(3 * HOUR)}", headers=allowed).text
    assert 'href="/conversations/c">' in page
    assert f'href="/conversations/c?episode={start(8 * HOUR)}">' in page
    assert "var-conversation=c&amp;" in page


def test_a_gap_that_changes_settles_all_anew(store: SettledStore, given: Given, told: Any) -> None:
    """Longer, none at all, and back; without one the id is a conversation."""
    three(given)
    usual = store.rules
    found = []
    for gap in (4 * HOUR, None, GAP):
        store.rules = replace(usual, gap_seconds=gap)
        Settler(store).settle()
        found.append(listed(told))
    assert found == [
        {"c": 5, name(8 * HOUR): 1},
        {"c": 6},
        {"c": 2, name(3 * HOUR): 3, name(8 * HOUR): 1},
    ]


def test_a_gap_that_goes_leaves_one_row_where_first_turns_were_erased(
    store: SettledStore, given: Given, told: Any
) -> None:
    """The row that keeps the start of an episode is no conversation beside the whole."""
    three(given)
    usual = store.rules
    listed(told)
    Eraser(store, given.scope).before(at(3 * HOUR + 30))
    Settler(store).settle()
    store.rules = replace(usual, gap_seconds=None)
    Settler(store).settle()
    assert listed(told) == {"c": 3}
    store.rules = usual
    Settler(store).settle()
    assert sum(listed(told).values()) == 3


@pytest.mark.parametrize("gap", [60, 0, -1])
def test_a_gap_is_at_least_the_idle_time(gap: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the server does not start, and names the variable and what to give."""
    monkeypatch.setenv("OTEL_CHAT_SERVER_CONVERSATION_GAP", str(gap))
    with pytest.raises(ConfigurationError, match="OTEL_CHAT_SERVER_CONVERSATION_GAP"):
        read_settings()
    assert read_settings(conversation_gap=1800).conversation_gap == 1800


def split(turns: Sequence[tuple[int, int]], messages: Sequence[int]) -> dict[str, int]:
    """The episodes of an id and how many turns each has, counted one after the other."""
    found: dict[str, int] = {}
    known = "c"
    busy_until = 0.0
    for number, (seconds, length) in enumerate(sorted(turns)):
        heard = [one for one in messages if one <= seconds]
        busy_until = max([busy_until, *heard])
        if number and seconds - busy_until > GAP:
            known = name(seconds)
        busy_until = max(busy_until, seconds + length)
        found[known] = found.get(known, 0) + 1
    return found


MINUTES = st.integers(0, 11 * 60).map(lambda minutes: minutes * 60)


@generated(
    turns=st.lists(st.tuples(MINUTES, st.sampled_from((0, 1, 5400))), min_size=1, max_size=12),
    messages=st.lists(MINUTES, max_size=3),
    seed=st.integers(0, 2**32),
)
@examples(8, 150)
def test_episodes_are_those_that_were_counted(
    running: TestClient,
    store: SettledStore,
    turns: list[tuple[int, int]],
    messages: list[int],
    seed: int,
) -> None:
    """In whatever order and parts turns and messages come, and settled in between or not."""
    given = Given(store)
    order = random.Random(seed)
    rows: list[tuple[Any, ...]] = [("turn", *one) for one in turns]
    rows += [("message", one) for one in messages]
    order.shuffle(rows)
    for kind, seconds, *length in rows:
        if kind == "turn":
            given.turn("c", seconds, *length)
        else:
            given.event("message", "c", seconds, sender="user")
        if order.random() < 0.4:
            given.save()
            given.rows.clear()
        if order.random() < 0.3:
            Settler(store).settle()
    given.save()
    allowed = asks(running, given)
    items = running.get("/api/v1/conversations", params=DAY, headers=allowed).json()["items"]
    assert {one["conversation_id"]: one["turns"] for one in items} == split(turns, messages)


def test_two_settlers_at_once_give_the_same(store: SettledStore, given: Given, told: Any) -> None:
    """Each with batches of its own, while late turns join and split."""
    order = random.Random(7)
    moments = {known: [order.randint(0, 660) * 60 for _ in range(12)] for known in "abcdef"}
    with store.by_hand():
        settlers = [Settler(store, batch=batch) for batch in (2, 100)]
        for begun in range(0, 12, 3):
            for known, times in moments.items():
                for moment in times[begun : begun + 3]:
                    given.turn(known, moment)
            given.save()
            given.rows.clear()
            threads = [threading.Thread(target=settler.settle) for settler in settlers]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        found = listed(told, limit=200)
    wanted: dict[str, int] = {}
    for known, times in moments.items():
        parts = split([(one, 1) for one in times], [])
        wanted |= {
            Episode(known, Episode.of(part).begun).id: count for part, count in parts.items()
        }
    assert found == wanted


def test_the_id_of_an_episode_is_exact() -> None:
    """To the nanosecond, in order of time, and there and back."""
    moments = [1, 10**9, 1_795_000_000_000_000_001, 4_102_444_799_999_999_999]
    known = [Episode("a/b@c", moment) for moment in moments]
    assert [Episode.of(one.id) for one in known] == known
    assert sorted(one.id for one in known) == [one.id for one in known]
    assert all(a.id != b.id for a, b in itertools.combinations(known, 2))
    begun = datetime.fromisoformat("2026-11-10T12:00:00+00:00")
    assert (
        Episode.of(f"c@{begun + timedelta(microseconds=5):%Y%m%dT%H%M%S.%f}000Z").begun % 10**9
        == 5000
    )


def test_definitions_tell_it(told: Any) -> None:
    """The gap, by itself, in words and in the name of the rules."""
    found = told("definitions")
    assert found["conversation_gap"] == GAP
    assert found["rules"].endswith(", conversation_gap 7200")
    assert "after more than 7200 seconds without activity" in found["conversations"]
