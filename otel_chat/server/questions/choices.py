"""What can be filtered by: the values that occur in a window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import Field

from otel_chat.server.figures.answers import Answer
from otel_chat.server.figures.registry import query
from otel_chat.server.figures.sql import Query
from otel_chat.server.figures.window import Window
from otel_chat.server.questions.segments import segments
from otel_chat.server.rules import MODEL

if TYPE_CHECKING:
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
    "prompts": "prompt",
    "prompt_versions": "prompt_version",
}


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
    prompts: list[str]
    prompt_versions: list[str]
    segments: list[str] = Field(description="Those that were saved, whenever.")


@query()
def choices(store: Store, scope: Scope, window: Window) -> Choices:
    """The values by which the turns of the window can be filtered.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The time to look at.
    """
    statement = Query(store, scope)
    found = [
        f"arraySlice(arraySort(groupUniqArrayIf(toString({value}), {value} != '')), 1, {MOST})"
        f" AS {name}"
        for name, value in _COLUMNS.items()
    ]
    within = [statement.within("start", window)]
    saved = sorted({one.name for one in segments(store, scope).items})[:MOST]
    return Choices(**statement.one(statement.select("turns", found, within)), segments=saved)
