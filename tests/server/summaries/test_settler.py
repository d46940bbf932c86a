"""One row a conversation, kept by the settler: it says what is worked out of turns and events."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given as generated
from hypothesis import strategies as st

from otel_chat.errors import StoreUnavailableError
from otel_chat.server.erase import Eraser
from otel_chat.server.rules import Rules
from otel_chat.server.summaries.settler import QUEUES, RULES, Queue, Settler
from tests.examples import examples
from tests.server.given import Given, at, insert
from tests.server.summaries.filled import fill

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_chat.server.store import Store
    from tests.server.settled import SettledStore


@pytest.fixture(autouse=True, scope="module")
def nothing_else_is_there(store: Store) -> None:
    """All of the store is settled anew again and again: what other tests sent would be too."""
    for table in ("turns", "events", "conversations"):
        store.command(f"TRUNCATE TABLE {table}")


@pytest.fixture(autouse=True)
def nothing_else_is_touched(store: SettledStore) -> Iterator[None]:
    """What other tests sent to the store is none of these tests' business."""
    with store.by_hand():
        store.command("TRUNCATE TABLE touched_keys")
        store.command(
            "INSERT INTO settled (name, mark, at) SELECT {name:String}, 1, 1",
            {"name": f"{RULES}{store.rules.name}"},
        )
        yield


def kept(given: Given) -> dict[str, dict[str, Any]]:
    """The settled rows of the tenant."""
    rows = given.store.query(
        "SELECT * FROM conversations FINAL WHERE tenant = {tenant:String}", {"tenant": given.tenant}
    )
    assert len({row["conversation_id"] for row in rows}) == len(rows)
    return {row["conversation_id"]: {**row, "version": 0} for row in rows}


def rebuilt(given: Given) -> dict[str, dict[str, Any]]:
    """The rows of the tenant when all of the store is settled anew."""
    given.store.command("TRUNCATE TABLE conversations")
    given.store.command("TRUNCATE TABLE touched_keys")
    given.store.command("TRUNCATE TABLE settled")
    Settler(given.store).settle()
    return kept(given)


def matches(row: dict[str, Any], **wanted: str) -> bool:
    """Whether one turn of the conversation has all of this."""
    return any(
        all(one[name] == value for name, value in wanted.items()) for one in row["combinations"]
    )


class Failing:
    """A store whose next statement of a kind fails, once."""

    def __init__(self, store: Store, kind: str) -> None:
        self._store = store
        self._kind: str | None = kind

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def command(self, sql: str, parameters: Any = None) -> object:
        """Fails, or passes it on."""
        if self._kind is not None and self._kind in sql:
            self._kind = None
            raise StoreUnavailableError("gone")
        return self._store.command(sql, parameters)


