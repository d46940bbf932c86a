"""Where conversations ended that came to nothing: by intent and by step of a workflow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

from pydantic import Field

from otel_chat.server.queries.aggregation import Selection, conversation_rows
from otel_chat.server.queries.answers import Answer, TimeSpan
from otel_chat.server.queries.intent_numbers import (
    ANNOTATED,
    FOLDED,
    NUMBERS,
    IntentSource,
    moment_and_intent,
    number_intents,
)
from otel_chat.server.queries.partials import HASH
from otel_chat.server.queries.registry import figure, query
from otel_chat.server.queries.sql import Query, ratio
from otel_chat.server.queries.window import MARGIN, Window
from otel_chat.server.queries.workflows import standing

if TYPE_CHECKING:
    from otel_chat.server.access import Scope
    from otel_chat.server.queries.filters import Filters
    from otel_chat.server.store import Store

MOST: Final = 200
EVERY: Final = NUMBERS


class DropOffPoint(Answer):
    """Where conversations were given up."""

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
    """Conversations that were given up with this as their last intent."""


class StepDropOff(DropOffPoint, _OfStep):
    """Conversations that were given up at this step of a workflow."""


class DropOff(Answer):
    """Where the conversations that started in the window were given up, the worst first."""

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
        description="By last intent; the parts sum to all that were dropped. At most"
        f" {MOST}. {FOLDED}"
    )
    steps: list[StepDropOff] = Field(
        description="By the workflow step at which they stood: of the workflow that moved last"
        " among those left open or failed. Conversations without such a workflow are in none."
        f" At most {MOST}."
    )
    others: int = Field(description="Intents and steps that are not listed.")


def _intents(statement: Query, selection: Selection, source: IntentSource) -> str:
    """SQL for all conversations with their path of intents."""
    if source == "turn":
        return conversation_rows(statement, selection, ("path",))
    window = selection.window
    annotated = statement.table(
        "events",
        ("tenant", "conversation_id", f"{moment_and_intent('time')} AS annotated"),
        [
            statement.between("time", window.start - MARGIN, selection.end + MARGIN),
            ANNOTATED,
            *selection.rows(statement),
        ],
    )
    return f"""(
        SELECT hash, outcome, settled, path
        FROM {conversation_rows(statement, selection)} AS c
        LEFT JOIN (
            SELECT {HASH} AS hash, arraySort(groupArray(annotated)) AS path
            FROM {annotated}
            GROUP BY hash
        ) AS a USING (hash)
    )"""  # noqa: S608


_BAD: Final = "outcome IN ('abandoned', 'failed')"


def _by_intent(
    statement: Query, selection: Selection, source: IntentSource
) -> list[dict[str, Any]]:
    """A row for each intent by its number, and one for all conversations."""
    return statement.run(f"""
        SELECT intent, count() AS reached, countIf(bad AND intent IN (last, {EVERY})) AS dropped
        FROM (
            SELECT {_BAD} AS bad, path[-1] % {NUMBERS} AS last,
                arrayDistinct(arrayMap(x -> x % {NUMBERS}, path)) AS intents
            FROM {_intents(statement, selection, source)} AS c
            WHERE settled
        )
        ARRAY JOIN arrayPushBack(if(empty(intents), [0], intents), {EVERY}) AS intent
        GROUP BY intent
        ORDER BY dropped DESC, reached DESC, intent
    """)  # noqa: S608


def _by_step(statement: Query, selection: Selection) -> list[dict[str, Any]]:
    """A row for each workflow, with an empty step, and for each of its steps."""
    return statement.run(f"""
        SELECT place.1 AS workflow, place.2 AS step,
            count() AS reached, countIf({_BAD} AND place = stood) AS dropped
        FROM {standing(statement, selection)} AS p
        ARRAY JOIN passed AS place
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
    """Where the conversations that started in the window were given up.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The conversations to take.
        filters: What they are limited to.
        source: Whose intents: those of turns, or those that annotations of the data name; of
            several that were annotated at once the last by name is the last.
    """
    statement = Query(store, scope)
    names = number_intents(statement, window, source)
    selection = Selection(window, filters)
    rows = _by_intent(statement, selection, source)
    whole = next((row for row in rows if row["intent"] == EVERY), {})
    settled, dropped = whole.get("reached", 0), whole.get("dropped", 0)
    of_intents = [row for row in rows if row["intent"] < EVERY]
    steps = _by_step(Query(store, scope), selection)
    of_steps = [row for row in steps if row["step"] or row["dropped"]]
    return DropOff(
        window=TimeSpan.of(window),
        settled=settled,
        dropped=dropped,
        rate=ratio(dropped, settled),
        intents=[
            IntentDropOff.read(row, dropped, intent=names.get(row["intent"]))
            for row in of_intents[:MOST]
        ],
        steps=[
            StepDropOff.read(row, dropped, workflow=row["workflow"], step=row["step"] or None)
            for row in of_steps[:MOST]
        ],
        others=len(of_intents[MOST:]) + len(of_steps[MOST:]),
    )
