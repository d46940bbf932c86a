"""What costs how much: by model, intent and so on, the dearest conversations, and other models."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from pydantic import Field

from otel_chat._common.moments import nanoseconds
from otel_chat.pricing import Rates, UnitPrices
from otel_chat.semconv import GEN_AI_CACHE_WRITE_TOKENS
from otel_chat.server.figures.answers import Answer, Money, TimeSpan
from otel_chat.server.figures.chance import LEAST, Ratios, adjusted, ratios_change
from otel_chat.server.figures.conversation_rows import Selection, conversation_rows
from otel_chat.server.figures.figures import by_period, conditions_on_turns, turns_source
from otel_chat.server.figures.intervals import Sample, mean_interval
from otel_chat.server.figures.registry import figure, query
from otel_chat.server.figures.sql import SCALE, Query, moment, nanos, ratio
from otel_chat.server.questions.leaders import LISTED
from otel_chat.server.rules import MODEL, TOKENS_KNOWN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_chat.server.access import Scope
    from otel_chat.server.figures.filters import Filters
    from otel_chat.server.figures.window import Window
    from otel_chat.server.prices import ServerPrices
    from otel_chat.server.store import Store

OfTurns = Literal["model", "intent", "agent", "version", "channel"]
By = Literal["model", "intent", "agent", "version", "channel", "outcome"]
_COLUMNS: Final[Mapping[OfTurns, str]] = {
    "model": MODEL,
    "intent": "intent",
    "agent": "agent",
    "version": "agent_version",
    "channel": "channel",
}
DEAREST: Final = 10
LEVEL: Final = 0.05
_ATTO: Final = Decimal("1e-18")
_NANO: Final = Decimal("1e-9")


class CostMean(Answer):
    """What a conversation of a kind costs on average, and whether that changed."""

    value: Money | None = Field(
        description="USD, rounded to a billionth; null over none, and where no turn has a price."
    )
    low: float | None = Field(
        description="The lower bound of its 95 % interval (Student's), 0 at least; null under two."
    )
    high: float | None = Field(description="The upper bound.")
    previous: Money | None = Field(description="The same in the window before.")
    clear: bool | None = Field(
        description="Whether it changed beyond chance (Welch's test at 5 %); null with fewer than"
        " 20 conversations on a side."
    )


class CostPart(Answer):
    """What a part of the turns, or of the conversations, costs."""

    name: str = Field(description="Empty where it was not said.")
    cost: Money | None = Field(description="USD, exact; null where no turn is priced.")
    previous: Money | None = Field(description="The same in the window before.")
    clear: bool | None = Field(
        description="Whether it changed beyond chance at a false discovery rate of 5 % among those"
        " of its kind; conversations, and what each costs, are what comes by chance. Null where"
        " conversations of a side are in fewer than 20 of 64 random groups: about 24 are needed."
    )
    share: float | None = Field(description="Its part of the cost of all.")
    turns: int
    conversations: int | None = Field(
        description="Of outcomes: how many conversations there are; null for parts of turns."
    )
    mean: Money | None = figure(
        "cost_of_one",
        "USD",
        "Cost of a turn with a price; of an outcome, cost ÷ conversations that ended so.",
    )
    cached: float | None = figure(
        "cached_input_ratio", "1", "Input tokens read from a provider's cache ÷ input tokens."
    )


class Dear(Answer):
    """A conversation that costs much."""

    tenant: str
    conversation_id: str
    started_at: datetime
    cost: Money
    turns: int
    outcome: str
    last_intent: str


class Costs(Answer):
    """What costs how much."""

    window: TimeSpan
    by: dict[By, list[CostPart]] = Field(
        description="The dearest first, at most eight of each. Turns by their own model, intent,"
        " agent, version and channel; conversations, whole, by outcome."
    )
    resolved: Money | None = figure(
        "resolved_conversation_cost",
        "USD",
        "Cost of settled conversations that ended resolved ÷ their number.",
    )
    previous_resolved: Money | None = Field(description="The same in the window before.")
    per_resolved: CostMean = Field(description="`resolved_conversation_cost`, with its interval.")
    per_conversation: CostMean = Field(
        description="`mean_conversation_cost`, with its interval: of settled conversations."
    )
    cached: float | None = Field(description="`cached_input_ratio` of all turns.")
    dearest: list[Dear] = Field(description="The ten dearest conversations of the window.")


class AtModel(Answer):
    """What the same turns would cost at a model."""

    model: str
    cost: Money | None = figure(
        "cost_at_model",
        "USD",
        "What the tokens of the window's turns cost by the prices of this model at the window's"
        " end, cached and reasoning tokens by theirs. Another model would not make just as many"
        " tokens, nor answer as well. Null where it has no price.",
    )
    difference: Money | None = Field(description="That less what they cost.")


class SameTurns(Answer):
    """What the turns of the window cost, and would cost at other models."""

    window: TimeSpan
    turns: int = Field(description="Turns with tokens.")
    priced_turns: int = Field(description="Those of them with a cost; the others are in no model.")
    cost: Money | None = Field(description="What those cost.")
    items: list[AtModel] = Field(description="The cheapest first, then those without a price.")


_UNITS: Final = f"toInt256(toDecimal128(ifNull({{0}}, 0), 9) * {SCALE})"
"""A cost in whole billionths of a dollar."""
_GROUPS: Final = 64
_GROUP: Final = f"cityHash64(tenant, conversation_id) % {_GROUPS}"
"""A random group of a conversation: how far those lie apart tells what chance does to a sum.