@generated(seed=st.integers(0, 2**32), batch=st.sampled_from((5, 1000)))
@examples(3, 60)
def test_rows_are_as_if_settled_at_once(store: Store, seed: int, batch: int) -> None:
    """Whatever was sent, in any order, in any parts, twice, and settled in between or not."""
    order = random.Random(seed)
    given = Given(store)
    fill(given, seed)
    rows = [*given.rows, *order.sample(given.rows, len(given.rows) // 10)]
    order.shuffle(rows)
    settler = Settler(store, batch=batch)
    while rows:
        cut = order.randint(1, 60)
        part, rows = rows[:cut], rows[cut:]
        for kind in ("turns", "events"):
            insert(store, kind, [row for table, row in part if table == kind])
        if order.random() < 0.3:
            settler.settle()
        if order.random() < 0.3:
            settler = Settler(store, batch=batch)
    settler.settle()
    assert kept(given) == rebuilt(given)


def test_an_earlier_turn_that_comes_late_moves_the_row(store: Store, given: Given) -> None:
    """The conversation is still one, and begins on the day of that turn."""
    given.turn("c", 0)
    given.save()
    settler = Settler(store)
    settler.settle()
    given.rows.clear()
    given.turn("c", -3 * 24 * 3600)
    given.turn("c", 6 * 24 * 3600)
    given.save()
    settler.settle()
    row = kept(given)["c"]
    assert (str(row["day"]), row["turns"]) == ("2026-11-07", 3)
    assert row["turn_at"] == sorted(row["turn_at"])


def test_events_that_are_settled_before_any_turn_are_not_lost(store: Store, given: Given) -> None:
    """A rating comes first and is settled; the turn that it belongs to comes later."""
    given.feedback(5, "c", 30)
    given.save()
    settler = Settler(store)
    settler.settle()
    assert kept(given) == {}
    given.rows.clear()
    given.turn("c", 0)
    given.save()
    settler.settle()
    assert kept(given)["c"]["scores"] == 1


def test_a_conversation_whose_only_turn_is_taken_back_has_no_row(
    store: Store, given: Given
) -> None:
    """A span that came later showed that it was none, as with other libraries."""
    turn = given.turn("c", version=1)
    given.save()
    settler = Settler(store)
    settler.settle()
    assert kept(given)["c"]["turns"] == 1
    given.rows[:] = [("turns", {**turn, "version": 2, "gone": 1})]
    given.save()
    settler.settle()
    assert kept(given) == {}


@pytest.mark.parametrize(
    ("marked", "moves", "counted"),
    [
        (True, ["requested"], 1),
        (False, ["accepted"], 1),
        (False, ["requested", "accepted", "ended"], 1),
        (False, ["requested", "accepted", "ended", "requested"], 2),
    ],
)
def test_a_handoff_is_one_whatever_tells_of_it(
    store: Store, given: Given, *, marked: bool, moves: list[str], counted: int
) -> None:
    """A marked turn and the request in it; its request, acceptance and end; each without others."""
    turn = given.turn(handoff=marked)
    for second, move in enumerate(moves):
        given.event(f"handoff.{move}", seconds=second, trace_id=turn["trace_id"])
    given.save()
    Settler(store).settle()
    assert kept(given)["c"]["handoffs"] == counted


@pytest.mark.parametrize(("annotated", "classified"), [(0, 1), (1, 1), (2, 2)])
def test_a_turn_that_was_annotated_counts_among_the_classified(
    store: Store, given: Given, annotated: int, classified: int
) -> None:
    """Once, also where it has an intent of its own."""
    turns = [given.turn(intent="order"), given.turn(seconds=60)]
    for turn in turns[:annotated]:
        ids = {name: turn[name] for name in ("trace_id", "span_id")}
        given.event("intent", seconds=600, source="annotation", intent="refund", **ids)
    given.save()
    Settler(store).settle()
    assert kept(given)["c"]["classified"] == classified


def test_an_insert_that_is_seen_late_is_settled(store: Store, given: Given) -> None:
    """Its touches are of before the mark, for they were written down when it began."""
    given.turn("c")
    given.save()
    settler = Settler(store)
    settler.settle()
    store.command(
        "INSERT INTO touched_keys (queue, tenant, key, first, last, at) SELECT 'earlier',"
        " {tenant:String}, 'late', now64(9), now64(9), now64(9) - INTERVAL 60 SECOND",
        {"tenant": given.tenant},
    )
    assert settler.settle() == 1
    assert settler.settle() == 0


@pytest.mark.parametrize("busy", QUEUES)
def test_telemetry_that_does_not_end_holds_up_nothing(
    store: Store, given: Given, busy: Queue
) -> None:
    """Whatever queue it comes to: conversations are settled meanwhile, and it is said as of when.

    It comes each time the settler rests.
    """
    given.turn("c")
    given.save()
    seen: list[tuple[bool, bool]] = []

    def comes(_: float) -> float:
        if len(seen) < 12:
            seen.append(("c" in kept(given), settler.state().as_of is not None))
            store.command(
                "INSERT INTO touched_keys (queue, tenant, key, first, last, at)"
                " SELECT {queue:String}, {tenant:String}, {key:String}, t, t, t"
                " FROM (SELECT now64(9) AS t)",
                {"queue": busy, "tenant": given.tenant, "key": f"{len(seen):032x}"},
            )
        return 0

    settler = Settler(store, rests=comes)
    settler.settle()
    assert seen[3:] == [(True, True)] * 9


def test_what_is_erased_has_no_row(store: Store, given: Given) -> None:
    """By conversation and by user; of what is left the row is worked out anew."""
    given.turn("gone", user_hash="ann")
    given.turn("left", user_hash="bob")
    given.turn("both", user_hash="ann")
    given.turn("both", 60, user_hash="bob")
    given.event("action", "left", 5, action="buy", user_hash="ann")
    given.save()
    settler = Settler(store)
    settler.settle()
    assert kept(given)["left"]["actions"] == 1
    Eraser(store, given.scope).user("ann")
    settler.settle()
    assert {name: row["actions"] for name, row in kept(given).items()} == {"left": 0}
    Eraser(store, given.scope).conversation("left")
    settler.settle()
    assert kept(given) == {}
    rows = store.query(
        "SELECT count() AS n FROM conversations WHERE tenant = {tenant:String}",
        {"tenant": given.tenant},
    )
    assert rows == [{"n": 0}]


def test_a_conversation_that_moved_is_one_after_old_ones_are_erased(
    store: Store, given: Given
) -> None:
    """What hides its former row is not old itself."""
    given.turn("old", -60 * 24 * 3600)
    given.turn("c")
    given.save()
    settler = Settler(store)
    settler.settle()
    given.rows.clear()
    given.turn("c", -3 * 24 * 3600)
    given.save()
    settler.settle()
    Eraser(store, given.scope).before(at(-30 * 24 * 3600))
    assert {name: row["turns"] for name, row in kept(given).items()} == {"c": 2}


DAY_SECONDS = 24 * 3600
OLD = at(-60 * DAY_SECONDS).replace(tzinfo=None)


def test_a_row_keeps_its_start_when_its_first_turns_are_erased(store: Store, given: Given) -> None:
    """It says that its sums are of what is still stored, and leaves with its last activity."""
    given.turn("c", -60 * DAY_SECONDS, cost="1")
    given.turn("c", -5 * DAY_SECONDS, cost="2")
    given.turn("new", -5 * DAY_SECONDS)
    given.save()
    settler = Settler(store)
    settler.settle()
    Eraser(store, given.scope).before(at(-30 * DAY_SECONDS))
    assert kept(given)["c"]["turns_erased"]
    settler.settle()
    assert kept(given)["c"]["turns"] == 1
    assert settler.settle() == 0
    given.rows.clear()
    given.turn("c", -4 * DAY_SECONDS, cost="4")
    given.save()
    Settler(store).settle()
    row = kept(given)["c"]
    assert (row["day"], row["started_at"]) == (OLD.date(), OLD)
    assert (row["turns"], row["cost"], row["turns_erased"]) == (2, 6, True)
    assert not kept(given)["new"]["turns_erased"]
    Eraser(store, given.scope).before(at(-3 * DAY_SECONDS))
    settler.settle()
    assert kept(given) == {}


def test_a_row_whose_turns_are_all_erased_stays_until_its_last_message(
    store: Store, given: Given
) -> None:
    """A human went on writing; what else arrives meanwhile makes it neither new nor gone."""
    given.turn("c", -60 * DAY_SECONDS)
    given.event("message", "c", -20 * DAY_SECONDS, sender="human")
    given.save()
    settler = Settler(store)
    settler.settle()
    Eraser(store, given.scope).before(at(-30 * DAY_SECONDS))
    settler.settle()
    given.rows.clear()
    given.feedback(5, "c", -19 * DAY_SECONDS)
    given.save()
    settler.settle()
    row = kept(given)["c"]
    assert (row["gone"], row["started_at"]) == (0, OLD)
    Eraser(store, given.scope).before(at(-10 * DAY_SECONDS))
    settler.settle()
    assert kept(given) == {}


def test_an_erasure_that_broke_off_is_made_up_for_by_the_next(store: Store, given: Given) -> None:
    """The turns were erased, and nothing was settled after that."""
    given.turn("c", -60 * DAY_SECONDS)
    given.turn("c", -5 * DAY_SECONDS)
    given.save()
    settler = Settler(store)
    settler.settle()
    broken = cast("Store", Failing(store, "INSERT INTO touched_keys"))
    with pytest.raises(StoreUnavailableError):
        Eraser(broken, given.scope).before(at(-30 * DAY_SECONDS))
    Eraser(store, given.scope).before(at(-30 * DAY_SECONDS))
    settler.settle()
    row = kept(given)["c"]
    assert (row["turns"], row["started_at"]) == (1, OLD)


def test_what_is_left_of_a_conversation_is_all_settled_again(store: Store, given: Given) -> None:
    """An event of a user is erased; a rating that came after the last turn is still there."""
    given.turn("c")
    given.event("action", "c", 5, action="buy", user_hash="ann")
    given.feedback(5, "c", 600)
    given.save()
    settler = Settler(store)
    settler.settle()
    Eraser(store, given.scope).user("ann")
    settler.settle()
    row = kept(given)["c"]
    assert (row["actions"], row["scores"]) == (0, 1)


def test_it_rests_between_batches_and_is_done_at_once_when_it_stops(
    store: Store, given: Given
) -> None:
    """How long is asked after each batch, and a rest ends with the settler."""
    given.turn("one")
    given.turn("two")
    given.save()
    asked: list[int] = []

    def rests(_: float) -> float:
        asked.append(1)
        settler.stop()
        return 1e9

    settler = Settler(store, batch=1, rests=rests)
    settler.settle()
    assert len(asked) == 1
    assert len(kept(given)) == 1


@pytest.mark.parametrize(("queue", "late"), [("recent", True), ("trace", True), ("earlier", False)])
def test_it_is_told_how_late_a_batch_is(
    store: Store, given: Given, queue: Queue, *, late: bool
) -> None:
    """So that it rests less where figures are behind; those of earlier days may be."""
    store.command(
        "INSERT INTO touched_keys (queue, tenant, key, first, last, at) SELECT {queue:String},"
        " {tenant:String}, '00', now64(9), now64(9), now64(9) - INTERVAL 60 SECOND",
        {"tenant": given.tenant, "queue": queue},
    )
    told: list[float] = []

    def rests(behind: float) -> float:
        told.append(behind)
        return 0

    Settler(store, rests=rests).settle()
    assert (told[0] >= 60) is late


@pytest.mark.parametrize("stopped", [False, True])
def test_lag_is_what_waits(store: Store, given: Given, *, stopped: bool) -> None:
    """It is nothing once all is settled."""
    settler = Settler(store)
    settler.settle()
    assert settler.waiting().seconds == 0
    given.turn("c")
    given.save()
    assert settler.waiting().seconds > 0
    if stopped:
        settler.stop()
        settler.settle()
        assert settler.waiting().seconds > 0
        settler = Settler(store)
    settler.settle()
    assert settler.waiting().seconds == 0


def test_touches_are_forgotten_hours_after_they_are_settled(store: Store, given: Given) -> None:
    """Not while they wait, however old; nor within the hour, where an insert may be seen late."""
    store.command(
        "ALTER TABLE settled DELETE WHERE name = {name:String} SETTINGS mutations_sync = 2",
        {"name": "earlier"},
    )
    for age in (3 * 3600, 0):
        store.command(
            "INSERT INTO touched_keys (queue, tenant, key, first, last, at) SELECT 'earlier',"
            " {tenant:String}, {key:String}, now64(9), now64(9), now64(9) - {age:UInt32}",
            {"tenant": given.tenant, "key": f"before {age}", "age": age},
        )

    def touched() -> list[str]:
        rows = store.query("SELECT key FROM touched_keys ORDER BY at")
        return [row["key"] for row in rows]

    settler = Settler(store)
    settler.stop()
    settler.settle()
    assert touched() == ["before 10800", "before 0"]
    Settler(store).settle()
    assert touched() == ["before 0"]


@pytest.mark.parametrize("kind", ["turn_at", "+ 1, 1, seen_from", "INSERT INTO settled"])
def test_a_run_that_failed_is_done_again(store: Store, given: Given, kind: str) -> None:
    """By another settler, long after: the mark is noted when the rows are written, not before."""
    Settler(store).settle()
    given.turn("c")
    given.turn("c", -5 * 24 * 3600)
    given.save()
    store.command("TRUNCATE TABLE touched_keys")
    store.command(
        "ALTER TABLE settled DELETE WHERE name = {name:String} SETTINGS mutations_sync = 2",
        {"name": "earlier"},
    )
    store.command(
        "INSERT INTO touched_keys (queue, tenant, key, first, last, at) SELECT 'earlier',"
        " tenant, conversation_id, start, start, now64(9) - INTERVAL 10 MINUTE FROM turns"
        " WHERE tenant = {tenant:String}",
        {"tenant": given.tenant},
    )
    Settler(cast("Store", Failing(store, kind))).run()
    again = Settler(store)
    assert again.waiting().seconds > 500
    again.settle()
    assert again.waiting().seconds == 0
    assert kept(given)["c"]["turns"] == 2


def test_a_threshold_that_changes_settles_all_anew(store: Store, given: Given) -> None:
    """There and back; until that is done nobody says that the rows are of the new rules."""
    given.turn(confidence=0.65)
    given.save()
    usual, told = store.rules, []
    try:
        for threshold in (0.6, 0.7):
            store.rules = Rules(threshold)
            settler = Settler(store)
            assert settler.state().rules != store.rules.name
            settler.settle()
            told.append((settler.state().rules, kept(given)["c"]["outcome"]))
    finally:
        store.rules = usual
    assert told == [
        ("version 2, low_confidence 0.6", "resolved"),
        ("version 2, low_confidence 0.7", "abandoned"),
    ]
