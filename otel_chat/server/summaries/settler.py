"""Keeps one row for each conversation, up to date with its turns and events.

Views note in `touched_keys` what an insert has touched. The settler works out the rows of these
conversations again, whole, from all of their turns and events: so nothing is added up, a body that
comes twice changes nothing, and what was done when the process ended is done once more.

`at`, by which touches are found, is taken when an insert begins and seen when it ends. So the last
two minutes are looked at again, for inserts that were not seen the last time.
"""

from __future__ import annotations

import logging
import threading
import time
from bisect import bisect_left
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final, Literal

from prometheus_client.core import GaugeMetricFamily

from otel_chat.errors import OtelChatError
from otel_chat.server.summaries.derived_turns import DerivedTurns
from otel_chat.server.summaries.statements import KEYS, conversations_sql, in_parts
from otel_chat.server.summaries.turn_prices import price_turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from prometheus_client.metrics_core import Metric

    from otel_chat.server.prices import ServerPrices
    from otel_chat.server.span_rules import Rule
    from otel_chat.server.store import Store
    from otel_chat.server.summaries.lease import Lease

_log = logging.getLogger("otel_chat.server")

Queue = Literal["trace", "recent", "earlier"]
QUEUES: Final[tuple[Queue, ...]] = ("trace", "recent", "earlier")
"""Traces come first, as their turns touch conversations. Of these, what ended more than two days
ago waits by itself: late data does not hold up today's."""
BATCH: Final = 2000
"""Conversations that are worked out by one statement."""
SLICE: Final = 4000
"""Touches that are looked at before the mark moves on."""
SLICE_INSERTS: Final = 2000
MOST_INSERTS: Final = 100_000
"""Inserts that are looked at to find the next slice: more than come within `INSERT_NS`."""
INSERT_NS: Final = 120 * 10**9
"""How long an insert may take, from when its `at` is taken to when it is seen."""
HOUR_NS: Final = 3600 * 10**9
RECENT_NS: Final = 48 * HOUR_NS
REST_SECONDS: Final = 10.0
"""The longest rest between two batches: less than a lease lasts."""
ASK_SECONDS: Final = 0.5
"""How often it is asked meanwhile how long to rest."""
AS_OF: Final = "as_of"
"""The mark that says up to when all is settled."""
RULES: Final = "rules: "
"""Before the name of rules: the mark of the rebuild that they asked for. The latest is in force."""

