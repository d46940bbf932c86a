"""What scheduled exports wrote, and of which rows."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Final

from otel_chat.server.access import EXPORT_CREATE
from otel_chat.server.figures.answers import Answer
from otel_chat.server.figures.conversation_rows import Selection, conversation_rows
from otel_chat.server.figures.filters import Filters
from otel_chat.server.figures.registry import query
from otel_chat.server.figures.sql import Query, moment
from otel_chat.server.figures.window import Window
from otel_chat.server.questions.exports import Export

if TYPE_CHECKING:
    from otel_chat.server.access import Scope
    from otel_chat.server.store import Store

_FIRST: Final = date(1970, 1, 1)


class File(Answer):
    """What was written last of a kind and a day."""

    kind: Export
    day: date
    fingerprint: str
    bytes: int
    digest: str
    as_of: datetime | None
    written_at: datetime


@query(EXPORT_CREATE)
def files(store: Store, scope: Scope, target: str) -> list[File]:
    """What was written last of each kind and day, the newest day first.

    Args:
        store: The store to ask.
        scope: What the caller may see; nothing, if not all tenants, as files hold all.
        target: Where to.
    """
    if scope.tenants is not None:
        return []
    rows = store.query(
        """
        SELECT kind, toInt32(day) AS number, fingerprint, bytes, digest, as_of,
            toUnixTimestamp64Nano(written_at) AS written_ns
        FROM export_files FINAL WHERE target = {target:String} ORDER BY number DESC, kind
        """,
        {"target": target},
    )
    return [
        File(
            kind=row["kind"],
            day=date.fromordinal(_FIRST.toordinal() + row["number"]),
            fingerprint=row["fingerprint"],
            bytes=row["bytes"],
            digest=row["digest"],
            as_of=datetime.fromisoformat(row["as_of"]) if row["as_of"] else None,
            written_at=moment(row["written_ns"]),
        )
        for row in rows
    ]


@query(EXPORT_CREATE)
def rows_by_day(store: Store, scope: Scope, window: Window) -> dict[date, list[str]]:
    """What tells whether the rows of a day changed: of each day in UTC how many, and a sum.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The days, and when it is asked what is settled.
    """
    found: dict[date, list[str]] = {}
    for number, sql in enumerate(_sources(store, scope, window)):
        statement, source = sql
        rows = statement.run(f"""
            SELECT number, count() AS many, sum(hash) AS total FROM {source} AS s
            GROUP BY number
        """)  # noqa: S608
        for row in rows:
            day = date.fromordinal(_FIRST.toordinal() + row["number"])
            told = found.setdefault(day, ["", "", ""])
            told[number] = f"{row['many']} {row['total']}"
    first, after = window.start.date(), window.end.date()
    return {day: told for day, told in found.items() if first <= day < after}


def _sources(store: Store, scope: Scope, window: Window) -> list[tuple[Query, str]]:
    turns, events, whole = (Query(store, scope) for _ in range(3))
    of_turns = turns.table(
        "turns",
        (
            "toInt32(toDate32(start)) AS number",
            "cityHash64(tenant, trace_id, span_id, version) AS hash",
        ),
        [turns.between("start", window.start, window.end)],
    )
    of_events = events.table(
        "events",
        (
            "toInt32(toDate32(time)) AS number",
            "cityHash64(tenant, name, uid, conversation_id, time) AS hash",
        ),
        [events.between("time", window.start, window.end)],
    )
    # On each day from its first turn to its last activity, as what is said of a turn or an event
    # may hang on its conversation; settled of itself as time goes by.
    rows = conversation_rows(
        whole, Selection(window, Filters()), "started_at", "last_at", "version", "settled"
    )
    length = "least(dateDiff('day', started_at, last_at, 'UTC'), 1000)"
    of_whole = f"""(
        SELECT arrayJoin(arrayMap(i -> toInt32(toDate32(started_at)) + i, range({length} + 1)))
            AS number, cityHash64(tenant, conversation_id, version, settled) AS hash
        FROM {rows}
    )"""  # noqa: S608
    return [(turns, of_turns), (events, of_events), (whole, of_whole)]
