"""Where conversations ended that came to nothing: by intent and by step of a workflow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, Self

from pydantic import Field

from otel_chat.server.figures.answers import Answer, TimeSpan
from otel_chat.server.figures.conversation_rows import Selection, conversation_rows
from otel_chat.server.figures.registry import figure, query
from otel_chat.server.figures.sql import Query, ratio
from otel_chat.server.figures.window import Window

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_chat.server.access import Scope
    from otel_chat.server.figures.filters import Filters
    from otel_chat.server.store import Store

MOST: Final = 200
IntentSource = Literal["turn", "annotation"]
_COLUMNS: Final[Mapping[IntentSource, tuple[str, str]]] = {
    "turn": ("intents", "last_intent"),
    "annotation": ("annotated_intents", "last_annotated_intent"),
}
"""Of a conversation's row, by whose intents are asked for: all of them, and the last."""


class DropOffPoint(Answer):
    """Where conversations ended abandoned or failed."""

    dropped: int = figure(
        "drop_offs",
        "{conversation}",
        "Settled conversations that ended abandoned or failed here: with this as their last"
        " intent, or as the last step of a workflow that was left open or had failed.",
    )
    share: float | None = figure(
        "drop_off_share", "1", "Dropped here ÷ all settled conversations that were dropped."
    )
    reached: int = figure(
        "drop_off_reached",
        "{conversation}",
        "Settled conversations that came by here: with a turn of this intent, or an event of this"
        " workflow that named this step.",
    )
    rate: float | None = figure(
        "drop_off_ratio", "1", "Dropped here ÷ settled conversations that came by here."
    )

    @classmethod
    def read(cls, row: dict[str, Any], every: int, **names: str | None) -> Self:
        """The point of a row, out of so many conversations that were dropped."""
        return cls(
            **names,
            dropped=row["dropped"],
            share=ratio(row["dropped"], every),
            reached=row["reached"],
            rate=ratio(row["dropped"], row["reached"]),
        )


class _OfIntent(Answer):
    intent: str | None = Field(description="Null: conversations in which no turn had an intent.")


class _OfStep(Answer):
    workflow: str
    step: str | None = Field(description="Null: the workflow had named none in its last run.")


class IntentDropOff(DropOffPoint, _OfIntent):
    """Conversations that ended abandoned or failed with this as their last intent."""


class StepDropOff(DropOffPoint, _OfStep):
    """Conversations that ended abandoned or failed at this step of a workflow."""


class DropOff(Answer):
    """Where conversations of the window ended abandoned or failed, the worst first."""

    window: TimeSpan
    settled: int = Field(description="Settled conversations.")
    dropped: int = figure(
        "dropped_conversations",
        "{conversation}",
        "Settled conversations that ended abandoned or failed.",
    )
    rate: float | None = figure(
        "dropped_ratio", "1", "Settled conversations that ended abandoned or failed ÷ settled."
    )
    intents: list[IntentDropOff] = Field(
        description=f"By last intent; the parts sum to all that were dropped. At most {MOST}."
    )
    steps: list[StepDropOff] = Field(
        description="By the workflow step at which they stood: of the workflow that moved last"
        " among those left open or failed. Conversations without such a workflow are in none."
        f" At most {MOST}."
    )
    others: int = Field(description="Intents and steps that are not listed.")


_BAD: Final = "outcome IN ('abandoned', 'failed')"


def _by_intent(
    statement: Query, selection: Selection, source: IntentSource
) -> list[dict[str, Any]]:
    """The worst intents, each with the sums over all of them; empty where there was none."""
    named, last = _COLUMNS[source]
    rows = conversation_rows(statement, selection, "settled", "outcome", named, last)
    return statement.run(f"""
        SELECT toString(intent) AS name, count() AS reached,
            countIf(bad AND intent = last) AS dropped,
            count() OVER () AS points,
            sum(countIf(nth = 1)) OVER () AS settled,
            sum(countIf(nth = 1 AND bad)) OVER () AS all_dropped
        FROM (
            SELECT {_BAD} AS bad, {last} AS last, if(empty({named}), [''], {named}) AS named
            FROM {rows} AS c
            WHERE settled
        )
        ARRAY JOIN named AS intent, arrayEnumerate(named) AS nth
        GROUP BY intent
        ORDER BY dropped DESC, reached DESC, name
        LIMIT {MOST}
    """)  # noqa: S608


def _by_step(statement: Query, selection: Selection) -> list[dict[str, Any]]:
    """A row for each workflow, with an empty step, and for each of its steps."""
    rows = conversation_rows(statement, selection, "settled", "outcome", "stood", "places")
    return statement.run(f"""
        SELECT place.1 AS workflow, place.2 AS step,
            count() AS reached, countIf({_BAD} AND place = stood) AS dropped
        FROM {rows} AS c
        ARRAY JOIN places AS place
        WHERE settled
        GROUP BY workflow, step
        ORDER BY dropped DESC, reached DESC, workflow, step
    """)  # noqa: S608


@query()
def drop_off(
    store: Store,
    scope: Scope,
    window: Window,
    filters: Filters,
    source: IntentSource = "turn",
) -> DropOff:
    """Where the conversations that started in the window ended abandoned or failed.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The conversations to take.
        filters: What they are limited to.
        source: Whose intents: those of turns, or those that annotations of the data name.
    """
    selection = Selection(window, filters)
    by_step = store.submit(_by_step, Query(store, scope), selection)
    intents = _by_intent(Query(store, scope), selection, source)
    whole = intents[0] if intents else {"settled": 0, "all_dropped": 0, "points": 0}
    settled, dropped = whole["settled"], whole["all_dropped"]
    of_steps = [row for row in by_step.result() if row["step"] or row["dropped"]]
    return DropOff(
        window=TimeSpan.of(window),
        settled=settled,
        dropped=dropped,
        rate=ratio(dropped, settled),
        intents=[IntentDropOff.read(row, dropped, intent=row["name"] or None) for row in intents],
        steps=[
            StepDropOff.read(row, dropped, workflow=row["workflow"], step=row["step"] or None)
            for row in of_steps[:MOST]
        ],
        others=whole["points"] - len(intents) + len(of_steps[MOST:]),
    )
