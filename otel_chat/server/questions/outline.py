"""The outline of a conversation: all its turns at a glance, however many pages they fill."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from otel_chat import semconv
from otel_chat.server.figures.registry import query
from otel_chat.server.questions.conversation import find
from otel_chat.server.rules import SLOW_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otel_chat.server.access import Scope
    from otel_chat.server.figures.window import Window
    from otel_chat.server.store import Store

KINDS: Final = ("failed", "slow", "unsure", "handed_off")
"""What stands out about a turn, the worst first."""
STRETCHES: Final = 100
"""As many columns as are told apart, and clicked, beside each other."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Turns that follow one another; a single one where the conversation is short.

    Args:
        first: The place of its first turn in the conversation, from 1.
        last: That of its last.
        slowest: The span of the turn that took longest.
        duration: How long that took, in seconds.
        kinds: What stands out about any of them, the worst first.
    """

    first: int
    last: int
    slowest: str
    duration: float
    kinds: Sequence[str]


@dataclass(frozen=True, slots=True)
class Standing:
    """The turns of a conversation that stand out in one way.

    Args:
        count: How many there are.
        first: The span of the first.
        later: That of the first one after the turns that are shown; `None` without.
    """

    count: int
    first: str
    later: str | None


@dataclass(frozen=True, slots=True)
class Outline:
    """A whole conversation at a glance.

    Args:
        stretches: Its turns by time, in so many stretches at most.
        standing: Those that stand out, by what they do in.
    """

    stretches: Sequence[Stretch]
    standing: Mapping[str, Standing]


@query()
def outline(
    store: Store,
    scope: Scope,
    window: Window,  # noqa: ARG001
    conversation_id: str,
    tenant: str | None = None,
    shown: int = 0,
) -> Outline:
    """A whole conversation at a glance.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: When it is asked about.
        conversation_id: Its id.
        tenant: Its tenant; the first by name without.
        shown: The place of the last turn that is shown, from 1.

    Raises:
        AccessError: With status 404, if the scope has no conversation of this id.
    """
    found = find(store, scope, conversation_id, tenant)
    statement = found.statement.again()
    conditions = {
        "failed": f"status = '{semconv.STATUS_ERROR}'",
        "slow": f"duration >= {SLOW_SECONDS}",
        "unsure": store.rules.unsure,
        "handed_off": "handoff",
    }
    after = statement.bind(shown, "UInt64")
    of_turns = statement.select(
        "turns",
        (
            *("start", "trace_id", "lower(hex(span_id)) AS span", "duration"),
            *(f"({conditions[kind]}) AS is_{kind}" for kind in KINDS),
        ),
        found.of_turns(statement),
    )
    counted = ", ".join(
        f"countIf(is_{kind}) AS {kind}, minIf((number, span), is_{kind}) AS first_{kind},"
        f" minIf((number, span), is_{kind} AND number > {after}) AS later_{kind}"
        for kind in KINDS
    )
    rows = statement.run(f"""
        SELECT intDiv((number - 1) * least(total, {STRETCHES}), total) AS stretch,
            min(number) AS first, max(number) AS last, max(duration) AS longest,
            argMax(span, (duration, -number)) AS slowest, {counted}
        FROM (
            SELECT *, row_number() OVER (ORDER BY start, trace_id, span) AS number,
                count() OVER () AS total
            FROM ({of_turns})
        )
        GROUP BY stretch ORDER BY stretch
    """)  # noqa: S608
    return Outline(
        [_stretch(row) for row in rows],
        {kind: there for kind in KINDS if (there := _standing(rows, kind)) is not None},
    )


def _stretch(row: Mapping[str, Any]) -> Stretch:
    kinds = [kind for kind in KINDS if row[kind]]
    return Stretch(row["first"], row["last"], row["slowest"], row["longest"], kinds)


def _standing(rows: Sequence[dict[str, Any]], kind: str) -> Standing | None:
    firsts = [row[f"first_{kind}"] for row in rows if row[kind]]
    if not firsts:
        return None
    laters = (row[f"later_{kind}"] for row in rows)
    later = next((span for number, span in laters if number), None)
    return Standing(sum(row[kind] for row in rows), firsts[0][1], later)