ANEW_NS: Final = 10**8
"""Within this after their mark lie the touches of a rebuild: a microsecond for each day back."""
# The second condition is what the partitions are known by.
_AFTER_MARKS: Final = (
    "at > fromUnixTimestamp64Nano(multiIf(queue = 'trace', {trace:Int64}, queue = 'recent',"
    " {recent:Int64}, {earlier:Int64}), 'UTC') AND"
    " at > fromUnixTimestamp64Nano(least({trace:Int64}, {recent:Int64}, {earlier:Int64}), 'UTC')"
)
_WAITING: Final = f"""
SELECT toUnixTimestamp64Nano(min(at)) AS oldest, toUnixTimestamp64Nano(now64(9)) AS now,
  countIf(queue != 'trace') AS conversations,
  countIf(queue = 'earlier'
    AND toUnixTimestamp64Nano(at) - {{anew:Int64}} BETWEEN 0 AND {ANEW_NS}) AS anew
FROM touched_keys WHERE {_AFTER_MARKS}
"""  # noqa: S608
_INSERTS: Final = f"""
SELECT queue, toUnixTimestamp64Nano(at) AS ns, count() AS keys FROM touched_keys
WHERE {_AFTER_MARKS} GROUP BY queue, at ORDER BY at LIMIT {{limit:UInt32}} BY queue
"""  # noqa: S608
_FRESH: Final = (
    "queue = {queue:String} AND at >= fromUnixTimestamp64Nano({first:Int64}, 'UTC')"
    " AND at <= fromUnixTimestamp64Nano({last:Int64}, 'UTC')"
    " AND toUnixTimestamp64Nano(at) IN {fresh:Array(Int64)}"
)
# What was seen of a conversation before counts too: all of it is read, however old it is. Rows that
# are gone know it as well: of an id with events and no turn yet, there is no other.
_KEYS: Final = """
SELECT tenant, key, toUnixTimestamp64Nano(min(begun)) AS first,
  toUnixTimestamp64Nano(max(ended)) AS last
FROM (
  SELECT tenant, key, t.first AS begun, t.last AS ended FROM touched_keys AS t WHERE {fresh}
  UNION ALL
  SELECT tenant, conversation_id, seen_from, seen_to FROM conversations
  WHERE (tenant, conversation_id) IN (SELECT tenant, key FROM touched_keys WHERE {fresh})
)
GROUP BY tenant, key ORDER BY first DESC
""".replace("{fresh}", _FRESH)
_TRACES: Final = f"""
SELECT tenant, key, toUnixTimestamp64Nano(min(t.first)) AS first,
  toUnixTimestamp64Nano(max(t.last)) AS last
FROM touched_keys AS t WHERE {_FRESH} GROUP BY tenant, key ORDER BY first DESC
"""  # noqa: S608
# A row whose first turn moved to another day has another key; one without turns has no successor.
# Of two settlers the one that read later is right. A tombstone is erased with the row beneath.
# Where the turns were erased for their age, the row stays until its last activity is as old; but
# for an episode that is a part of another since.
_TOMBSTONES: Final = """
INSERT INTO conversations (tenant, day, conversation_id, episode, version, gone, seen_from, seen_to,
  last_activity_at)
SELECT tenant, day, conversation_id, episode, {version:UInt64} + 1, 1, seen_from, seen_to,
  last_activity_at
FROM (
  SELECT tenant, day, conversation_id, episode, version, seen_from, seen_to, last_activity_at,
    turns_erased, max(version) OVER (PARTITION BY tenant, conversation_id, episode) AS newest,
    maxIf(last_activity_at, version >= {version:UInt64}) OVER (
      PARTITION BY tenant, conversation_id ORDER BY started_at
    ) >= last_activity_at AS joined
  FROM conversations FINAL
  WHERE (tenant, conversation_id) IN {keys}
    AND conversation_id IN {ids:Array(String)}
) WHERE version < if(turns_erased AND NOT joined, newest, greatest(newest, {version:UInt64}))
""".replace("{keys}", KEYS)
# The newest day first: to the settler it is what was touched first.
_TOUCH_ALL: Final = """
INSERT INTO touched_keys (queue, tenant, key, first, last, at)
SELECT 'earlier', tenant, key, min(begun), max(ended),
  fromUnixTimestamp64Nano({began:Int64}, 'UTC')
    + toIntervalMicrosecond(greatest(0, dateDiff('day', max(ended), now64(9))))
FROM (
  SELECT tenant, conversation_id AS key, min(start) AS begun, max(start) AS ended
  FROM turns WHERE conversation_id != '' GROUP BY tenant, key
  UNION ALL
  SELECT tenant, conversation_id AS key, min(time) AS begun, max(time) AS ended
  FROM events WHERE conversation_id != '' GROUP BY tenant, key
)
GROUP BY tenant, key
"""


@dataclass(frozen=True, slots=True)
class State:
    """How far the rows of conversations are.

    Args:
        as_of: Up to when what was stored is in them; nothing before the first run.
        rules: The name of the rules that all of them are of; nothing while some are of others.
    """

    as_of: datetime | None
    rules: str | None


def _moment(nanoseconds: int | None) -> datetime | None:
    if nanoseconds is None:
        return None
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=nanoseconds // 1000)


