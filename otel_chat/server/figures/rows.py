"""Rows for exports: columns put into one of three formats, and streamed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Literal, get_args

from otel_chat.server.figures.cells import MARK, fitting, guarded
from otel_chat.server.figures.content import readable

if TYPE_CHECKING:
    from otel_chat.server.access import Scope
    from otel_chat.server.figures.sql import Query
    from otel_chat.server.figures.window import Window

Format = Literal["csv", "jsonl", "parquet"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)
_ENGINE: Final[dict[Format, str]] = {"csv": "CSV", "jsonl": "JSONEachRow", "parquet": "Parquet"}

_SPILL: Final = 256 * 1024 * 1024
_SETTINGS: Final = ", ".join(
    (
        "date_time_output_format = 'iso'",
        "format_csv_null_representation = ''",
        "output_format_json_quote_64bit_integers = 0",
        "output_format_json_quote_decimals = 1",
        "output_format_json_escape_forward_slashes = 0",
        # What has to be sorted or grouped goes to disk before it fills the memory.
        f"max_bytes_before_external_sort = {_SPILL}",
        f"max_bytes_before_external_group_by = {_SPILL}",
    )
)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of an export.

    Args:
        name: What it is called.
        sql: What it holds; its name without.
        kind: `text` was written by somebody, `list` is an array of such, `said` is a text that
            only readers of conversations get (empty for others), `flag` is true or false,
            `large` a whole number of up to 38 digits, `plain` is none of these.
    """

    name: str
    sql: str = ""
    kind: Literal["text", "list", "said", "flag", "large", "plain"] = "plain"

    def selected(self, form: Format, *, reads: bool) -> str:
        """SQL for the column.

        Example:
            >>> Column("turns").selected("csv", reads=False)
            'turns AS `out_turns`'
            >>> Column("text", kind="said").selected("jsonl", reads=False)
            'CAST(NULL AS Nullable(String)) AS `out_text`'
        """
        value = self.sql or self.name
        if self.kind == "said":
            value = f"nullIf({value}, '')" if reads else "CAST(NULL AS Nullable(String))"
        elif self.kind == "text":
            value = f"toString({value})"
        elif self.kind == "flag":
            value = f"CAST({value} AS Nullable(Bool))"
        elif self.kind == "large" and form == "parquet":
            value = f"toDecimal128({value}, 0)"
        elif self.kind == "list" and form == "csv":
            value = f"toJSONString({value})"
        # Another name than any column's: an alias would stand for the column in its neighbours.
        return f"{value} AS `out_{self.name}`"

    def guarded(self, form: Format) -> str:
        """SQL for the column as a cell may hold it, from what was selected.

        Example:
            >>> Column("turns").guarded("csv")
            '`out_turns` AS `cell_turns`'
        """
        value = f"`out_{self.name}`"
        return f"{guarded(value) if self._is_cell(form) else value} AS `cell_{self.name}`"

    def shown(self, form: Format) -> str:
        """SQL for the column as it is written, from what was guarded.

        Example:
            >>> Column("turns").shown("csv")
            '`cell_turns` AS `turns`'
        """
        value = f"`cell_{self.name}`"
        return f"{fitting(value) if self._is_cell(form) else value} AS `{self.name}`"

    def _is_cell(self, form: Format) -> bool:
        return form == "csv" and self.kind in {"text", "said", "list"}


def texts(*names: str) -> tuple[Column, ...]:
    """Columns of text, each of its own name."""
    return tuple(Column(name, kind="text") for name in names)


def plain(*names: str) -> tuple[Column, ...]:
    """Columns of numbers, times and so on, each of its own name."""
    return tuple(Column(name) for name in names)


def renamed(columns: Sequence[Column], **names: str) -> tuple[Column, ...]:
    """Some columns under other names.

    Args:
        columns: Those that there are.
        names: What a column is called from now on, and what it was.

    Example:
        >>> renamed(plain("turns"), total="turns")[0].selected("csv", reads=False)
        'turns AS `out_total`'
    """
    known = {column.name: column for column in columns}
    return tuple(
        replace(known[old], name=new, sql=known[old].sql or old) for new, old in names.items()
    )


def in_turn(
    window: Window, pieces: int, form: Format, ask: Callable[[Window], Iterator[bytes]]
) -> Iterator[bytes]:
    """The rows of one piece of a window after those of another, so that memory stays flat.

    Args:
        window: The span of time.
        pieces: Into how many to cut it.
        form: How they are written: not one that has a footer.
        ask: Gives the rows of a span of time, in the order of it; for CSV with their names.
    """
    ends = [window.start + window.length * number / pieces for number in range(pieces)]
    for number, (start, end) in enumerate(pairwise([*ends, window.end])):
        rows = ask(replace(window, start=start, end=end))
        if form == "csv" and number:
            next(rows)  # the names again
        yield from rows


def stream(
    query: Query,
    scope: Scope,
    source: str,
    columns: Sequence[Column],
    order: Sequence[str],
    form: Format,
) -> Iterator[bytes]:
    """The rows of a source in one of the formats, piece by piece.

    Args:
        query: The SELECT under construction, whose values `source` binds.
        scope: What the caller may see.
        source: Where the rows come from: what follows FROM.
        columns: What to take of them.
        order: What they are sorted by, in order.
        form: How they are written.
    """
    reads = readable(scope)
    selected = ", ".join(column.selected(form, reads=reads) for column in columns)
    cells = ", ".join(column.guarded(form) for column in columns)
    named = ", ".join(column.shown(form) for column in columns)
    # Each by itself: the engine knows the order in which rows lie, but not a tuple of it.
    keys = "".join(f", {key} AS `order_{place}`" for place, key in enumerate(order))
    places = ", ".join(f"`order_{place}`" for place in range(len(order)))
    sql = (
        f"SELECT {named} FROM (SELECT {cells}, {places}"  # noqa: S608
        f" FROM (SELECT {selected}{keys} FROM {source}) AS r) AS g"
        f" ORDER BY {places} SETTINGS {_SETTINGS}, {query.store.export.sql()}"
    )
    pieces = query.stream(sql, _ENGINE[form])
    return _with_names(columns, pieces) if form == "csv" else pieces


def _with_names(columns: Sequence[Column], pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The engine streams CSV only without the line of names."""
    first = next(pieces, b"")  # so that an error comes before anything else does
    yield ",".join(f'"{column.name}"' for column in columns).encode() + b"\n"
    yield first
    yield from pieces


def marked(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """CSV with a byte order mark before it.

    Args:
        pieces: The CSV.

    Example:
        >>> b"".join(marked(iter([b"a", b"b"]))).decode("utf-8-sig")
        'ab'
    """
    first = next(pieces, b"")  # so that an error comes before anything else does
    yield MARK + first
    yield from pieces
