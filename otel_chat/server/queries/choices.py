"""What can be filtered by: the values that occur in a window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import Field

from otel_chat.server.queries.answers import Answer
from otel_chat.server.queries.partials import MODEL
from otel_chat.server.queries.registry import query
from otel_chat.server.queries.sql import Query
from otel_chat.server.queries.sums import whole, whole_days
from otel_chat.server.queries.window import Window

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_chat.server.access import Scope
    from otel_chat.server.store import Store

MOST: Final = 100
_COLUMNS: Final = {
    "agents": "agent",
    "channels": "channel",
    "models": MODEL,
    "user_types": "user_type",
    "intents": "intent",
    "message_types": "message_type",
    "variants": "variant",
    "agent_versions": "agent_version",
    "environments": "environment",
}
_INTENTS: Final = "intents"
_OF_DAYS: Final = {
    **{name: column for name, column in _COLUMNS.items() if name != _INTENTS},
    "models": "model",
}
_READ: Final = (
    "agent", "channel", "request_model", "response_model", "user_type", "intent",
    "message_type", "variant", "agent_version", "environment",
)  # fmt: skip


class Choices(Answer):
    """The values that occur in a window, by name, at most a hundred each."""

    agents: list[str] = Field(description="Names of agents.")
    channels: list[str]
    models: list[str]
    user_types: list[str]
    intents: list[str]
    message_types: list[str]
    variants: list[str]
    agent_versions: list[str]
    environments: list[str]


@query()
def choices(store: Store, scope: Scope, window: Window) -> Choices:
    """The values by which the turns of the window can be filtered.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The time to look at.
    """
    statement = Query(store, scope)
    days = whole_days(statement, window, whole)
    parts = []
    if days.kept:
        kept = days.kept_conditions(statement)
        tallies = statement.table("turn_days", tuple(_OF_DAYS.values()), kept, once=False)
        intents = statement.table("intent_days", ("intent",), kept, once=False)
        parts += [
            _part(_values(_OF_DAYS), tallies),
            _part(_values({_INTENTS: _COLUMNS[_INTENTS]}), intents),
        ]
    if days.afresh or not parts:
        turns = statement.table("turns", _READ, [days.afresh_condition(statement, "start")])
        parts.append(_part(_values(_COLUMNS), turns))
    found = ", ".join(
        f"arraySlice(arraySort(arrayFilter(x -> x != '', groupUniqArrayArray(of_{name}))),"
        f" 1, {MOST}) AS {name}"
        for name in _COLUMNS
    )
    return Choices(**statement.one(f"SELECT {found} FROM ({' UNION ALL '.join(parts)})"))  # noqa: S608


def _values(columns: Mapping[str, str]) -> dict[str, str]:
    return {name: f"groupUniqArray(toString({column}))" for name, column in columns.items()}


def _part(found: Mapping[str, str], source: str) -> str:
    columns = ", ".join(
        f"{found.get(name, 'emptyArrayString()')} AS of_{name}" for name in _COLUMNS
    )
    return f"SELECT {columns} FROM {source} AS t"  # noqa: S608
