"""Pages that are made of cards, charts, grids and tables: each answers one question."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from otel_chat._common.moments import UTC_NAME

if TYPE_CHECKING:
    from decimal import Decimal

    from otel_chat.server.access import Scope
    from otel_chat.server.budgets import Budget
    from otel_chat.server.figures.filters import Filters
    from otel_chat.server.figures.window import Window
    from otel_chat.server.pages.charts import Chart
    from otel_chat.server.pages.compare import Choice
    from otel_chat.server.pages.flows import Flow
    from otel_chat.server.pages.grids import Grid
    from otel_chat.server.pages.links import View
    from otel_chat.server.pages.overview import Card
    from otel_chat.server.pages.tables import Table
    from otel_chat.server.prices import ServerPrices
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
        budgets: What the models may cost.
        human_cost: What a conversation with a human costs, USD, where that is known.
        prices: What models cost.
        cursor: Where the page before ended, of a page of a list; none of the first.
    """

    store: Store
    scope: Scope
    window: Window
    filters: Filters
    view: View
    budgets: Sequence[Budget] = ()
    human_cost: Decimal | None = None
    prices: ServerPrices | None = None
    cursor: str | None = None

    @property
    def timezone(self) -> str:
        """The name of the time zone whose hours are shown: of the address, else the reader's."""
        return self.view.value("timezone") or str(self.window.zone or UTC_NAME)


@dataclass(frozen=True, slots=True)
class Later:
    """A panel that is fetched after the rest of the page, for it takes its time.

    Args:
        key: A name for it, unique on the page.
        title: What it shows.
        address: Where it comes from.
    """

    form: ClassVar[str] = "later"
    key: str
    title: str
    address: str


Panel: TypeAlias = "Chart | Choice | Flow | Grid | Later | Table"


@dataclass(frozen=True, slots=True)
class Body:
    """What stands on a page.

    Args:
        cards: The headline figures.
        panels: Charts, grids and tables, in the order of the page.
        empty: Whether there was nothing at all in the window.
        notice: What has to be said beside.
        searched: Whether what was said can be searched for.
    """

    cards: Sequence[Card] = ()
    panels: Sequence[Panel] = ()
    empty: bool = False
    notice: str = ""
    searched: bool = False

    @property
    def charts(self) -> bool:
        """Whether anything has to be drawn by the library of charts."""
        return any(panel.form in {"chart", "later"} for panel in self.panels)


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
        parts: Panels that are fetched later, by the last step of their address.
        title: Its heading, where the label is too short for one.
    """

    key: str
    path: str
    label: str
    icon: str
    question: str
    body: Callable[[Asking], Body]
    parts: Mapping[str, Callable[[Asking], Sequence[Panel]]] = field(default_factory=dict)
    title: str = ""

    @property
    def heading(self) -> str:
        """What stands above it."""
        return self.title or self.label
