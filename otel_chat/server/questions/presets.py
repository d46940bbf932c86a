"""What is worth reading: lists of conversations that are asked for again and again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otel_chat.server.figures.conversation_rows import Selection, counted_rows
from otel_chat.server.figures.registry import query
from otel_chat.server.figures.sql import Query

if TYPE_CHECKING:
    from otel_chat.server.access import Scope
    from otel_chat.server.figures.filters import Filters
    from otel_chat.server.figures.window import Window
    from otel_chat.server.store import Store


@dataclass(frozen=True, slots=True)
class Preset:
    """A list of conversations.

    Args:
        label: What it is called.
        parameters: The filters that make it.
    """

    label: str
    parameters: Mapping[str, str]


PRESETS: Final = (
    Preset("Unsure and left", {"outcome": "abandoned", "unanswered": "true"}),
    Preset("Handed off", {"handoff": "true"}),
    Preset("Failed", {"failed": "true"}),
    Preset("Low rating", {"rating_max": "0.25"}),
    Preset("Slow", {"slow": "true"}),
    Preset("Unanswered", {"unanswered": "true"}),
    Preset("To review", {"reviewed": "false"}),
)
OF_PRESETS: Final = tuple(dict.fromkeys(name for one in PRESETS for name in one.parameters))
"""The parameters that tell presets apart: one takes the place of another."""


@query()
def count_presets(
    store: Store,
    scope: Scope,
    window: Window,
    filters: Filters,
    further: Mapping[str, str] | None = None,
) -> list[int]:
    """How many conversations each preset has, under the filters that are none of a preset's.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The conversations to take.
        filters: What they are limited to.
        further: Filters that hold beside each preset's own.
    """
    others = filters.narrowed(**dict.fromkeys(OF_PRESETS))
    # With the others: one turn is to match all conditions of turns.
    parts = [others.narrowed(**{**one.parameters, **(further or {})}) for one in PRESETS]
    return counted_rows(Query(store, scope), Selection(window, others), parts)
