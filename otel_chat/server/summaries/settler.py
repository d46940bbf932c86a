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
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, StrictUndefined
from prometheus_client.core import GaugeMetricFamily

from otel_chat import semconv
from otel_chat.errors import OtelChatError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client.metrics_core import Metric

    from otel_chat.server.store import Store

_log = logging.getLogger("otel_chat.server")

BATCH: Final = 10_000
"""Conversations that are worked out by one statement."""
EARLIER_BATCH: Final = 500
"""The same of those that began before yesterday: their turns lie apart, and are looked up."""
MOST_TURNS: Final = 1000
"""Turns, and steps, that stand in the arrays of a row."""
INSERT_NS: Final = 120 * 10**9
"""How long an insert may take, from when its `at` is taken to when it is seen."""
HOUR_NS: Final = 3600 * 10**9
DAY_NS: Final = 24 * HOUR_NS
RECENT_NS: Final = 2 * DAY_NS
TOUCHED: Final = "touched"
"""The mark up to which touches are settled."""
RULES: Final = "rules-1"
"""The mark of a rebuild, down from which all is worked out; a changed rule has another name."""
ALL_LEFT: Final = 2**63 - 1
NONE_LEFT: Final = -(2**63)

# Of each the rows and what is known of it: where a conversation has been seen before, all of it.
_KEYS: Final = """
SELECT tenant, key, min(first) AS seen_from, max(last) AS seen_to FROM (
  SELECT tenant, key, first, last FROM touched_keys WHERE {fresh}
  UNION ALL
  SELECT tenant, conversation_id, c.seen_from, c.seen_to FROM conversations AS c FINAL
  WHERE (tenant, conversation_id) IN (SELECT tenant, key FROM touched_keys WHERE {fresh})
) GROUP BY tenant, key
"""
_FRESH: Final = (
    "kind = 'conversation' AND at > fromUnixTimestamp64Nano({after:Int64}, 'UTC')"
    " AND at <= fromUnixTimestamp64Nano({until:Int64}, 'UTC')"
    " AND toUnixTimestamp64Nano(at) NOT IN {known:Array(Int64)}"
)
_PARTS: Final = f"""
SELECT seen_from >= fromUnixTimestamp64Nano({{recent:Int64}}, 'UTC') AS is_recent, count() AS keys,
  toUnixTimestamp64Nano(min(seen_from)) AS first, toUnixTimestamp64Nano(max(seen_to)) AS last
FROM ({_KEYS.replace("{fresh}", _FRESH)}) GROUP BY is_recent
"""  # noqa: S608
_PART: Final = f"""
SELECT tenant, key FROM ({_KEYS.replace("{fresh}", _FRESH)})
WHERE (seen_from >= fromUnixTimestamp64Nano({{recent:Int64}}, 'UTC')) = {{is_recent:Bool}}
  AND sipHash64(tenant, key) % {{parts:UInt32}} = {{part:UInt32}}
"""  # noqa: S608
_WITHIN: Final = (
    "conversation_id != '' AND start >= fromUnixTimestamp64Nano({day:Int64}, 'UTC')"
    " AND start < fromUnixTimestamp64Nano({day:Int64}, 'UTC') + INTERVAL 1 DAY"
)
_OF_DAY: Final = f"""
SELECT DISTINCT tenant, conversation_id FROM turns WHERE {_WITHIN}
  AND sipHash64(tenant, conversation_id) % {{parts:UInt32}} = {{part:UInt32}}
"""  # noqa: S608
# A conversation of which an earlier turn came has another day, and so another key.
_TOMBSTONES: Final = """
INSERT INTO conversations (tenant, day, conversation_id, episode, version, gone)
SELECT tenant, day, conversation_id, episode, {version:UInt64}, 1 FROM conversations FINAL
WHERE (tenant, conversation_id) IN ({keys}) AND (tenant, day, conversation_id, episode) NOT IN (
  SELECT tenant, argMax(day, c.version), conversation_id, episode FROM conversations AS c FINAL
  WHERE (tenant, conversation_id) IN ({keys}) AND (tenant, conversation_id) IN (
    SELECT tenant, conversation_id FROM turns
    WHERE (tenant, conversation_id) IN ({keys})
      AND start >= fromUnixTimestamp64Nano({first:Int64}, 'UTC')
      AND start <= fromUnixTimestamp64Nano({last:Int64}, 'UTC')
  )
  GROUP BY tenant, conversation_id, episode
)
"""


