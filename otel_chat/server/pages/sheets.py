"""Pages that are made of cards, charts and tables alone: each answers one question."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otel_chat.server.access import Scope
    from otel_chat.server.pages.charts import Chart
    from otel_chat.server.pages.links import View
    from otel_chat.server.pages.overview import Card
    from otel_chat.server.pages.tables import Table
    from otel_chat.server.queries.filters import Filters
    from otel_chat.server.queries.window import Window
    from otel_chat.server.store import Store


@dataclass(frozen=True, slots=True)
class Asking:
    """What a page is asked with.

    Args:
        store: The store.
        scope: What the reader may see.
        window: The time to look at.
        filters: What it is limited to.
        view: The filters as they stand in the address.
    """

    store: Store
    scope: Scope
    window: Window
    filters: Filters
    view: View


@dataclass(frozen=True, slots=True)
class Body:
    """What stands on a page.

    Args:
        cards: The headline figures.
        charts: The charts.
        tables: The tables.
        empty: Whether there was nothing at all in the window.
    """

    cards: Sequence[Card] = ()
    charts: Sequence[Chart] = ()
    tables: Sequence[Table] = field(default_factory=tuple)
    empty: bool = False


@dataclass(frozen=True, slots=True)
class Sheet:
    """A page.

    Args:
        key: Its name.
        path: Where it is.
        label: What it is called.
        icon: The name of its icon in the navigation.
        question: What it answers.
        body: What stands on it.
    """

    key: str
    path: str
    label: str
    icon: str
    question: str
    body: Callable[[Asking], Body]
