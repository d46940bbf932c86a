"""Erasing for good: a conversation, a user, or all that is older than it may be."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from otel_chat._common import time_bounds
from otel_chat._common.moments import first_of, nanoseconds
from otel_chat.errors import OtelChatError, QueryError
from otel_chat.server.episodes import BEGUN_SQL, RAW_SQL, Episode
from otel_chat.server.summaries.statements import KEYS, listed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otel_chat.server.access import Scope
    from otel_chat.server.store import Store

_log = logging.getLogger("otel_chat.server")

# Turns last: they say which spans and events there are, should one of these fail on the way.
TABLES: Final = ("spans", "events", "turns")
_NOTED: Final = ("conversation_marks", "reviews", "sampled")
"""What colleagues keep of a conversation goes with its last turn."""
TIMES: Final = {"spans": "start", "events": "time", "turns": "start", "metrics": "time"}
# Of these the first turns go now: the rows say so before they do, and keep the start.
_TURNS_ERASED: Final = """
SELECT * REPLACE (toUnixTimestamp64Nano(now64(9)) AS version, true AS turns_erased)
FROM conversations FINAL
WHERE NOT gone AND turns > 0 AND turn_at[1] < {ns:Int64}
  AND last_activity_at >= fromUnixTimestamp64Nano({ns:Int64}, 'UTC')
