"""Rendering: one environment of templates, and what every page has in common."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse

from otel_chat._version import __version__
from otel_chat.server.api.security import COOKIE
from otel_chat.server.pages import assets, formats, links, listing, periods, replies, tour
from otel_chat.server.pages.compare import COMPARE
from otel_chat.server.pages.costs import COSTS
from otel_chat.server.pages.engagement import ENGAGEMENT
from otel_chat.server.pages.forecasts import FORECASTS
from otel_chat.server.pages.intents import INTENTS
from otel_chat.server.pages.journeys import JOURNEYS
from otel_chat.server.pages.outcomes import OUTCOMES_PAGE
from otel_chat.server.pages.performance import PERFORMANCE
from otel_chat.server.pages.recommendations import RECOMMENDATIONS
from otel_chat.server.pages.turns import TURNS

if TYPE_CHECKING:
    from starlette.requests import Request

    from otel_chat.server.access import Scope


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the navigation.

    Args:
        key: Its name.
        path: Where it leads.
        label: What it is called.
        icon: The name of its icon.
    """

    key: str
    path: str
    label: str
    icon: str


SHEETS: Final = (
    TURNS,
    INTENTS,
    JOURNEYS,
    PERFORMANCE,
    OUTCOMES_PAGE,
    ENGAGEMENT,
    COSTS,
    COMPARE,
    FORECASTS,
    RECOMMENDATIONS,
)
NAVIGATION: Final = (
    Entry("overview", "/", "Overview", "overview"),
    Entry("conversations", "/conversations", "Conversations", "chat"),
    Entry("review", "/review", "Review", "review"),
    Entry("live", "/live", "Live", "live"),
    *(Entry(sheet.key, sheet.path, sheet.label, sheet.icon) for sheet in SHEETS),
    Entry("segments", "/segments", "Segments", "columns"),
    Entry("reports", "/reports", "Reports", "report"),
    Entry("exports", "/exports", "Exports", "report"),
    Entry("settings", "/settings", "Settings", "settings"),
)


@cache
def environment() -> Environment:
    """The templates, with what they may call."""
    made = Environment(
        loader=PackageLoader("otel_chat.server.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for written in (
        formats.clock,
        formats.compact,
        formats.count,
        formats.duration,
        formats.field_time,
        formats.money,
        formats.percent,
        formats.plural,
        formats.score,
        formats.size,
        formats.when,
    ):
        made.filters[written.__name__] = written
    made.filters["drawn"] = replies.drawn
    made.filters["pairs"] = lambda values: [(value, value) for value in values]
    made.filters["ago"] = lambda moment: formats.ago(moment, datetime.now(UTC))
    made.globals |= {
        "asset": assets.address,
        "conversation_link": links.conversation,
        "turn_link": links.turn,
        "navigation": NAVIGATION,
        "reasons_of": listing.reasons,
        "version": __version__,
    }
    return made


def page(
    request: Request, template: str, here: str, *, status: int = 200, **context: Any
) -> HTMLResponse:
    """A page as an answer.

    Args:
        request: What was asked for.
        template: The template's name.
        here: The entry of the navigation that it belongs to; empty for none.
        status: The HTTP status.
        context: What the template shows.
    """
    asked = datetime.now(UTC)
    zone = periods.reader_zone(request)
    if "view" in context:
        context["calendar"] = periods.calendar(context["view"], zone, asked)
    text = (
        environment()
        .get_template(template)
        .render(
            here=here,
            base=str(request.base_url).rstrip("/"),
            now=asked,
            zone=zone.key,
            signed_in=COOKIE in request.cookies,
            reader=_reader(request),
            tour=tour.tour(request),
            **context,
        )
    )
    return HTMLResponse(text, status_code=status)


def _reader(request: Request) -> str:
    """Who is signed in, and of which tenant; empty where that is not known."""
    scope: Scope | None = getattr(request.state, "scope", None)
    if scope is None or not scope.name:
        return ""
    if scope.tenants is None:
        return f"{scope.name} · every tenant"
    only = next(iter(scope.tenants)) if len(scope.tenants) == 1 else ""
    return f"{scope.name} · {only or formats.plural(len(scope.tenants), 'tenant')}"