See K. M. Wolter, Introduction to variance estimation, 2nd edition (2007), chapter 2. To sum each
conversation for itself, for each of five kinds, would take five times as long.
"""
_APART: Final = "count() AS used, sum(units) AS x, sum(units * units) AS gg"
"""How many groups have anything, their sum, and that of their squares."""


def _by_turns(statement: Query, window: Window, filters: Filters) -> list[dict[str, Any]]:
    both = window.with_previous()
    kinds = ", ".join(f"('{kind}', toString({sql}))" for kind, sql in _COLUMNS.items())
    columns = (
        f"{by_period(window)(statement, 'start')} AS part", f"{_GROUP} AS chance",
        f"arrayJoin([('', ''), {kinds}]) AS of", "cost", "input_tokens", "cache_read_tokens",
    )  # fmt: skip
    source = statement.table("turns", columns, conditions_on_turns(statement, both, filters))
    return statement.run(f"""
        SELECT part, kind, name, sum(turns) AS turns, sum(amount) AS spent, sum(priced) AS priced,
            sum(input) AS input, sum(cached) AS cached, {_APART}
        FROM (
            SELECT part, of.1 AS kind, of.2 AS name, count() AS turns, sum(cost) AS amount,
                count(cost) AS priced, sum(toUInt128(input_tokens)) AS input,
                sum(toUInt128(cache_read_tokens)) AS cached, {_UNITS.format("amount")} AS units
            FROM {source} AS t GROUP BY part, kind, name, chance
        ) GROUP BY part, kind, name
    """)  # noqa: S608


def _by_outcome(statement: Query, window: Window, filters: Filters) -> list[dict[str, Any]]:
    source = conversation_rows(
        statement, Selection(window.with_previous(), filters), "started_at", "outcome", "cost",
        "priced_turns", "turns", "input_tokens", "cache_read_tokens",
    )  # fmt: skip
    each = _UNITS.format("c.cost")
    return statement.run(f"""
        SELECT part, name, sum(counted) AS conversations, sum(turns) AS turns,
            sum(amount) AS spent, sum(priced) AS priced, sum(input) AS input,
            sum(cached) AS cached, sum(squares) AS xx, {_APART}
        FROM (
            SELECT {by_period(window)(statement, "started_at")} AS part, toString(outcome) AS name,
                count() AS counted, sum(turns) AS turns, sum(cost) AS amount,
                sum(priced_turns) AS priced, sum(input_tokens) AS input,
                sum(cache_read_tokens) AS cached, sum({each}) AS units,
                sum({each} * {each}) AS squares
            FROM {source} AS c GROUP BY part, name, {_GROUP}
        ) GROUP BY part, name
    """)  # noqa: S608


def _spent(row: Mapping[str, Any]) -> Decimal | None:
    return row["spent"] if row.get("priced") else None


def _mean(row: Mapping[str, Any]) -> Decimal | None:
    spent, among = _spent(row), row.get("conversations", row.get("priced"))
    return None if spent is None or not among else (spent / among).quantize(_NANO)


def _per(rows: Sequence[dict[str, Any]]) -> CostMean:
    """The mean cost of the conversations of some rows, of this window and of the one before."""
    now, before = (_priced([row for row in rows if row["part"] == part]) for part in (1, 0))
    sample = Sample.of_sums(now.count, now.x, now.xx, SCALE)
    within = mean_interval(sample) if sample else None
    changed = ratios_change(now, before)
    means = [
        (one.x * _NANO / one.count).quantize(_NANO) if one.count else None for one in (now, before)
    ]
    return CostMean(
        value=means[0],
        low=None if within is None else max(within.low, 0.0),
        high=None if within is None else within.high,
        previous=means[1],
        clear=None if changed is None else changed.p_value <= LEVEL,
    )


def _priced(rows: Sequence[dict[str, Any]]) -> Ratios:
    """Conversations by what they cost; none where no turn of any has a price."""
    return sum(map(_conversations, rows if any(row["priced"] for row in rows) else ()), Ratios())


def _conversations(row: Mapping[str, Any]) -> Ratios:
    n, x = row["conversations"], row["x"]
    return Ratios(count=n, x=x, y=n, xx=row["xx"], xy=x, yy=n, scale=SCALE)


def _groups(row: Mapping[str, Any]) -> Ratios:
    x = row["x"]
    return Ratios(count=_GROUPS, x=x, y=_GROUPS, xx=row["gg"], xy=x, yy=_GROUPS, scale=SCALE)


def _clear(now: Sequence[dict[str, Any]], before: Mapping[str, dict[str, Any]]) -> dict[str, bool]:
    """Whether the cost of each part changed beyond chance, as far as that can be tested."""
    found = {}
    for row in now:
        other = before.get(row["name"])
        if other is None or min(row["used"], other["used"]) < LEAST:
            continue
        change = ratios_change(_groups(row), _groups(other))
        if change is not None:
            found[row["name"]] = change.p_value
    q_values = adjusted(list(found.values()))
    return {name: q_value <= LEVEL for name, q_value in zip(found, q_values, strict=True)}


def _parts(rows: Sequence[dict[str, Any]]) -> list[CostPart]:
    before = {row["name"]: row for row in rows if not row["part"]}
    now = [row for row in rows if row["part"]]
    clear = _clear(now, before)
    whole = sum((_spent(row) or Decimal(0) for row in now), Decimal(0))
    made = [
        CostPart(
            name=row["name"],
            cost=(spent := _spent(row)),
            previous=_spent(before.get(row["name"], {})),
            clear=clear.get(row["name"]),
            share=None if spent is None or not whole else float(spent / whole),
            turns=row["turns"],
            conversations=row.get("conversations"),
            mean=_mean(row),
            cached=ratio(row["cached"], row["input"]),
        )
        for row in now
    ]
    made.sort(key=lambda part: (-(part.cost or Decimal(-1)), part.name))
    return made[:LISTED]


def _dearest(statement: Query, window: Window, filters: Filters) -> list[Dear]:
    source = conversation_rows(
        statement, Selection(window, filters), "started_at", "cost", "turns", "outcome",
        "last_intent",
    )  # fmt: skip
    rows = statement.run(f"""
        SELECT toString(tenant) AS tenant, conversation_id, {nanos("started_at")} AS at, cost,
            turns, toString(outcome) AS outcome, toString(last_intent) AS last_intent
        FROM {source} AS c WHERE cost > 0
        ORDER BY cost DESC, at DESC, tenant, conversation_id LIMIT {DEAREST}
    """)  # noqa: S608
    return [Dear(**row, started_at=moment(row.pop("at"))) for row in rows]


@query()
def costs(store: Store, scope: Scope, window: Window, filters: Filters) -> Costs:
    """What costs how much, beside the window before.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The turns and the conversations to take, each by its own start.
        filters: What they are limited to.

    Raises:
        QueryError: If the window is of active conversations.
    """
    window.check_parted()
    of_turns = store.submit(_by_turns, Query(store, scope), window, filters)
    dearest = store.submit(_dearest, Query(store, scope), window, filters)
    outcomes = _by_outcome(Query(store, scope), window, filters)
    rows = of_turns.result()
    by: dict[By, list[CostPart]] = {
        kind: _parts([row for row in rows if row["kind"] == kind]) for kind in get_args(OfTurns)
    }
    settled = [row for row in outcomes if row["name"] != "open"]
    resolved = _per([row for row in settled if row["name"] == "resolved"])
    every = next((row for row in rows if row["kind"] == "" and row["part"]), {})
    return Costs(
        window=TimeSpan.of(window),
        by=by | {"outcome": _parts(outcomes)},
        resolved=resolved.value,
        previous_resolved=resolved.previous,
        per_resolved=resolved,
        per_conversation=_per(settled),
        cached=ratio(every.get("cached"), every.get("input")),
        dearest=dearest.result(),
    )


_READ: Final = "ifNull(cache_read_tokens, 0)"
_WRITTEN: Final = f"ifNull(toUInt64OrNull(attributes['{GEN_AI_CACHE_WRITE_TOKENS}']), 0)"
_TAKEN: Final = f"greatest(ifNull(input_tokens, 0), {_READ} + {_WRITTEN})"
_REASONING: Final = "ifNull(reasoning_tokens, 0)"
_MADE: Final = f"greatest(ifNull(output_tokens, 0), {_REASONING})"
_SUMS: Final = {
    "input": f"{_TAKEN} - {_READ} - {_WRITTEN}",
    "cache_read": _READ,
    "cache_write": _WRITTEN,
    "output": f"{_MADE} - {_REASONING}",
    "reasoning": _REASONING,
}
"""Tokens of a turn by the rate that they have, as `UnitPrices.cost` counts them."""


def _tokens(
    statement: Query, window: Window, filters: Filters, starts: Sequence[int]
) -> list[dict[str, Any]]:
    """Sums of tokens by tenant, and by how many of the starts of tiers a turn's input exceeds."""
    tier = f"arrayCount(x -> {_TAKEN} > x, {statement.bind(list(starts), 'Array(UInt64)')})"
    columns = (
        "tenant", "input_tokens", "output_tokens", "cache_read_tokens", "reasoning_tokens",
        "cost", "attributes", "request_model", "response_model",
    )  # fmt: skip
    source = turns_source(statement, window, filters, columns)
    sums = ", ".join(f"sum(toUInt128({sql})) AS {name}" for name, sql in _SUMS.items())
    return statement.run(f"""
        SELECT toString(tenant) AS tenant, {tier} AS tier, count() AS turns, sum(t.cost) AS spent,
            count(t.cost) AS priced, {sums},
            groupUniqArrayIf(100)(toString({MODEL}), {MODEL} != '') AS models
        FROM {source} AS t WHERE {TOKENS_KNOWN} GROUP BY tenant, tier
    """)  # noqa: S608


