"""The routes of the pages that are no sheets: live, exports, settings, the tour of a sample."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import Depends, Request, Response
from starlette.responses import HTMLResponse, RedirectResponse

from otel_chat._common.moments import UTC_NAME
from otel_chat.server.access import ADMIN, ANALYTICS_VIEW, EXPORT_CREATE, Scope
from otel_chat.server.api.exports import Scheduled
from otel_chat.server.api.parameters import (
    FiltersParameter,
    NowParameter,
    StoreParameter,
    Viewer,
)
from otel_chat.server.api.security import own_router
from otel_chat.server.here import here
from otel_chat.server.pages import administration, downloads, links, live, periods, tour
from otel_chat.server.pages.errors import PageRoute
from otel_chat.server.pages.render import page
from otel_chat.server.pages.sheets import Asking
from otel_chat.server.questions import choices
from otel_chat.server.store import Store

router = own_router(
    prefix="", route_class=PageRoute, include_in_schema=False, default_response_class=HTMLResponse
)

TOUR_SECONDS: Final = 30 * 24 * 3600
SHOWN_FILES: Final = 10


def _now(
    request: Request,
    store: StoreParameter,
    scope: Viewer,
    window: NowParameter,
    filters: FiltersParameter,
) -> Asking:
    view = links.View.of("/live", request.query_params).without_values(*links.TIMES)
    return live.recent(Asking(store, scope, window, filters, view))


AskingNow = Annotated[Asking, Depends(_now)]


@router.get("/live")
def live_page(request: Request, asking: AskingNow) -> Response:
    """What goes on right now; a script brings the figures up to date as they change."""
    return page(
        request,
        "live.html",
        "live",
        view=asking.view,
        choices=choices.choices(asking.store, asking.scope, asking.window),
        cards=live.cards(live.now(asking), asking.view),
        panels_shown=live.panels(asking),
        stream=asking.view.at(live.STREAM),
    )


@router.get("/live/panels")
def live_panels(request: Request, asking: AskingNow) -> Response:
    """The part of the page that is fetched again as things happen."""
    return page(
        request, "live_panels.html", "live", view=asking.view, panels_shown=live.panels(asking)
    )


@router.get("/exports")
def exports_page(
    request: Request,
    store: StoreParameter,
    scope: Viewer,
    window: periods.WindowParameter,
    filters: FiltersParameter,
) -> Response:
    """Every export and report, with the filters of the address."""
    view = links.View.of("/exports", request.query_params)
    written = _scheduled(request, scope)
    return page(
        request,
        "exports.html",
        "exports",
        view=view,
        window=window,
        filters=filters,
        choices=choices.choices(store, scope, window),
        may_export=scope.allows(EXPORT_CREATE),
        permission=EXPORT_CREATE,
        exports=downloads.exports(view),
        formats=downloads.FORMATS,
        reports=downloads.reports(view),
        scheduled=written,
        scheduled_files=[] if written is None else written.items,
        zones=periods.zones(view.value("timezone") or UTC_NAME),
    )


def _scheduled(request: Request, scope: Scope) -> Scheduled | None:
    """Scheduled exports, for who may see them."""
    if scope.tenants is not None or not scope.allows(EXPORT_CREATE):
        return None
    exporter = request.app.state.exporter
    return Scheduled.of(exporter, exporter.files()[:SHOWN_FILES])


@router.get("/docs")
def docs_page(request: Request, _: Viewer) -> Response:
    """The API's description, drawn by a library that ships with the server."""
    return page(request, "docs.html", "docs", description=request.app.openapi_url)


def _settings(
    request: Request,
    store: Store,
    scope: Scope,
    *,
    told: administration.Told | None = None,
    was_open: bool = False,
    form: dict[str, list[str]] | None = None,
) -> Response:
    now = datetime.now(UTC)
    may_change = scope.allows(ADMIN)
    bad = told is not None and told.bad
    return page(
        request,
        "settings.html",
        "settings",
        status=422 if bad else 200,
        told=told,
        waiting=request.app.state.settler.waiting(),
        sees_all=scope.tenants is None,
        was_open=was_open,
        typed=(form or {}) if bad else {},
        may_change=may_change,
        permission=ADMIN,
        open=may_change and administration.open_to_all(request),
        tokens=administration.tokens(request, scope, now) if may_change else [],
        tenants=administration.tenants(scope),
        permissions=administration.permissions(),
        lives=administration.LIVES,
        definitions=administration.meaning_of_figures(request.app.state.store.rules),
        packs=administration.packs_of_rules(),
        unclaimed=administration.unclaimed(store, scope) if scope.allows(ANALYTICS_VIEW) else None,
    )


@router.get("/settings")
def settings_page(request: Request, store: StoreParameter, scope: Viewer) -> Response:
    """Tokens and erasing for whoever may, and what the figures mean."""
    return _settings(request, store, scope)


Form = Annotated[dict[str, list[str]], Depends(administration.form_of)]
Manager = Annotated[Scope, Depends(administration.admin_of)]


@router.post("/settings/tokens")
def make_token(request: Request, store: StoreParameter, scope: Manager, form: Form) -> Response:
    """Makes a token, and shows it once."""
    was_open = administration.open_to_all(request)
    told = administration.make_token(request, scope, form)
    return _settings(request, store, scope, told=told, was_open=was_open, form=form)


@router.post("/settings/tokens/revoke")
def revoke_token(request: Request, store: StoreParameter, scope: Manager, form: Form) -> Response:
    """Revokes a token."""
    told = administration.revoke_token(request, scope, form)
    return _settings(request, store, scope, told=told)


@router.post("/settings/erasures")
def erase(request: Request, store: StoreParameter, scope: Manager, form: Form) -> Response:
    """Erases for good."""
    told = administration.erase(store, scope, form)
    return _settings(request, store, scope, told=told, form=form)


@router.get("/settings/{_change:path}")
def back_to_settings(_change: str) -> Response:
    """Leads back whoever reloads the address that a form was sent to."""
    return RedirectResponse("/settings", status_code=303)


@router.post("/tour")
def show_tour(request: Request, form: Form) -> Response:
    """Shows the tour of a sample on every page, or on none, in this browser."""
    answer = RedirectResponse(here(administration.first_of(form, "next")), status_code=303)
    if administration.first_of(form, "show"):
        answer.delete_cookie(tour.COOKIE, httponly=True, samesite="lax")
    else:
        answer.set_cookie(
            tour.COOKIE,
            tour.HIDDEN,
            max_age=TOUR_SECONDS,
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
    return answer
