"""Writes what turns cost that bring tokens and no cost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from otel_chat._usage import COUNTS, Usage
from otel_chat.semconv import GEN_AI_CACHE_WRITE_TOKENS
from otel_chat.server.prices import SOURCE, Priced, ServerPrices, parts_of
from otel_chat.server.rules import MODEL, TOKENS_KNOWN
from otel_chat.server.summaries.statements import KEYS, OF_WINDOW, in_parts, of_window

if TYPE_CHECKING:
    from otel_chat.server.store import Store

DAY: Final = timedelta(days=1)

_KEY: Final = (
    "concat(tenant, '\\0', conversation_id, '\\0', lower(hex(trace_id)), lower(hex(span_id)))"
)
_TURNS: Final = f"""
SELECT tenant, {_KEY} AS key, toUnixTimestamp64Nano(start) AS start_ns, {MODEL} AS model, provider,
  input_tokens, output_tokens, cache_read_tokens, reasoning_tokens,
  toUInt64OrNull(attributes['{GEN_AI_CACHE_WRITE_TOKENS}']) AS cache_write_tokens,
  toString(cost) AS cost, price
FROM turns FINAL
"""  # noqa: S608
_UNPRICED: Final = f"cost IS NULL AND {TOKENS_KNOWN} AND model != ''"
# Other libraries' are priced where they are worked out: call by call.
_OWN: Final = "NOT foreign"
_OF_CONVERSATIONS: Final = (
    f"(tenant, conversation_id) IN {KEYS}"
    " AND conversation_id IN {ids:Array(String)}"
    " AND start >= fromUnixTimestamp64Nano({first:Int64}, 'UTC')"
    " AND start <= fromUnixTimestamp64Nano({last:Int64}, 'UTC')"
)
_WRITE: Final = f"""
INSERT INTO turns SELECT * REPLACE (
  toDecimal64({{costs:Array(String)}}[place], 9) AS cost, '{SOURCE}' AS cost_source,
  {{prices:Array(String)}}[{{chosen:Array(UInt32)}}[place]] AS price,
  {{version:UInt64}} AS version)
FROM turns FINAL
WHERE start >= fromUnixTimestamp64Nano({{first:Int64}}, 'UTC')
  AND start <= fromUnixTimestamp64Nano({{last:Int64}}, 'UTC')
  AND (indexOf({{keys:Array(String)}}, {_KEY}) AS place) > 0
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Repriced:
    """What a new price changed.

    Args:
        turns: Turns that were looked at: those whose cost the server worked out, or nobody knew.
        changed: Those that cost something else now.
    """

    turns: int
    changed: int


def price_turns(
    store: Store, prices: ServerPrices, conversations: Mapping[str, Any], version: int
) -> None:
    """Writes the cost of those turns of some conversations that bring tokens and no cost.

    Args:
        store: The store.
        prices: The server's.
        conversations: `tenants`, `ids`, `first` and `last`, as the settler binds them.
        version: The store's clock, read before this.
    """
    rows = store.query(
        f"{_TURNS} WHERE {_OF_CONVERSATIONS} AND {_UNPRICED} AND {_OWN}", conversations
    )
    _write(store, _priced(prices, rows, keep=True), version)


def reprice(
    store: Store,
    prices: ServerPrices,
    window: tuple[datetime, datetime],
    tenants: frozenset[str] | set[str] | None,
) -> Repriced:
    """Works out anew what turns of the past cost, by the prices that the server has now.

    Turns whose cost was sent keep it.

    Args:
        store: The store.
        prices: The server's.
        window: The first moment, and the first after the last.
        tenants: Whose turns; None for all.
    """
    (row,) = store.query("SELECT toUnixTimestamp64Nano(now64(9)) AS now")
    looked_at = changed = 0
    wanted = f"(cost_source = '{SOURCE}' OR {_UNPRICED}) AND ({_OWN} OR price != '')"
    for day in _days(*window):
        rows = store.query(f"{_TURNS} WHERE {OF_WINDOW} AND {wanted}", of_window(day, tenants))
        looked_at += len(rows)
        anew = [
            (row, told)
            for row, told in _priced(prices, rows, keep=False)
            if row["cost"] is None or told.cost != Decimal(row["cost"])
        ]
        changed += len(anew)
        _write(store, anew, int(row["now"]))
    return Repriced(looked_at, changed)


def _priced(
    prices: ServerPrices, rows: Iterable[Mapping[str, Any]], *, keep: bool
) -> Iterator[tuple[Mapping[str, Any], Priced]]:
    for row in rows:
        parts = parts_of(row["price"]) or [_usage(row)]
        kept = row["price"] if keep else ""
        told = prices.priced(row["tenant"], parts, int(row["start_ns"]), kept)
        if told.cost is not None:
            yield row, told


def _usage(row: Mapping[str, Any]) -> Usage:
    usage = Usage.of({name: None if row[name] is None else int(row[name]) for name in COUNTS})
    usage.model, usage.provider = row["model"], row["provider"] or None
    return usage


def _write(store: Store, priced: Iterable[tuple[Mapping[str, Any], Priced]], version: int) -> None:
    for part in in_parts(priced, lambda one: len(one[0]["key"]) + len(one[1].price)):
        known: dict[str, int] = {}
        chosen = [known.setdefault(told.price, len(known) + 1) for _, told in part]
        starts = [int(row["start_ns"]) for row, _ in part]
        store.command(
            _WRITE,
            {
                "keys": [row["key"] for row, _ in part],
                "costs": [f"{told.cost:f}" for _, told in part],
                "chosen": chosen,
                "prices": list(known),
                "version": version,
                "first": min(starts),
                "last": max(starts),
            },
        )


def _days(first: datetime, last: datetime) -> Iterator[tuple[datetime, datetime]]:
    while first < last:
        end = min(last, first + DAY)
        yield first, end
        first = end
