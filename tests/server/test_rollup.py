"""Days that are kept ahead: they change how fast an answer comes, never what it says."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given as generated
from hypothesis import strategies as st

from otel_chat.errors import StoreUnavailableError
from otel_chat.server.erase import Eraser
from otel_chat.server.periodic import Periodic
from otel_chat.server.queries.conversations import conversations
from otel_chat.server.queries.days import midnight
from otel_chat.server.queries.filters import Filters
from otel_chat.server.queries.funnel import funnel
from otel_chat.server.queries.overview import overview, overview_and_series, series
from otel_chat.server.queries.partials import KEPT, KEPT_OF_BOTH
from otel_chat.server.queries.quarter_hours import PARTIALS, SUMS
from otel_chat.server.queries.report import report
from otel_chat.server.rollup import OUTDATED_AFTER, Rollup
from tests.examples import THOROUGH, examples
from tests.server.given import DAY, NOON, Given, at
from tests.server.nearby import FIRST, LAST, Nearby
from tests.waiting import until

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

    from otel_chat.server.store import Store

WEEK = {"from": "2026-11-07T06:00:00Z", "to": "2026-11-13T06:00:00Z"}
HOUR = 3600
NONE = Filters()
LIMITS: tuple[dict[str, str], ...] = (
    {},
    {"agent": "support", "outcome": "resolved"},
    {"agent": "support"},
    {"conversation_id": "c3"},
)


def fill(given: Given, seed: int) -> None:
    """Conversations of several days, some over midnight, with whatever may happen in them."""
    rng = random.Random(seed)
    for number in range(12):
        name = f"c{number}"
        begin = rng.uniform(-4 * 24 * HOUR, 2 * 24 * HOUR)
        for turn in range(rng.randint(1, 5)):
            begin += rng.choice((20, 300, 5 * HOUR))
            given.turn(
                name,
                begin,
                rng.uniform(0.1, 9),
                agent=rng.choice(("support", "sales")),
                channel=rng.choice(("web", "voice", "")),
                user_type=rng.choice(("client", "")),
                user_hash=rng.choice(("ann", "bob", "")),
                page=rng.choice(("/a", "/b")),
                intent=rng.choice(("order", "refund", "")),
                confidence=rng.choice((0.2, 0.9, None)),
                fallback=rng.choice((True, False, None)),
                status=rng.choice(("ok", "ok", "ok", "error", "cancelled")),
                handoff=turn > 1 and rng.random() < 0.2,
                time_to_first_chunk=rng.choice((None, 0.0, 0.25, rng.uniform(0, 3))),
                input_tokens=rng.choice((None, 100, 2000)),
                cost=rng.choice((None, "0.001")),
                request_model=rng.choice(("small", "large")),
                foreign=rng.random() < 0.1,
            )
        for event in rng.sample(
            ("workflow.started", "workflow.completed", "action", "handoff.requested", "lead",
             "message", "conversation.end", "topic"), rng.randint(0, 5),
        ):  # fmt: skip
            given.event(
                event,
                name,
                begin + rng.uniform(-20, 8 * HOUR),
                workflow="order" if event.startswith("workflow") else "",
                action="buy" if event == "action" else "",
                topic="delivery" if event == "topic" else "",
                sender="human" if event == "message" else "",
                outcome=rng.choice(("resolved", "failed", "")) if "end" in event else "",
                reason="done" if "end" in event else "",
            )
        if rng.random() < 0.6:
            given.feedback(rng.randint(1, 5), name, begin + rng.uniform(0, 6 * 24 * HOUR))


def answers(client: TestClient, given: Given, limits: dict[str, str]) -> dict[str, Any]:
    """What every address that takes these limits answers for the tenant."""
    tokens = client.app.state.access.tokens  # type: ignore[attr-defined]
    scopes = ["analytics:view", "conversations:read", "export:create"]
    token = tokens.create("t", scopes=scopes, tenants=[given.tenant]).token
    found = {}
    for path, methods in client.app.openapi()["paths"].items():  # type: ignore[attr-defined]
        reads = path.startswith("/api/v1") and "get" in methods and "stream" not in path
        known = {one["name"] for one in methods.get("get", {}).get("parameters", ())}
        if not reads or not set(limits) <= known or "from" not in known or "{" in path:
            continue
        answer = client.get(
            path, params={**WEEK, **limits}, headers={"authorization": f"Bearer {token}"}
        )
        assert answer.status_code == 200, (path, answer.text)
        if answer.headers["content-type"].startswith("application/json"):
            found[path] = answer.text.replace(given.tenant, "TENANT")
    assert len(found) > 20
    return found


def counted(given: Given, days: int = 0) -> tuple[int, int]:
    """Conversations, and the turns of them, of a day, so many before the tests' usual one."""
    back = timedelta(days=days)
    window = replace(DAY, start=DAY.start - back, end=DAY.end - back)
    told = overview(given.store, given.scope, window, NONE)
    turns = told.engagement.turns
    return told.conversations, round((turns or 0) * told.conversations)


