"""The one way from a query to a table: scope, window and bound values are put in here."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from otel_chat._common.moments import nanoseconds
from otel_chat.server import episodes
from otel_chat.server.episodes import Episode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from otel_chat.server.access import Scope
    from otel_chat.server.figures.window import Window
    from otel_chat.server.store import Store

Table = Literal[
    "turns",
    "spans",
    "events",
    "metrics",
    "conversations",
    "conversation_marks",
    "saved_views",
    "unclaimed_spans",
    "reports",
    "report_runs",
    "segments",
    "theme_states",
    "reviews",
    "rubrics",
    "samples",
    "sampled",
]
_MAY_BE_SYNTHETIC: Final = ("turns", "events")
SCALE: Final = 1_000_000_000
TRACE_DIGITS: Final = 32
"""Hexadecimal digits of the id of a trace."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Query:
    """A SELECT under construction.

    Tables are read through `table` only, which is where the tenants of the scope become a
    condition; values enter through `bind` only.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        synthetic: Whether synthetic turns and their events are seen: only where they are asked for
            by their id, as they are in no figure.
    """

    def __init__(self, store: Store, scope: Scope, *, synthetic: bool = False) -> None:
        self.store = store
        self.synthetic = synthetic
        self._scope = scope
        self.parameters: dict[str, Any] = {}

    def require(self, permission: str) -> None:
        """Refuse whoever may not do something.

        Args:
            permission: What it takes to ask this.

        Raises:
            AccessError: With status 403, if the scope has it not.
        """
        self._scope.require(permission)

    def again(self) -> Query:
        """Another SELECT of the same scope, with what this one knows, to be run beside it."""
        other = Query(self.store, self._scope, synthetic=self.synthetic)
        other.parameters = {**self.parameters}
        return other

    def bind(self, value: object, kind: str) -> str:
        """A placeholder for `value` of the store's type `kind`."""
        if isinstance(value, tuple):
            value = list(value)
        for name, known in self.parameters.items():
            same = type(known) is type(value) and known == value
            if same and name.endswith(f"_{_slug(kind)}"):
                return f"{{{name}:{kind}}}"
        name = f"p{len(self.parameters)}_{_slug(kind)}"
        self.parameters[name] = value
        return f"{{{name}:{kind}}}"

    def moment(self, value: datetime) -> str:
        """A placeholder for a time, exact to the microsecond."""
        return f"fromUnixTimestamp64Nano({self.bind(nanoseconds(value), 'Int64')}, 'UTC')"

    def between(self, column: str, start: datetime, end: datetime) -> str:
        """The condition that a time lies in [start, end)."""
        return f"{column} >= {self.moment(start)} AND {column} < {self.moment(end)}"

    def within(self, column: str, window: Window) -> str:
        """The condition that a time lies in a window."""
        inside = self.between(column, window.start, window.end)
        if window.gap is None:
            return inside
        return f"{inside} AND NOT ({self.between(column, *window.gap)})"

    def of_traces(self, traces: Iterable[str], table: Table) -> str:
        """The condition that a row is of one of these traces.

        Args:
            traces: Their hexadecimal digits, in any order.
            table: Where the row is: turns, spans or events.
        """
        # Of a turn or span an id has a length, as the ingest sees to; an event may say anything.
        known = {one for one in traces if table == "events" or len(one) == TRACE_DIGITS}
        digits = self.bind(sorted(known), "Array(String)")
        # A function of a list would be compared with one by one; what is selected becomes a set.
        # Of the column's own type: put into the other, an id that ends in zeros is another.
        one = f"unhex(arrayJoin({digits}))"
        kind = one if table == "events" else f"toFixedString({one}, 16)"
        return f"trace_id IN (SELECT {kind})"

    def table(
        self,
        name: Table,
        columns: Sequence[str],
        conditions: Iterable[str] = (),
        *,
        once: bool = True,
        alias: str = "",
    ) -> str:
        """What `select` returns, as a subquery."""
        return f"({self.select(name, columns, conditions, once=once, alias=alias)})"

    def select(
        self,
        name: Table,
        columns: Sequence[str],
        conditions: Iterable[str] = (),
        *,
        once: bool = True,
        alias: str = "",
    ) -> str:
        """A SELECT from a table as far as the scope reaches, each row once.

        Args:
            name: The table.
            columns: The columns to read, and no others, or SQL of them.
            conditions: What the rows must fulfil.
            once: Each row once; without, one that was sent again may come more often, which is
                faster where that does not matter.
            alias: What its columns can be named by, where others have their names.
        """
        real = ["NOT synthetic"] if name in _MAY_BE_SYNTHETIC and not self.synthetic else []
        wanted = [*self._tenants(), *real, *conditions]
        where = f" WHERE {' AND '.join(f'({one})' for one in wanted)}" if wanted else ""
        source = f"{name}{f' AS {alias}' if alias else ''}{' FINAL' if once else ''}"
        if self.store.rules.gap is not None:
            split = episodes.source(name, (*columns, *wanted), once=once)
            source = source if split is None else f"{split} AS {alias or 'read'}"
        return f"SELECT {', '.join(columns)} FROM {source}{where}"  # noqa: S608

    def sent_ids(self, ids: Iterable[str]) -> list[str]:
        """The ids by which turns and events of some conversations may have been sent.

        One may look as if it were an episode's, and be whole.
        """
        if self.store.rules.gap is None:
            return sorted(ids)
        return sorted({one for known in ids for one in (known, Episode.of(known).raw)})

    def of_ids(self, ids: Iterable[str]) -> list[str]:
        """The condition by which an index finds conversations of some ids, where those are split.

        It stands beside the condition that tells them.
        """
        if self.store.rules.gap is None:
            return []
        return [f"{episodes.RAW} IN {self.bind(self.sent_ids(ids), 'Array(String)')}"]

    def run(self, sql: str) -> list[dict[str, Any]]:
        """The rows of `sql`, with what is not a number as `None`."""
        rows = self.store.query(f"{sql} SETTINGS {self.store.question.sql()}", self.parameters)
        return [{name: _clean(value) for name, value in row.items()} for row in rows]

    def one(self, sql: str) -> dict[str, Any]:
        """The only row of `sql`, or an empty one."""
        rows = self.run(sql)
        return rows[0] if rows else {}

    def any(self, source: str) -> bool:
        """Whether a subquery has any row; the engine remembers where there is none.

        Args:
            source: Best read without `once`, which would look at every row each time.
        """
        return bool(self.run(f"SELECT 1 FROM {source} LIMIT 1"))  # noqa: S608

    def stream(self, sql: str, fmt: str) -> Iterator[bytes]:
        """What `sql` returns in one of the engine's formats, piece by piece."""
        return self.store.stream(sql, self.parameters, fmt=fmt)

    def _tenants(self) -> list[str]:
        if self._scope.tenants is None:
            return []
        return [f"tenant IN {self.bind(sorted(self._scope.tenants), 'Array(String)')}"]