def _at(unit: UnitPrices, row: Mapping[str, Any], start: int) -> int | None:
    """What the tokens of a row cost, in 1e-18 USD."""
    rates: Rates = unit.base
    for above, candidate in unit.tiers:
        if start >= above:
            rates = candidate
    made = row["output"] + row["reasoning"]
    if rates.output is None and made:
        return None
    return int(
        row["turns"] * rates.request
        + row["input"] * rates.input
        + row["cache_read"] * rates.cache_read
        + row["cache_write"] * rates.cache_write
        + row["output"] * (rates.output or 0)
        + row["reasoning"] * rates.reasoning
    )


@query()
def same_turns(
    store: Store,
    scope: Scope,
    window: Window,
    filters: Filters,
    prices: ServerPrices,
    models: Sequence[str] = (),
) -> SameTurns:
    """What the turns of the window would cost at other models.

    A turn counts as one request: where prices have tiers, by the tokens of the turn.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The turns to take.
        filters: What they are limited to.
        prices: The server's.
        models: Models to tell, beside those that answered and those of the server's own lists.
    """
    statement = Query(store, scope)
    at = nanoseconds(window.end)
    seen = _tokens(statement, window, filters, ())
    wanted = sorted({*models, *prices.models, *(name for row in seen for name in row["models"])})
    tenants = sorted({row["tenant"] for row in seen})
    units = {
        (name, tenant): prices.unit_prices(tenant, name, at)
        for name in wanted
        for tenant in tenants
    }
    starts = sorted({above for unit in units.values() if unit for above, _ in unit.tiers})
    rows = _tokens(statement.again(), window, filters, starts) if starts else seen
    priced = sum(row["priced"] for row in seen)
    cost = sum((row["spent"] for row in seen if row["priced"]), Decimal(0)) if priced else None
    items = []
    for name in wanted:
        whole: int | None = 0
        for row in rows:
            unit = units[name, row["tenant"]]
            start = starts[row["tier"] - 1] if row["tier"] else -1
            part = None if unit is None else _at(unit, row, start)
            whole = None if whole is None or part is None else whole + part
        found = None if whole is None or not rows else (whole * _ATTO).quantize(_NANO)
        turns = sum(row["turns"] for row in rows)
        apart = None if found is None or cost is None or priced < turns else found - cost
        items.append(AtModel(model=name, cost=found, difference=apart))
    items.sort(key=lambda one: (one.cost is None, one.cost or Decimal(0), one.model))
    return SameTurns(
        window=TimeSpan.of(window),
        turns=sum(row["turns"] for row in seen),
        priced_turns=priced,
        cost=cost,
        items=items,
    )
