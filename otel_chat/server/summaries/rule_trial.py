"""What rules for spans would have said: tried on the turns that are there, nothing is written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from otel_chat import _dialects as dialects
from otel_chat.server.span_rules import Rule, meaning
from otel_chat.server.summaries.derived_turns import DerivedTurns
from otel_chat.server.summaries.statements import OF_WINDOW, of_window

if TYPE_CHECKING:
    from otel_chat.server.store import Store

MOST: Final = 5000
"""Traces that are looked at, the latest first."""
AT_ONCE: Final = 500

_TRACES: Final = f"""
SELECT toString(tenant) AS tenant, lower(hex(trace_id)) AS key,
  toUnixTimestamp64Nano(min(start)) AS first, toUnixTimestamp64Nano(max(start)) AS last
FROM spans
WHERE {OF_WINDOW}
  AND (operation != '' OR hasAny(mapKeys(attributes), {{marks:Array(String)}}))
GROUP BY tenant, trace_id ORDER BY first DESC LIMIT {MOST}
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Trial:
    """What rules would have said.

    Args:
        turns: Turns of other libraries that were looked at.
        said: The conversations, one for each turn that a rule said something of, by its name.
    """

    turns: int
    said: dict[str, list[str]]


def try_rules(
    store: Store,
    rules: Sequence[Rule],
    window: tuple[datetime, datetime],
    tenants: Iterable[str] | None,
) -> Trial:
    """Tries rules on the turns of other libraries.

    Args:
        store: The store.
        rules: The rules.
        window: The first moment, and the first after the last.
        tenants: Whose turns; None for all.
    """
    asked = of_window(window, tenants) | {"marks": list(dialects.MARKS)}
    traces = store.query(_TRACES, asked)
    turns, said = 0, {rule.name: list[str]() for rule in rules}
    derived = DerivedTurns(store)
    for at in range(0, len(traces), AT_ONCE):
        for tenant, turn in derived.find(traces[at : at + AT_ONCE]):
            turns += 1
            spans = sorted(turn.spans, key=lambda span: span.place)
            for name in meaning(rules, tenant, spans).rules:
                said[name].append(turn.conversation)
    return Trial(turns, said)
