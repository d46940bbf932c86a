"""The SQL by which rows are worked out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any, Final, TypeVar

from jinja2 import Environment, StrictUndefined

from otel_chat import semconv
from otel_chat._common.moments import nanoseconds
from otel_chat.server import rules

MOST_TURNS: Final = 100_000
"""Turns, and steps, that stand in the arrays of a conversation's row."""

CHARACTERS: Final = 50_000
"""Characters of the keys that one statement takes: a served store takes no longer parameter."""
OF_WINDOW: Final = (
    "start >= fromUnixTimestamp64Nano({first:Int64}, 'UTC')"
    " AND start < fromUnixTimestamp64Nano({last:Int64}, 'UTC')"
    " AND ({every:Bool} OR tenant IN {tenants:Array(String)})"
)
"""The condition on turns or spans of some tenants; its parameters are those of `of_window`."""
T = TypeVar("T")


def listed(**columns: str) -> str:
    """A subquery with the rows of some lists, for what stands after an IN.

    A function of lists would be compared with one by one; what is selected becomes a set.

    Args:
        columns: SQL of lists of one length, by the name of the column that each becomes.

    Example:
        >>> listed(tenant="a", id="b")
        '(SELECT row.1 AS tenant, row.2 AS id FROM (SELECT arrayJoin(arrayZip(a, b)) AS row))'
    """
    told = ", ".join(f"row.{place} AS {name}" for place, name in enumerate(columns, 1))
    rows = f"SELECT arrayJoin(arrayZip({', '.join(columns.values())})) AS row"
    return f"(SELECT {told} FROM ({rows}))"  # noqa: S608


KEYS: Final = listed(tenant="{tenants:Array(String)}", id="{ids:Array(String)}")
"""The conversations or traces that the parameters `tenants` and `ids` give."""


def of_window(window: tuple[datetime, datetime], tenants: Iterable[str] | None) -> dict[str, Any]:
    """The parameters of `OF_WINDOW`.

    Args:
        window: The first moment, and the first after the last.
        tenants: Whose; None for all.
    """
    first, last = map(nanoseconds, window)
    every = tenants is None
    return {"first": first, "last": last, "every": every, "tenants": sorted(tenants or ())}


def in_parts(
    rows: Iterable[T], characters: Callable[[T], int], most: int | None = None
) -> Iterator[list[T]]:
    """Rows in parts that a statement can take each.

    Args:
        rows: The rows.
        characters: How many characters of its parameters a row takes; a part ends with the row
            that fills it.
        most: Rows of a part.

    Example:
        >>> [len(part) for part in in_parts(["a"] * 5, len, most=2)]
        [2, 2, 1]
        >>> [len(part) for part in in_parts(["a" * 30_000] * 3, len)]
        [2, 1]
    """
    part: list[T] = []
    size = 0
    for row in rows:
        part.append(row)
        size += characters(row)
        if len(part) == most or size >= CHARACTERS:
            yield part
            part, size = [], 0
    if part:
        yield part


@cache
def conversations_sql(chosen: rules.Rules, *, synthetic: bool = False, split: bool = True) -> str:
    """A SELECT of the rows of some conversations, worked out from their turns and events.

    Its parameters are `tenants` and `ids` of the conversations, `first` and `last`, nanoseconds
    between which all that there is of them lies, and the `version` of the rows.

    Args:
        chosen: The rules to go by.
        synthetic: Whether synthetic turns count, which are in no figure.
        split: Whether silences are looked for; else ids are split as their rows are.
    """
    source = files(__package__).joinpath("conversations.sql").read_text(encoding="utf-8")
    environment = Environment(undefined=StrictUndefined, autoescape=False)  # noqa: S701 - SQL
    known = {"n": semconv, "rules": rules, "low": chosen.low, "most": MOST_TURNS}
    known |= {"gap": chosen.gap, "synthetic": synthetic, "split": split, "keys": KEYS}
    return environment.from_string(source).render(known)