def _in_force(marks: Mapping[str, int]) -> str:
    """The mark of the rules that a rebuild was last asked for by; empty without any."""
    return max(
        (name for name in marks if name.startswith(RULES)), key=marks.__getitem__, default=""
    )


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is on disk and in no conversation's row yet.

    Args:
        seconds: How long the oldest insert of it has been on disk.
        conversations: How many have to be worked out; one that two inserts touched counts twice.
        anew: Whether all of them are, which a new release or rule asks for.
    """

    seconds: float
    conversations: int
    anew: bool

    @property
    def notice(self) -> str | None:
        """What somebody who looks at figures meanwhile has to know.

        Example:
            >>> Waiting(2.0, 30, anew=True).notice
            'All conversations are being worked out anew. Until then their figures are incomplete.'
        """
        if not self.anew:
            return None
        return (
            "All conversations are being worked out anew. Until then their figures are incomplete."
        )


class Settler:
    """Keeps the rows of conversations; several of them at once do no harm.

    Args:
        store: The store.
        batch: Conversations that are worked out by one statement, from 1.
        lease: What says whether this one is to do it; None where nobody else does.
        prices: What turns cost that bring no cost; None leaves them unpriced.
        span_rules: What other libraries' spans mean that no convention says.
        rests: How long to leave the machine to others after a batch, as a multiple of what that
            took; asked after each, and while it rests. It is given how many seconds the batch has
            waited; one of earlier days waits from when its turn came.
    """

    def __init__(
        self,
        store: Store,
        *,
        batch: int = BATCH,
        lease: Lease | None = None,
        prices: ServerPrices | None = None,
        span_rules: Sequence[Rule] = (),
        rests: Callable[[float], float] = lambda _: 0,
    ) -> None:
        self._store = store
        self._lease = lease
        self._batch = batch
        self._rests = rests
        self._rested = 0.0
        self._since = 0.0
        self._marks: dict[str, int] = {}
        self._prices = prices
        self._derived = DerivedTurns(store, prices, span_rules)
        self._seen: dict[Queue, dict[int, int]] = {queue: {} for queue in QUEUES}
        self._running = threading.Lock()
        self._as_of: int | None = None
        self._forgot = 0
        self._named = ""
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Lets a run end after the statement at which it is."""
        self._stopped.set()

    def leave(self) -> None:
        """Lets another settler take over at once, when no run is left."""
        try:
            if self._lease is not None:
                self._lease.give_up()
        except OtelChatError as error:
            _log.warning("The settler's lease could not be given up, and runs out: %s", error)

    def run(self) -> None:
        """Works out what was touched since the last time.

        A failure is logged, and tried again the next time.
        """
        try:
            self.settle()
        except OtelChatError as error:
            _log.warning("Conversations could not be settled; figures are older: %s", error)

    def settle(self) -> int:
        """Works out what was touched since the last time.

        A store that an earlier release filled has none of its rows, and a rule that changed has
        all of them worked out anew; what is there meanwhile can be read.

        Returns:
            How many conversations were worked out.

        Raises:
            StoreError: If the store does not answer, or refuses.
        """
        with self._running:
            self._rested = time.monotonic()
            if not self._goes_on():
                return 0
            self._marks = self._read_marks()
            self._begin_rebuild()
            done, some = 0, 1
            while some and self._goes_on():
                began = self._now()
                some, left = self._round(began)
                done += some
                if not left:
                    self._all_settled(began)
            self._rest()
            return done

    def _round(self, began: int) -> tuple[int, bool]:
        """Works out a slice of each queue: none waits for the end of another, which may not come.

        Returns:
            How many conversations and traces, and whether something is left of what was touched
            before it began.
        """
        done, left = 0, False
        touched = self._touched()
        for queue in QUEUES:
            seen = self._seen[queue]
            waiting = [at for at, keys in sorted(touched[queue].items()) if seen.get(at) != keys]
            if not waiting:
                continue
            some, whole = self._settle_some(queue, touched[queue], waiting, began)
            done, left = done + some, left or not whole
            if queue == "trace":
                touched = self._touched()
        return done, left

    def _all_settled(self, began: int) -> None:
        """Notes as of when all is settled."""
        self._as_of = began
        if self._store.url.path is None:
            self._note(AS_OF, began)
        self._forget_touched(began)

    def state(self) -> State:
        """How far the rows are; every server of a served store says the same, whoever settles."""
        if self._store.url.path is not None:
            return State(_moment(self._as_of), self._store.rules.name if self._as_of else None)
        marks = self._read_marks()
        as_of, name = marks.get(AS_OF), _in_force(marks)
        done = as_of is not None and as_of >= marks.get(name, as_of + 1)
        return State(_moment(as_of), name.removeprefix(RULES) if done else None)

    def waiting(self) -> Waiting:
        """What is on disk and not in the rows."""
        marks = self._read_marks()
        (row,) = self._store.query(
            _WAITING,
            {queue: marks.get(queue, 0) for queue in QUEUES}
            | {"anew": marks.get(_in_force(marks), 0)},
        )
        oldest = int(row["oldest"])
        return Waiting(
            seconds=(int(row["now"]) - oldest) / 1e9 if oldest else 0.0,
            conversations=int(row["conversations"]),
            anew=int(row["anew"]) > 0,
        )

    def _goes_on(self) -> bool:
        return not self._stopped.is_set() and (self._lease is None or self._lease.held())

    def _rest(self) -> None:
        ended = time.monotonic()
        taken = ended - self._rested
        while not self._stopped.is_set():
            behind = time.monotonic() - self._since
            rest = min(taken * self._rests(behind), REST_SECONDS)
            left = ended + rest - time.monotonic()
            if left <= 0:
                break
            self._stopped.wait(min(left, ASK_SECONDS))
        self._rested = time.monotonic()

    def _begin_rebuild(self) -> None:
        """Has all rows worked out anew where a server of other rules settled last."""
        rules = f"{RULES}{self._store.rules.name}"
        if _in_force(self._marks) != rules:
            began = self._now()
            self._store.command(_TOUCH_ALL, {"began": began})
            self._note(rules, began)

    def _settle_some(
        self, queue: Queue, touched: dict[int, int], waiting: list[int], began: int
    ) -> tuple[int, bool]:
        """Works out a slice of what waits; its mark moves on when all of the slice is done.

        Returns:
            How many were worked out, and whether that was all that waits.
        """
        mark = self._marks.get(queue, 0)
        seen = self._seen[queue]
        keys = list(accumulate(touched[at] for at in waiting))
        fresh = waiting[: min(bisect_left(keys, SLICE) + 1, SLICE_INSERTS)]
        self._since = time.monotonic()
        if queue != "earlier":
            self._since -= (began - fresh[0]) / 1e9
        done = 0
        for part in self._parts(queue, fresh, began - RECENT_NS):
            if not self._goes_on():
                return done, False
            if queue == "trace":
                self._derived.work_out(part, self._now())
            else:
                self._work_out(part)
            done += len(part)
            self._rest()
        self._seen[queue] = {
            at: touched[at] for at in (*seen, *fresh) if at in touched and at > mark - INSERT_NS
        }
        self._note(queue, max(mark, fresh[-1]))
        return done, fresh == waiting

    def _parts(self, queue: Queue, fresh: list[int], recent: int) -> Iterator[list[dict[str, Any]]]:
        """The conversations that inserts touched, in parts that lie near each other in time."""
        rows = self._store.query(
            _TRACES if queue == "trace" else _KEYS,
            {"queue": queue, "fresh": fresh, "first": fresh[0], "last": fresh[-1]},
        )
        for kind in (True, False):
            near = (row for row in rows if (int(row["first"]) >= recent) is kind)
            yield from in_parts(near, lambda row: len(row["tenant"]) + len(row["key"]), self._batch)

    def _work_out(self, part: list[dict[str, Any]]) -> None:
        """Writes the rows of some conversations."""
        bound = {
            "tenants": [row["tenant"] for row in part],
            "ids": [row["key"] for row in part],
            "first": min(int(row["first"]) for row in part),
            "last": max(int(row["last"]) for row in part),
            "version": (version := self._now()),
        }
        if self._prices is not None:
            price_turns(self._store, self._prices, bound, version)
        columns, rows = self._columns(), conversations_sql(self._store.rules)
        self._store.command(
            f"INSERT INTO conversations ({columns}) SELECT {columns} FROM ({rows})",  # noqa: S608
            bound,
        )
        self._store.command(_TOMBSTONES, bound)

    def _columns(self) -> str:
        """The columns of a row, by name, as an INSERT would take them by their place."""
        if not self._named:
            rows = self._store.query(
                "SELECT name FROM system.columns WHERE database = currentDatabase()"
                " AND table = 'conversations' ORDER BY position"
            )
            self._named = ", ".join(f"`{row['name']}`" for row in rows)
        return self._named

    def _now(self) -> int:
        (row,) = self._store.query("SELECT toUnixTimestamp64Nano(now64(9)) AS now")
        return int(row["now"])

    def _read_marks(self) -> dict[str, int]:
        rows = self._store.query("SELECT name, mark FROM settled FINAL")
        return {row["name"]: int(row["mark"]) for row in rows}

    def _note(self, name: str, mark: int) -> None:
        self._store.command(
            "INSERT INTO settled (name, mark, at)"
            " SELECT {name:String}, {mark:Int64}, toUnixTimestamp64Nano(now64(9))",
            {"name": name, "mark": mark},
        )
        self._marks[name] = mark

    def _touched(self) -> dict[Queue, dict[int, int]]:
        """By queue, when inserts touched something that may not be settled, and how many keys."""
        rows = self._store.query(
            _INSERTS,
            {queue: max(self._marks.get(queue, 0) - INSERT_NS, 0) for queue in QUEUES}
            | {"limit": MOST_INSERTS},
        )
        touched: dict[Queue, dict[int, int]] = {queue: {} for queue in QUEUES}
        for row in rows:
            touched[row["queue"]][int(row["ns"])] = int(row["keys"])
        return touched

    def _forget_touched(self, settled: int) -> None:
        """Drops the hours of touches that are settled, once an hour."""
        hour = (settled - INSERT_NS) // HOUR_NS * HOUR_NS
        if hour <= self._forgot:
            return
        for queue in QUEUES:
            self._note(queue, max(self._marks.get(queue, 0), settled))
        rows = self._store.query(
            "SELECT DISTINCT _partition_id AS id FROM touched_keys"
            " WHERE at < fromUnixTimestamp64Nano({hour:Int64}, 'UTC')",
            {"hour": hour},
        )
        local = f"touched_keys{'_local' if self._store.url.cluster else ''}"
        for row in rows:
            self._store.command(f"ALTER TABLE {local} DROP PARTITION ID {{id:String}}", row)
        self._forgot = hour


class SettlerCollector:
    """What the settler says of itself at `/metrics`.

    Args:
        settler: Which.
    """

    def __init__(self, settler: Settler) -> None:
        self._settler = settler

    def describe(self) -> Iterator[Metric]:
        """Its metrics, without a question to the store."""
        yield self._family()

    def collect(self) -> Iterator[Metric]:
        """Its metrics; none while the store does not answer."""
        family = self._family()
        try:
            family.add_metric((), self._settler.waiting().seconds)
        except OtelChatError:
            return
        yield family

    @staticmethod
    def _family() -> GaugeMetricFamily:
        return GaugeMetricFamily(
            "otel_chat_server_settler_lag_seconds",
            "How long the oldest insert waits that is in no conversation's row yet.",
        )