"""
# An id that lives on has no row of its episodes that are gone.
_EPISODES_GONE: Final = f"""
SELECT n.tenant AS tenant, n.about AS about
FROM (
  SELECT DISTINCT tenant, conversation_id AS about, {RAW_SQL} AS raw, {BEGUN_SQL} AS begun
  FROM {{table}} WHERE {{within}}
) AS n INNER JOIN (
  SELECT tenant, conversation_id AS raw, min(episode) AS first FROM conversations FINAL
  WHERE {{within}} GROUP BY tenant, raw HAVING first > 0
) AS e ON n.tenant = e.tenant AND n.raw = e.raw
WHERE n.begun < e.first
"""  # noqa: S608
# Their sums are still of turns that are gone, also after an erasure that broke off.
_SUMS_OLDER: Final = """
SELECT 'earlier', tenant, conversation_id, seen_from, seen_to, now64(9)
FROM conversations FINAL WHERE NOT gone AND turns_erased AND turns > 0 AND turn_at[1] < {ns:Int64}
"""


@dataclass(frozen=True, slots=True)
class Erased:
    """What was erased.

    Args:
        turns: Turns.
        spans: Spans inside them.
        events: Events.
    """

    turns: int
    spans: int
    events: int


def limit_of(text: str) -> datetime:
    """The moment before which is erased.

    Args:
        text: A moment of RFC 3339, or a day in UTC: its first moment.

    Raises:
        QueryError: If it is neither, or no time that anything stored can have.

    Example:
        >>> limit_of("2026-11-01").isoformat()
        '2026-11-01T00:00:00+00:00'
    """
    moment = first_of(text, "before")
    if not time_bounds.possible(nanoseconds(moment)):
        raise QueryError(f"'before' is {time_bounds.ALLOWED}.", field="before")
    return moment


class Eraser:
    """Erases within the tenants of a scope. What is sent again afterwards is there again.

    Args:
        store: The store.
        scope: Whose tenants may be touched.
        tenant: One of them, or None for all of them.
    """

    def __init__(self, store: Store, scope: Scope, tenant: str | None = None) -> None:
        self._store = store
        self._values: dict[str, Any] = {}
        self._within = "true"
        tenants = scope.tenants_of(tenant)
        if tenants is not None:
            self._values["tenants"] = sorted(tenants)
            self._within = "tenant IN {tenants:Array(String)}"

    def conversation(self, conversation_id: str) -> Erased:
        """Erases a conversation, whole: an id with all of its episodes, or one of a later one.

        Args:
            conversation_id: Its id.
        """
        self._values["id"] = conversation_id
        of_it = "conversation_id = {id:String}"
        conditions = {"turns": of_it, "events": of_it, "spans": of_it}
        episode = Episode.of(conversation_id)
        if self._store.rules.gap is None or not episode.begun:
            return self._erase(conditions)
        self._values |= {"sent": episode.raw, "begun": episode.begun}
        later = (
            f"conversation_id = {{sent:String}} AND episode > {{begun:Int64}} AND {self._within}"
        )
        (row,) = self._store.query(
            f"SELECT min(episode) AS following FROM conversations FINAL WHERE {later}",  # noqa: S608
            self._values,
        )
        self._values["until"] = int(row["following"]) or time_bounds.LATEST + 1
        erased = self._erase(
            {
                table: f"({of_it}) OR (conversation_id = {{sent:String}} AND"
                f" toUnixTimestamp64Nano({TIMES[table]}) >= {{begun:Int64}}"
                f" AND toUnixTimestamp64Nano({TIMES[table]}) < {{until:Int64}})"
                for table in TABLES
            }
        )
        for table in _NOTED:
            self._delete(table, of_it)
        return erased

    def user(self, user_hash: str) -> Erased:
        """Erases all conversations in which a user took part.

        Args:
            user_hash: The hash of the user's id, as it is stored.
        """
        self._values["user"] = user_hash
        theirs = (
            "(tenant, conversation_id) IN (SELECT tenant, conversation_id FROM turns"  # noqa: S608
            f" WHERE user_hash = {{user:String}} AND conversation_id != '' AND {self._within})"
        )
        own = f"user_hash = {{user:String}} OR {theirs}"
        conditions = {"turns": own, "events": own, "spans": theirs}
        return self._erase(conditions)

    def before(self, moment: datetime) -> Erased:
        """Erases all that began before a moment, the applications' own metrics among it.

        Args:
            moment: With its time zone.
        """
        self._values["ns"] = nanoseconds(moment)
        old = {
            table: f"{column} < fromUnixTimestamp64Nano({{ns:Int64}}, 'UTC')"
            for table, column in TIMES.items()
        }
        self._delete("metrics", old["metrics"])
        self._store.command(
            f"INSERT INTO conversations {_TURNS_ERASED} AND {self._within}", self._values
        )
        conditions = {table: old[table] for table in TABLES}
        self._delete(
            "conversations", "last_activity_at < fromUnixTimestamp64Nano({ns:Int64}, 'UTC')"
        )
        self._delete("unclaimed_spans", old["spans"])
        erased = self._erase(conditions, by_trace=False)
        self._store.command(
            f"INSERT INTO touched_keys (queue, tenant, key, first, last, at) {_SUMS_OLDER}"
            f" AND {self._within}",
            self._values,
        )
        return erased

    def _erase(self, conditions: Mapping[str, str], *, by_trace: bool = True) -> Erased:
        if by_trace:
            turns = f"FROM turns WHERE ({conditions['turns']}) AND {self._within}"
            inside = f"(tenant, trace_id) IN (SELECT tenant, trace_id {turns})"
            # Log records that tell of a span name no conversation.
            unnamed = (
                "conversation_id = '' AND (tenant, hex(trace_id)) IN"
                f" (SELECT tenant, hex(trace_id) {turns})"
            )
            conditions = {
                **conditions,
                "spans": f"({conditions['spans']}) OR {inside}",
                "events": f"({conditions['events']}) OR ({unnamed})",
            }
        settled = self._settled_of(conditions) if by_trace else []
        erased = Erased(**{table: self._delete(table, conditions[table]) for table in TABLES})
        for table in _NOTED:
            self._forget_noted(table, "conversation_id", "conversation_id")
        self._forget_noted("theme_states", "trace_id", "lower(hex(trace_id))")
        if settled:
            self._settle_again(settled)
        return erased

    def _settled_of(self, conditions: Mapping[str, str]) -> list[dict[str, Any]]:
        """The conversations of which turns or events are erased."""
        return self._store.query(
            " UNION DISTINCT ".join(
                f"SELECT tenant, conversation_id FROM {table}"  # noqa: S608
                f" WHERE ({conditions[table]}) AND conversation_id != '' AND {self._within}"
                for table in ("turns", "events")
            ),
            self._values,
        )

    def _settle_again(self, settled: Sequence[Mapping[str, Any]]) -> None:
        """Erases the rows of conversations; those of which something is left are worked out anew.

        Last, for the settler may have read their turns just before they went.
        """
        self._values["settled_tenants"] = [row["tenant"] for row in settled]
        self._values["settled"] = [row["conversation_id"] for row in settled]
        settled_keys = listed(
            tenant="{settled_tenants:Array(String)}", id="{settled:Array(String)}"
        )
        self._delete("conversations", f"(tenant, conversation_id) IN {settled_keys}")
        self._delete("touched_keys", f"(tenant, key) IN {settled_keys}", once=False)
        left = " UNION ALL ".join(
            f"SELECT tenant, conversation_id, {TIMES[table]} AS seen FROM {table}"  # noqa: S608
            f" WHERE (tenant, conversation_id) IN {settled_keys} AND {self._within}"
            for table in ("turns", "events")
        )
        self._store.command(
            "INSERT INTO touched_keys (queue, tenant, key, first, last, at)"  # noqa: S608
            " SELECT 'earlier', tenant, conversation_id, min(seen), max(seen), now64(9)"
            f" FROM ({left}) GROUP BY tenant, conversation_id",
            self._values,
        )

    def _forget_noted(self, table: str, column: str, of_turns: str) -> None:
        """Erases what was noted about conversations, or turns, of which no turn is left.

        Args:
            table: Where it is noted.
            column: What it is noted about.
            of_turns: The same of a turn.
        """
        noted = f"SELECT tenant, {column} AS about FROM {table} WHERE {self._within}"  # noqa: S608
        there = (
            f"SELECT tenant, {of_turns} AS about FROM turns WHERE about IN"  # noqa: S608
            f" (SELECT {column} FROM {table} WHERE {self._within}) AND {self._within}"
        )
        orphans = self._store.query(f"{noted} EXCEPT DISTINCT {there}", self._values)
        alive = self._with_turns(orphans)
        orphans = [row for row in orphans if _sent(row) not in alive]
        if self._store.rules.gap is not None and table in _NOTED:
            gone = _EPISODES_GONE.replace("{table}", table).replace("{within}", self._within)
            orphans += self._store.query(gone, self._values)
        if orphans:
            self._values["orphan_tenants"] = [row["tenant"] for row in orphans]
            self._values["orphans"] = [row["about"] for row in orphans]
            orphan_keys = listed(
                tenant="{orphan_tenants:Array(String)}", about="{orphans:Array(String)}"
            )
            self._delete(table, f"(tenant, {column}) IN {orphan_keys}")

    def _with_turns(self, noted: Sequence[Mapping[str, Any]]) -> set[tuple[str, str]]:
        """The ids that there are turns of, of those that something was noted about as episodes."""
        episodes = [_sent(row) for row in noted if Episode.of(row["about"]).begun]
        if not episodes:
            return set()
        tenants, ids = (list(them) for them in zip(*episodes, strict=True))
        rows = self._store.query(
            "SELECT DISTINCT tenant, conversation_id FROM turns"  # noqa: S608
            f" WHERE (tenant, conversation_id) IN {KEYS}"
            " AND conversation_id IN {ids:Array(String)}",
            {"tenants": tenants, "ids": ids},
        )
        return {(row["tenant"], row["conversation_id"]) for row in rows}

    def _delete(self, table: str, condition: str, *, once: bool = True) -> int:
        where = f"({condition}) AND {self._within}"
        (row,) = self._store.query(
            f"SELECT count() AS found FROM {table} {'FINAL' if once else ''} WHERE {where}",  # noqa: S608
            self._values,
        )
        if row["found"]:
            self._store.command(
                f"ALTER TABLE {table} DELETE WHERE {where} SETTINGS mutations_sync = 2",
                self._values,
            )
        return int(row["found"])


def forget_old(store: Store, scope: Scope, days: float) -> None:
    """Erases what is older than it may be; a failure is logged, and tried again the next time.

    Args:
        store: The store.
        scope: Whose tenants may be touched.
        days: How old it may be.
    """
    try:
        erased = Eraser(store, scope).before(datetime.now(UTC) - timedelta(days=days))
    except OtelChatError as error:
        _log.warning("What is older than %g days could not be erased: %s", days, error)
    else:
        if erased.turns or erased.events or erased.spans:
            _log.info("Erased what is older than %g days: %s", days, erased)


def _sent(noted: Mapping[str, Any]) -> tuple[str, str]:
    """The tenant and the id as it was sent of what something was noted about."""
    return noted["tenant"], Episode.of(noted["about"]).raw