def _slug(kind: str) -> str:
    return "".join(character for character in kind if character.isalnum())


def _clean(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    return value


def mean(value: str, condition: str | None = None) -> str:
    """SQL for a mean that does not depend on the order of the rows; null over none.

    The values are summed as whole billionths: a sum of floating point numbers would differ in
    its last digits with the order in which threads come by.

    Example:
        >>> mean("duration").endswith("/ nullIf(count(duration), 0) / 1000000000")
        True
    """
    return f"{total(value, condition)} / nullIf({counted(value, condition)}, 0) / {SCALE}"


def billionths(value: str) -> str:
    """SQL for a number as whole billionths.

    A null may hide any number, NaN too, which a plain conversion would stumble over.
    """
    return f"accurateCastOrNull(round(({value}) * {SCALE}), 'Int64')"


def total(value: str, condition: str | None = None) -> str:
    """SQL for a sum in whole billionths, which does not depend on the order of the rows."""
    scaled = billionths(value)
    return f"sumIf({scaled}, {condition})" if condition else f"sum({scaled})"


def counted(value: str, condition: str | None = None) -> str:
    """SQL for how many rows have the value."""
    return f"countIf({value} IS NOT NULL AND {condition})" if condition else f"count({value})"


def quantiles(value: str, levels: Sequence[float], how: Literal["", "State", "Merge"] = "") -> str:
    """SQL for exact quantiles, interpolated between the two values nearest to the rank.

    Args:
        value: SQL of a number, or of states.
        levels: From 0 to 1.
        how: `State` keeps what quantiles of parts need to be put together, which `Merge` does.

    Example:
        >>> quantiles("duration", (0.5, 0.95))
        'quantilesExactInclusive(0.5, 0.95)(duration)'
    """
    return f"quantilesExactInclusive{how}({', '.join(map(str, levels))})({value})"


def nanos(column: str) -> str:
    """SQL for a time as nanoseconds from the epoch, which every driver reads alike."""
    return f"toUnixTimestamp64Nano({column})"


def moment(value: int) -> datetime:
    """The time that is `value` nanoseconds from the epoch, to the microsecond.

    Example:
        >>> moment(1_000_005_999)
        datetime.datetime(1970, 1, 1, 0, 0, 1, 5, tzinfo=datetime.timezone.utc)
    """
    return _EPOCH + timedelta(microseconds=value // 1000)


def ratio(part: int | None, whole: int | None) -> float | None:
    """`part` by `whole`, or `None` where there is nothing to divide by.

    Example:
        >>> ratio(1, 4), ratio(0, 0)
        (0.25, None)
    """
    return None if not whole or part is None else part / whole