def rows(given: Given, table: str) -> list[dict[str, Any]]:
    return given.store.query(
        f"SELECT * FROM {table} WHERE tenant = {{tenant:String}}", {"tenant": given.tenant}
    )


@pytest.mark.thorough
@pytest.mark.parametrize("limits", LIMITS if THOROUGH else LIMITS[:2])
def test_every_address_answers_alike_before_and_after(
    client: TestClient, given: Given, rollup: Rollup, limits: dict[str, str]
) -> None:
    """What is asked before any day is kept is what is asked afterwards."""
    fill(given, 11)
    given.save()
    told = answers(client, given, limits)
    rollup.refresh()
    assert answers(client, given, limits) == told


@examples(1, 15)
@generated(seed=st.integers(0, 2**32), late=st.integers(0, 40))
def test_what_comes_late_changes_the_answer_as_if_it_had_been_in_time(
    store: Store, rollup: Rollup, seed: int, late: int
) -> None:
    """Kept, kept without what comes late, and kept anew: as if no day had ever been kept."""
    whole, parted = Given(store), Given(store)
    fill(whole, seed)
    whole.save()
    told = figures(whole)
    fill(parted, seed)
    later = [parted.rows.pop(len(parted.rows) * index // 50) for index in range(late, 40, 7)]
    parted.save()
    rollup.refresh()
    assert figures(whole) == told
    given_ids(whole, parted, later)
    parted.rows = later
    parted.save()
    assert figures(parted) == told
    rollup.refresh()
    assert figures(parted) == told


@examples(1, 15)
@generated(seed=st.integers(0, 2**32), order=st.lists(st.integers(-4, 3), min_size=3, max_size=6))
def test_days_may_be_kept_in_any_order_and_again(
    store: Store, rollup: Rollup, seed: int, order: list[int]
) -> None:
    """After each of them the answer is the one that was given when none was kept."""
    given = Given(store)
    fill(given, seed)
    given.save()
    told = figures(given)
    for day in order:
        rollup.keep(at(day * 24 * HOUR).date())
        assert figures(given) == told


@pytest.mark.parametrize("hours", [6 * 24, 30])
def test_the_overview_and_its_course_say_the_same_when_asked_at_once(
    given: Given, rollup: Rollup, hours: int
) -> None:
    """Over six days and over thirty hours, at which no bucket begins; kept and not."""
    start = at(-3.2 * 24 * HOUR)
    window = replace(DAY, start=start, end=start + timedelta(hours=hours))
    fill(given, 4)
    given.save()
    for _ in range(2):
        asked = (given.store, given.scope, window, NONE)
        assert overview_and_series(*asked) == (overview(*asked), series(*asked))
        rollup.refresh()


def test_all_parts_of_an_answer_are_of_the_same_days(
    given: Given, rollup: Rollup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is known of the days is asked once for a whole report; for the next report, again."""
    fill(given, 5)
    given.save()
    rollup.refresh()
    asked: list[str] = []
    query = type(given.store).query
    monkeypatch.setattr(
        type(given.store),
        "query",
        lambda store, sql, *bound: asked.append(sql) or query(store, sql, *bound),
    )
    for times in (1, 2):
        report(given.store, given.scope, DAY, NONE)
        of_days = [sql for sql in asked if "FROM touched" in sql and "touched_keys" not in sql]
        assert len(of_days) == times
    assert len(asked) > 8


@pytest.mark.parametrize(
    ("steps", "within"),
    [
        (("turn", "intent:order", "action:buy", "outcome:resolved"), None),
        (("intent", "turn", "turn"), 6 * HOUR),
        (("intent:refund", "intent", "handoff"), None),
        (("workflow", "action", "turn"), 6 * HOUR),
    ],
)
def test_funnels_say_the_same_of_kept_days(
    given: Given, rollup: Rollup, steps: tuple[str, ...], within: float | None
) -> None:
    """Steps whose times are kept, and others between; with a limit and without."""
    fill(given, 7)
    given.save()
    window = replace(DAY, start=at(-4 * 24 * HOUR), end=at(3 * 24 * HOUR))
    told = funnel(given.store, given.scope, window, NONE, steps, within)
    assert told.steps[1].conversations
    rollup.refresh()
    assert funnel(given.store, given.scope, window, NONE, steps, within) == told


def given_ids(whole: Given, parted: Given, later: list[tuple[Any, dict[str, Any]]]) -> None:
    """Both tenants hold as much: a check of the test itself."""
    assert len(whole.rows) == len(parted.rows) + len(later)


def figures(given: Given) -> dict[str, Any]:
    """All that the overview says, and each conversation without ids that differ by chance."""
    window = replace(DAY, start=at(-4 * 24 * HOUR), end=at(3 * 24 * HOUR), now=at(9 * 24 * HOUR))
    listed = conversations(given.store, given.scope, window, NONE, limit=50)
    told = overview(given.store, given.scope, window, NONE)
    return {
        "overview": told.model_dump_json(),
        "conversations": [
            item.model_dump_json().replace(given.tenant, "TENANT") for item in listed.items
        ],
    }


def test_what_is_kept_is_what_is_read(given: Given, rollup: Rollup) -> None:
    """Turns counted as 7 where one is kept: a second row of the same day shows, and is counted."""
    given.turn("a")
    given.save()
    rollup.refresh()
    (row,) = rows(given, "conversation_days")
    assert (row["turns"], str(row["day"])) == (1, "2026-11-10")
    given.store.command(
        "INSERT INTO conversation_days"
        " SELECT * REPLACE ('b' AS conversation_id, hash + 1 AS hash, 7 AS turns)"
        f" FROM conversation_days WHERE tenant = '{given.tenant}'"
    )
    assert counted(given) == (2, 8)


def test_what_comes_late_is_counted_at_once_and_kept_the_next_time(
    given: Given, rollup: Rollup
) -> None:
    """One turn, kept; a second of the same conversation and a feedback: asked, kept, asked."""
    given.turn("a", 0)
    given.save()
    rollup.refresh()
    assert counted(given) == (1, 1)
    given.rows.clear()
    given.turn("a", 60)
    given.feedback(5, "a", 5 * 24 * HOUR)
    given.save()
    assert counted(given) == (1, 2)
    assert overview(given.store, given.scope, DAY, NONE).resolution.confirmed == 1
    rollup.refresh()
    assert counted(given) == (1, 2)
    newest = max(rows(given, "conversation_days"), key=lambda row: row["generation"])
    assert newest["turns"] == 2


# Where a test's clock is ahead, its days are its own: what arrives for them later is not seen.
QUIET_DAY, LATE_DAY, BROKEN_DAY = 1000, 1100, 1200


def test_a_day_is_kept_when_it_is_over_and_has_been_quiet(given: Given, store: Store) -> None:
    """Nothing within ten minutes of the last arrival, nothing before midnight; then it is."""
    given.turn("a", -QUIET_DAY * 24 * HOUR)
    given.save()
    quiet = timedelta(minutes=10)
    now = datetime.now(UTC)
    Nearby(store, quiet, lambda: now + timedelta(minutes=9)).refresh()
    assert rows(given, "conversation_days") == []
    Nearby(store, timedelta(0), lambda: NOON - timedelta(days=QUIET_DAY)).refresh()
    assert rows(given, "conversation_days") == []
    only_this_day(store, QUIET_DAY, quiet, now + timedelta(minutes=11))
    assert len(rows(given, "conversation_days")) == 1
    assert counted(given, QUIET_DAY) == (1, 1)


def only_this_day(store: Store, days: int, quiet: timedelta, now: datetime) -> None:
    """Keeps one day by a clock that is ahead, and no other, which would be kept for too long."""
    rollup = Nearby(store, quiet, lambda: now)
    rollup.keep((DAY.start - timedelta(days=days)).date())


def test_what_arrives_while_a_day_is_worked_out_makes_it_no_longer_kept(
    given: Given, store: Store
) -> None:
    """An insert that began five minutes before then shows only now: the day is asked afresh."""
    given.turn("a", -LATE_DAY * 24 * HOUR)
    given.save()
    later = datetime.now(UTC) + timedelta(hours=1)
    only_this_day(store, LATE_DAY, timedelta(minutes=10), later)
    given.rows.clear()
    given.turn("b", -LATE_DAY * 24 * HOUR)
    given.save()
    assert counted(given, LATE_DAY) == (1, 1)
    arrived = int((later - timedelta(minutes=5)).timestamp() * 1e9)
    day = (DAY.start - timedelta(days=LATE_DAY)).date()
    store.command(f"INSERT INTO touched VALUES ('{day}', {arrived})")
    assert counted(given, LATE_DAY) == (2, 2)


def test_what_was_broken_off_is_not_read_and_removed_later(
    given: Given, store: Store, rollup: Rollup
) -> None:
    """Rows of a generation that never ended count for nothing; ten minutes later they are gone."""
    given.turn("a", -BROKEN_DAY * 24 * HOUR)
    given.save()
    day = (DAY.start - timedelta(days=BROKEN_DAY)).date()
    rollup.keep(day)
    store.command(
        "INSERT INTO conversation_days SELECT * REPLACE (generation + 1 AS generation, 7 AS turns)"
        f" FROM conversation_days WHERE tenant = '{given.tenant}'"
    )
    store.command(
        "INSERT INTO rolled SELECT day, generation + 1, 0 FROM rolled"
        f" WHERE day = '{day}' ORDER BY generation DESC LIMIT 1"
    )
    assert counted(given, BROKEN_DAY) == (1, 1)
    now = datetime.now(UTC) + OUTDATED_AFTER + timedelta(seconds=1)
    Rollup(store, timedelta(0), lambda: now).forget_outdated()
    assert {row["turns"] for row in rows(given, "conversation_days")} == {1}
    assert counted(given, BROKEN_DAY) == (1, 1)


def test_what_is_erased_is_kept_nowhere(given: Given, rollup: Rollup) -> None:
    """One conversation of two, then all before a moment: from what is kept too."""
    given.turn("a", user_hash="ann")
    given.event("action", "a", 1)
    given.turn("b", user_hash="bob")
    given.save()
    rollup.refresh()
    assert Eraser(given.store, given.scope).user("ann").turns == 1
    left = rows(given, "conversation_days")
    assert [(row["conversation_id"], row["user_hash"], row["actions"]) for row in left] == [
        ("b", "bob", 0)
    ]
    tables = ("turn_days", "intent_days", "turn_speeds", "quarter_hours", "slow_turns")
    assert [row for table in tables for row in rows(given, table)] == []
    assert counted(given) == (1, 1)
    rollup.refresh()
    assert counted(given) == (1, 1)
    for table in tables:
        assert len(rows(given, table)) == 1
    Eraser(given.store, given.scope).before(at(24 * HOUR))
    assert rows(given, "conversation_days") == []
    assert counted(given) == (0, 0)


def test_what_is_left_of_a_conversation_when_its_first_day_is_erased_is_still_one(
    given: Given, rollup: Rollup
) -> None:
    """A turn each on three days, all kept, the first erased: one conversation of two turns.

    Once it is erased whole, nothing of it is left anywhere.
    """
    for day in range(3):
        given.turn("a", (day - 2) * 24 * HOUR, status="error")
    given.save()
    rollup.refresh()
    Eraser(given.store, given.scope).before(at(-36 * HOUR))
    window = replace(DAY, start=at(-3 * 24 * HOUR))
    for _ in range(2):
        told = overview(given.store, given.scope, window, NONE)
        assert (told.conversations, told.turns, told.engagement.turns) == (1, 2, 2)
        rollup.refresh()
    assert rows(given, "parted_days")
    Eraser(given.store, given.scope).conversation("a")
    for table in (
        "conversation_days", "parted_days", "parted_conversations", "turn_days", "intent_days",
        "turn_speeds", "quarter_hours", "failed_turns", "slow_turns",
    ):  # fmt: skip
        assert rows(given, table) == []


def test_another_tenant_of_the_same_day_is_kept_and_told_apart(
    given: Given, store: Store, rollup: Rollup
) -> None:
    """Two tenants with a conversation of the same id: each sees its own."""
    other = Given(store)
    for one, turns in ((given, 1), (other, 2)):
        for number in range(turns):
            one.turn("same", number)
        one.save()
    rollup.refresh()
    assert (counted(given), counted(other)) == ((1, 1), (1, 2))


def columns(store: Store, table: str) -> dict[str, str]:
    found = store.query(
        "SELECT name, type FROM system.columns WHERE database = currentDatabase()"
        " AND table = {table:String} AND NOT is_in_sorting_key",
        {"table": table},
    )
    return {row["name"]: row["type"] for row in found}


def test_the_tables_have_the_columns_that_are_worked_out(store: Store) -> None:
    """Names and types of what is kept are those of the store."""
    assert columns(store, "quarter_hours") == {
        name: PARTIALS[source][name].kind for source, names in SUMS.items() for name in names
    }
    assert columns(store, "conversation_days") == {
        "hash": "UInt128",
        **{
            name: partial.kind
            for part in (*KEPT.values(), KEPT_OF_BOTH)
            for name, partial in part.items()
        },
    }


def test_a_day_far_back_or_ahead_is_no_matter(given: Given, rollup: Rollup) -> None:
    """The first and the last day that the ingest takes."""
    for day in (FIRST, LAST):
        given.turn(f"of {day}", (midnight(day) - NOON).total_seconds())
    given.save()
    rollup.refresh()
    window = replace(
        DAY,
        start=datetime(1999, 1, 1, tzinfo=UTC),
        end=datetime(2100, 1, 1, tzinfo=UTC),
        now=datetime(2100, 1, 1, tzinfo=UTC),
    )
    assert overview(given.store, given.scope, window, NONE).conversations == 2
    assert [row["day"] for row in rows(given, "conversation_days")] == [FIRST]


def test_a_failure_is_logged_and_tried_again(
    given: Given,
    rollup: Rollup,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """While the store is away nothing is kept; then it is."""
    given.turn("a")
    given.save()

    def fail(*_: object) -> None:
        raise StoreUnavailableError("away")

    with monkeypatch.context() as broken:
        broken.setattr(given.store, "query", fail)
        assert rollup.refresh() == 0
    assert "answers are slower: away" in caplog.text
    assert rollup.refresh() > 0
    assert len(rows(given, "conversation_days")) == 1


def test_what_is_done_again_and_again_outlives_an_error(caplog: pytest.LogCaptureFixture) -> None:
    """The first time fails, whatever it is: it is logged, and the second time comes."""
    times: list[int] = []

    def act() -> None:
        times.append(1)
        if len(times) == 1:
            raise ZeroDivisionError("of ours")

    chore = Periodic("chore", 0.01, act)
    chore.start()
    until(lambda: len(times) > 1)
    chore.stop()
    assert "chore failed" in caplog.text
