"""Ids that live for ever, split by silences: each part is a conversation with an id of its own.

Where a gap is set, a turn that starts after a longer silence begins an episode. The first keeps
the id as it was sent; a later one is known by `id@START`, the start of its first turn. The tables
hold ids as they were sent: where they are read, `source` puts an episode's id in their place. So
whatever asks about conversations asks about episodes, and nothing else knows of them.
"""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

RAW: Final = "raw_conversation_id"
"""The column of a source that holds the id as it was sent, which is what the indexes know."""
_BEGUN_BY: Final = {"turns": "start", "events": "time"}
"""What belongs to the episode that had begun last, by the time that says so."""
_NOTED_BY: Final = {
    "conversation_marks": "tenant, conversation_id",
    "reviews": "tenant, conversation_id, reviewer",
    "sampled": "tenant, sample, conversation_id",
}
"""What colleagues noted of a conversation by the id that it had then, and its keys."""
_SECOND: Final = 1_000_000_000
_FORM: Final = "%Y%m%dT%H%M%S"
_START: Final = re.compile(r"(\d{8}T\d{6})\.(\d{9})Z")
_START_SQL: Final = r"@(\\d{8}T\\d{6}\\.\\d{9})Z$"
RAW_SQL: Final = f"replaceRegexpOne(conversation_id, '{_START_SQL}', '')"
"""SQL of the id as it was sent, out of the id of an episode."""
BEGUN_SQL: Final = (
    "ifNull(toUnixTimestamp64Nano(parseDateTime64BestEffortOrNull("
    f"extract(conversation_id, '{_START_SQL}'), 9, 'UTC')), 0)"
)
"""SQL of when it began, nanoseconds, out of the same; 0 for the first."""


def id_sql(row: str) -> str:
    """SQL of an episode's id.

    Args:
        row: What a row of `conversations` is named by.
    """
    episode = f"{row}.episode"
    begun = f"formatDateTime(fromUnixTimestamp64Nano({episode}, 'UTC'), '%Y%m%dT%H%i%S')"
    fraction = f"leftPad(toString({episode} % {_SECOND}), 9, '0')"
    named = f"concat({row}.conversation_id, '@', {begun}, '.', {fraction}, 'Z')"
    return f"if({episode} = 0, {row}.conversation_id, {named})"


@dataclass(frozen=True, slots=True)
class Episode:
    """An episode of an id.

    Args:
        raw: The id as it was sent.
        begun: The start of its first turn, nanoseconds; 0 for the first episode.

    Example:
        >>> later = Episode("c-1", 1_795_000_000_000_000_001)
        >>> later.id
        'c-1@20261118T110640.000000001Z'
        >>> Episode.of(later.id) == later
        True
        >>> Episode.of("c-1")
        Episode(raw='c-1', begun=0)
    """

    raw: str
    begun: int = 0

    @property
    def start(self) -> str | None:
        """Its start as its id tells it; None for the first episode."""
        if not self.begun:
            return None
        seconds, fraction = divmod(self.begun, _SECOND)
        return f"{time.strftime(_FORM, time.gmtime(seconds))}.{fraction:09}Z"

    @property
    def id(self) -> str:
        """The id that it is known by."""
        return f"{self.raw}@{self.start}" if self.begun else self.raw

    @classmethod
    def of(cls, known: str) -> Episode:
        """The episode that an id means; the first where it names none."""
        raw, _, start = known.rpartition("@")
        match = _START.fullmatch(start)
        if not raw or match is None:
            return cls(known)
        try:
            seconds = calendar.timegm(time.strptime(match[1], _FORM))
        except ValueError:
            return cls(known)
        return cls(raw, seconds * _SECOND + int(match[2]))


def source(table: str, texts: Iterable[str], *, once: bool) -> str | None:
    """What to read a table from so that its conversations are episodes; None for the table itself.

    Its columns are the table's, the id of the episode in place of the one that was sent, which is
    in a column of its own. What is asked of that, of tenants and of times reaches the index.

    Args:
        table: The table.
        texts: What is asked: a turn's or an event's episode is looked for only where it matters.
        once: Each row once.
    """
    final = " FINAL" if once else ""
    if table == "conversations":
        return named(f"conversations AS t{final}")
    if table in _BEGUN_BY:
        if not any("conversation_id" in text or text == "*" for text in texts):
            return None
        begun = f"toUnixTimestamp64Nano(t.{_BEGUN_BY[table]})"
        return _joined(f"{table} AS t{final}", "t.conversation_id", begun)
    if table in _NOTED_BY:
        read = f"SELECT *, {RAW_SQL} AS raw, {BEGUN_SQL} AS begun FROM {table}{final}"  # noqa: S608
        joined = _joined(f"({read}) AS t", "t.raw", "t.begun", "EXCEPT (raw, begun) ")
        # What was noted of episodes that are one since: the newest counts.
        newest = f"ORDER BY version DESC LIMIT 1 BY {_NOTED_BY[table]}"
        return f"(SELECT * FROM {joined} {newest})"  # noqa: S608
    return None


def named(rows: str) -> str:
    """Rows of `conversations`, each by the id of its episode.

    Args:
        rows: SQL of them, named `t`.
    """
    return (
        f"(SELECT t.* REPLACE ({id_sql('t')} AS conversation_id), t.conversation_id AS {RAW}"  # noqa: S608
        f" FROM {rows})"
    )


def _joined(rows: str, raw: str, at: str, less: str = "") -> str:
    # The key's column is asked for before versions are merged, as all of a row have the same.
    later = (
        f"(SELECT c.tenant AS tenant, c.conversation_id AS raw, c.episode AS begun,"  # noqa: S608
        f" {id_sql('c')} AS id FROM conversations AS c FINAL PREWHERE c.episode != 0)"
    )
    return (
        f"(SELECT t.* {less}REPLACE (if(e.id = '', {raw}, e.id) AS conversation_id),"  # noqa: S608
        f" {raw} AS {RAW} FROM {rows} ASOF LEFT JOIN {later} AS e"
        f" ON t.tenant = e.tenant AND {raw} = e.raw AND {at} >= e.begun)"
    )