@cache
def _conversations_sql() -> str:
    source = files(__package__).joinpath("conversations.sql").read_text(encoding="utf-8")
    environment = Environment(undefined=StrictUndefined, autoescape=False)  # noqa: S701 - SQL
    return environment.from_string(source).render(n=semconv, most=MOST_TURNS)


class Settler:
    """Keeps the rows of conversations; several of them at once do no harm.

    Args:
        store: The store.
        batch: Conversations that are worked out by one statement, from 1.
    """

    def __init__(self, store: Store, *, batch: int = BATCH) -> None:
        self._store = store
        self._batch = batch
        self._seen: dict[int, int] = {}
        self._running = threading.Lock()
        self._rebuilt = False
        self._forgot = 0
        self._stopped = False

    def stop(self) -> None:
        """Lets a run end after the statement at which it is."""
        self._stopped = True

    def run(self) -> None:
        """Works out what was touched since the last time, then some of what a rebuild has left.

        A failure is logged, and tried again the next time.
        """
        try:
            self.settle()
            self.rebuild_some()
        except OtelChatError as error:
            _log.warning("Conversations could not be settled; figures are older: %s", error)

    def settle(self) -> int:
        """Works out what was touched since the last time.

        Returns:
            How many conversations.

        Raises:
            StoreError: If the store does not answer, or refuses.
        """
        with self._running:
            began = self._now()
            mark = self._mark(TOUCHED, 0)
            touched = self._touched(max(mark - INSERT_NS, 0))
            fresh = {at: keys for at, keys in touched.items() if self._seen.get(at) != keys}
            if not fresh:
                return 0
            known = sorted(touched.keys() - fresh.keys())
            done = self._settle_touched(min(fresh) - 1, max(fresh), known)
            if self._stopped:
                return done
            self._seen = {at: keys for at, keys in touched.items() if at > began - 2 * INSERT_NS}
            self._note(TOUCHED, max(mark, *fresh))
            self._forget_touched(mark)
            return done

    def rebuild_some(self) -> bool:
        """Works out the conversations of one more day, the newest first, once for all of them.

        A store that an earlier release filled has none of its rows, and a rule that changed has
        them all worked out anew; meanwhile the old ones are there to read.

        Returns:
            Whether there was anything left to do.
        """
        with self._running:
            until = NONE_LEFT if self._rebuilt else self._mark(RULES, ALL_LEFT)
            if until == NONE_LEFT:
                self._rebuilt = True
                return False
            (row,) = self._store.query(
                "SELECT toUnixTimestamp64Nano(max(start)) AS last FROM turns WHERE start"
                " < fromUnixTimestamp64Nano({until:Int64}, 'UTC') AND conversation_id != ''",
                {"until": until},
            )
            if not row["last"]:
                self._note(RULES, NONE_LEFT)
                return False
            day = int(row["last"]) // DAY_NS * DAY_NS
            self._rebuild_day(day)
            if not self._stopped:
                self._note(RULES, day)
            return True

    def lag(self) -> float:
        """How long the oldest insert that is not in the rows has been on disk, in seconds."""
        (row,) = self._store.query(
            "SELECT toUnixTimestamp64Nano(min(at)) AS oldest,"
            " toUnixTimestamp64Nano(now64(9)) AS now FROM touched_keys"
            " WHERE at > fromUnixTimestamp64Nano({mark:Int64}, 'UTC')",
            {"mark": self._mark(TOUCHED, 0)},
        )
        oldest = int(row["oldest"])
        return (int(row["now"]) - oldest) / 1e9 if oldest else 0.0

    def _rebuild_day(self, day: int) -> None:
        (row,) = self._store.query(
            f"SELECT uniq(tenant, conversation_id) AS found FROM turns WHERE {_WITHIN}",  # noqa: S608
            {"day": day},
        )
        parts = 1 + int(row["found"]) // self._batch
        for part in range(parts):
            if self._stopped:
                break
            self._work_out(_OF_DAY, {"day": day, "parts": parts, "part": part}, 0, ALL_LEFT)

    def _settle_touched(self, after: int, until: int, known: list[int]) -> int:
        values: dict[str, Any] = {
            "after": after,
            "until": until,
            "known": known,
            "recent": self._now() - RECENT_NS,
        }
        done = 0
        found = self._store.query(_PARTS, values)
        for group in sorted(found, key=lambda row: -int(row["is_recent"])):
            recent = bool(group["is_recent"])
            parts = 1 + int(group["keys"]) // (self._batch if recent else EARLIER_BATCH)
            for part in range(parts):
                if self._stopped:
                    return done
                chosen = {**values, "is_recent": recent, "parts": parts, "part": part}
                self._work_out(_PART, chosen, int(group["first"]), int(group["last"]))
            done += int(group["keys"])
        return done

    def _work_out(self, keys: str, values: Mapping[str, Any], first: int, last: int) -> None:
        """Writes the rows of some conversations, all of whose turns and events lie between."""
        bound = {**values, "version": self._now(), "first": first, "last": last}
        sql = (
            _conversations_sql()
            .replace("{keys}", keys)
            .replace("{version}", "{version:UInt64}")
            .replace("{seen_from}", "fromUnixTimestamp64Nano({first:Int64}, 'UTC')")
            .replace("{seen_to}", "fromUnixTimestamp64Nano({last:Int64}, 'UTC')")
        )
        self._store.command(sql, bound)
        self._store.command(_TOMBSTONES.replace("{keys}", keys), bound)

    def _now(self) -> int:
        (row,) = self._store.query("SELECT toUnixTimestamp64Nano(now64(9)) AS now")
        return int(row["now"])

    def _forget_touched(self, mark: int) -> None:
        """Drops the hours of touches that are settled, once an hour."""
        hour = (mark - INSERT_NS) // HOUR_NS * HOUR_NS
        if hour <= self._forgot:
            return
        rows = self._store.query(
            "SELECT DISTINCT _partition_id AS id FROM touched_keys"
            " WHERE at < fromUnixTimestamp64Nano({hour:Int64}, 'UTC')",
            {"hour": hour},
        )
        local = f"touched_keys{'_local' if self._store.url.cluster else ''}"
        for row in rows:
            self._store.command(f"ALTER TABLE {local} DROP PARTITION ID {{id:String}}", row)
        self._forgot = hour

    def _mark(self, name: str, without: int) -> int:
        found = self._store.query(
            "SELECT mark FROM settled FINAL WHERE name = {name:String}", {"name": name}
        )
        return int(found[0]["mark"]) if found else without

    def _note(self, name: str, mark: int) -> None:
        self._store.command(
            "INSERT INTO settled (name, mark, at)"
            " SELECT {name:String}, {mark:Int64}, toUnixTimestamp64Nano(now64(9))",
            {"name": name, "mark": mark},
        )

    def _touched(self, after: int) -> dict[int, int]:
        """When inserts touched something, and how many keys each."""
        rows = self._store.query(
            "SELECT toUnixTimestamp64Nano(at) AS ns, count() AS keys FROM touched_keys"
            " WHERE kind = 'conversation' AND at > fromUnixTimestamp64Nano({after:Int64}, 'UTC')"
            " GROUP BY at",
            {"after": after},
        )
        return {int(row["ns"]): int(row["keys"]) for row in rows}


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
            family.add_metric((), self._settler.lag())
        except OtelChatError:
            return
        yield family

    @staticmethod
    def _family() -> GaugeMetricFamily:
        return GaugeMetricFamily(
            "otel_chat_server_settler_lag_seconds",
            "How long the oldest insert waits that is in no conversation's row yet.",
        )
