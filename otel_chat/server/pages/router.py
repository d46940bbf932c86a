"""The routes of the pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final
from urllib.parse import parse_qs

from fastapi import Depends, Query, Request, Response
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.datastructures import URL
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse

from otel_chat.errors import AccessError
from otel_chat.server.access import CONVERSATIONS_READ, EXPORT_CREATE, MARKS_WRITE, Scope
from otel_chat.server.api.conversations import ListingParameter
from otel_chat.server.api.parameters import (
    ConversationId,
    CursorParameter,
    FiltersParameter,
    NowParameter,
    StoreParameter,
    TenantParameter,
    Viewer,
)
from otel_chat.server.api.security import COOKIE, access_of, addressed, own_router
from otel_chat.server.figures.window import Window
from otel_chat.server.here import here
from otel_chat.server.pages import (
    assets,
    changes,
    headline_cards,
    links,
    listing,
    more,
    overview,
    periods,
    questions,
    reports,
    reviews,
    runbooks,
    segments,
    showing,
    times,
    waterfall,
)
from otel_chat.server.pages import conversation as transcript
from otel_chat.server.pages.errors import PageRoute, error_page
from otel_chat.server.pages.render import SHEETS, page
from otel_chat.server.pages.sheets import Asking, Panel, Sheet
from otel_chat.server.pages.showing import sees_several
from otel_chat.server.questions import (
    choices,
    clear_changes,
    conversations,
    marks,
    presets,
    previews,
    ranked,
    traces,
)
from otel_chat.server.questions import conversation as one_conversation
from otel_chat.server.questions import leaders as leaders_queries
from otel_chat.server.questions import overview as figures
from otel_chat.server.questions import reviews as verdicts
from otel_chat.server.store import Store

LATEST: Final = 10
COOKIE_SECONDS: Final = 30 * 24 * 3600

router = own_router(
    prefix="", route_class=PageRoute, include_in_schema=False, default_response_class=HTMLResponse
)


class _AnyPage(StringConvertor):
    """Every path that is not an interface for programs: those answer in their own way."""

    regex = r"(?!(?:api|v1)(?:/|$)).*"


register_url_convertor("any_page", _AnyPage())


@dataclass(frozen=True, slots=True)
class Question:
    """What every page of conversations asks with: who, of which store, when."""

    request: Request
    store: StoreParameter
    scope: Viewer
    now: NowParameter


Asked = Annotated[Question, Depends(Question)]
NamedConversation = Annotated[str | None, Query(alias="id", max_length=1000)]
TurnParameter = Annotated[str | None, Query(max_length=16)]


@router.get("/")
def overview_page(
    request: Request,
    store: StoreParameter,
    scope: Viewer,
    window: periods.WindowParameter,
    filters: FiltersParameter,
) -> Response:
    """How chat is doing: headline figures, their course, the latest conversations."""
    asked = (store, scope, window, filters)
    newest = store.submit(conversations.conversations, *asked, LATEST)
    chosen = store.submit(choices.choices, store, scope, window)
    tested = store.submit(clear_changes.clear_changes, *asked)
    answer, series = figures.overview_and_series(*asked)
    found = tested.result()
    latest = newest.result()
    view = links.View.of("/", request.query_params)
    empty = not answer.turns and not answer.conversations
    return page(
        request,
        "overview.html",
        "overview",
        view=view,
        window=window,
        filters=filters,
        choices=chosen.result(),
        overview=answer,
        empty=empty,
        newest_week=periods.newest_week(request, store, scope, window, "/") if empty else None,
        cards=headline_cards.cards(answer, series, view, found.items),
        saying=changes.saying(found, tenants=sees_several(scope)),
        found=found,
        changed=changes.changed(found),
        changed_meaning=changes.CHANGED_MEANING,
        containment_meanings=overview.meanings("containment_contribution", "containment_ratio"),
        charts=overview.charts(series, window, view),
        outcomes=overview.outcomes(answer, view),
        outcome_meanings=overview.outcome_meanings(),
        latest=latest,
        previews=_previews(store, scope, window, latest.items),
        columns=listing.USUAL,
        **_tenants(scope, latest.items),
    )


@router.get("/admin/chat-analytics/")
@router.get("/admin/chat-analytics")
def documented_dashboard(request: Request) -> Response:
    """Where a document on chat analytics has its dashboard: ours is the overview."""
    return RedirectResponse(links.View.of("/", request.query_params).at("/"), status_code=303)


@router.get("/leaders")
def leaders_page(
    request: Request,
    store: StoreParameter,
    scope: Viewer,
    window: periods.WindowParameter,
    filters: FiltersParameter,
) -> Response:
    """What is most frequent: the part of the overview that is fetched after the rest."""
    found = leaders_queries.leaders(store, scope, window, filters)
    view = links.View.of("/", request.query_params)
    return page(
        request,
        "leaders.html",
        "overview",
        view=view,
        rankings=changes.rankings(found, view),
        causes=changes.causes(found, window, view),
    )


@router.get("/conversations")
def conversations_page(
    asked: Asked,
    window: periods.WindowParameter,
    filters: FiltersParameter,
    wanted: ListingParameter,
    cursor: CursorParameter = None,
    tenant: TenantParameter = None,
    turn: TurnParameter = None,
) -> Response:
    """The conversations of the window, in the order and as far as the reader asks."""
    query = asked.request.query_params
    if (named := query.get("id")) is not None:
        return _conversation(asked, named, tenant, turn, cursor)
    counting = asked.store.submit(presets.count_presets, asked.store, asked.scope, window, filters)
    found = ranked.ranked(asked.store, asked.scope, window, filters, wanted, cursor=cursor)
    view = links.View.of(links.LIST, query)
    keys = [(item.tenant, item.conversation_id) for item in found.items]
    noted = marks.marks(asked.store, asked.scope, keys).items
    whence = (asked.request, asked.store, asked.scope, window, links.LIST)
    return page(
        asked.request,
        "conversations.html",
        "conversations",
        view=view,
        window=window,
        previews=_previews(asked.store, asked.scope, window, found.items),
        presets=[] if wanted.search else listing.presets(view, counting.result()),
        dearest=view.narrowed(links.LIST, sort="-cost"),
        columns=listing.columns(view),
        all_columns=listing.COLUMNS,
        headings=listing.headings(view),
        marks=listing.marks_by_key(found.items, noted),
        verdicts=verdicts.verdicts(asked.store, asked.scope, keys),
        review_these=view.at(links.QUEUE),
        tags=marks.marks(asked.store, asked.scope).tags,
        download=listing.download(view),
        newest=wanted.sort == ranked.NEWEST,
        may_read=asked.scope.allows(CONVERSATIONS_READ),
        may_mark=asked.scope.allows(MARKS_WRITE),
        may_export=asked.scope.allows(EXPORT_CREATE),
        filters=filters,
        choices=choices.choices(asked.store, asked.scope, window),
        page=found,
        newest_week=None if found.items else periods.newest_week(*whence),
        **_tenants(asked.scope, found.items),
    )


@router.get("/conversations/{conversation_id:id}")
def conversation_page(
    asked: Asked,
    conversation_id: ConversationId,
    tenant: TenantParameter = None,
    turn: TurnParameter = None,
    cursor: CursorParameter = None,
) -> Response:
    """One conversation: what was said, or how it was done."""
    return _conversation(asked, conversation_id, tenant, turn, cursor)


@router.get("/reading")
def reading_pane(
    asked: Asked,
    conversation_id: NamedConversation = None,
    tenant: TenantParameter = None,
) -> Response:
    """What was said in a conversation, for the pane beside the list; the list without an id."""
    if conversation_id is None:
        return RedirectResponse(links.LIST, status_code=303)
    source = (asked.store, asked.scope, asked.now, conversation_id)
    found = one_conversation.conversation(*source, tenant)
    return page(
        asked.request,
        "reading.html",
        "",
        **showing.outlined(asked.request, asked.store, asked.scope, asked.now, found),
        **showing.shown(asked.request, asked.store, asked.scope, found, None),
    )


@router.get("/turn")
def turn_page(
    asked: Asked,
    conversation_id: NamedConversation = None,
    tenant: TenantParameter = None,
    turn: TurnParameter = None,
) -> Response:
    """All that is known of a turn, fetched when it is opened; the list without its ids."""
    if conversation_id is None or turn is None:
        return RedirectResponse(links.LIST, status_code=303)
    source = (asked.store, asked.scope, asked.now)
    found = one_conversation.one_turn(*source, conversation_id, tenant, turn)
    shown = showing.shown(asked.request, asked.store, asked.scope, found, turn)
    item = shown["shown"].turns[0]
    spans = traces.trace(*source, item.turn.trace_id)
    fall = waterfall.of_turn(spans, item.turn.span_id)
    return page(asked.request, "turn.html", "conversations", item=item, waterfall=fall, **shown)


def _sheet_route(sheet: Sheet) -> None:
    @router.get(sheet.path, name=sheet.key)
    def sheet_page(
        request: Request,
        store: StoreParameter,
        scope: Viewer,
        window: periods.WindowParameter,
        filters: FiltersParameter,
    ) -> Response:
        view = links.View.of(sheet.path, request.query_params)
        chosen = store.submit(choices.choices, store, scope, window)
        known = request.app.state.settings
        of_money = (known.budgets, known.cost_per_interaction, request.app.state.prices)
        cursor = request.query_params.get("cursor")
        body = sheet.body(Asking(store, scope, window, filters, view, *of_money, cursor))
        return page(
            request,
            "sheet.html",
            sheet.key,
            view=view,
            window=window,
            filters=filters,
            choices=chosen.result(),
            sheet=sheet,
            body=body,
            newest_week=periods.newest_week(request, store, scope, window, sheet.path)
            if body.empty
            else None,
        )


def _part_route(sheet: Sheet, name: str, make: Callable[[Asking], Sequence[Panel]]) -> None:
    @router.get(f"{sheet.path}/{name}", name=f"{sheet.key}-{name}")
    def part_page(
        request: Request,
        store: StoreParameter,
        scope: Viewer,
        window: periods.WindowParameter,
        filters: FiltersParameter,
    ) -> Response:
        view = links.View.of(sheet.path, request.query_params)
        return page(
            request,
            "part.html",
            sheet.key,
            view=view,
            back=view.at(sheet.path),
            label=sheet.label,
            title=sheet.heading,
            panels_shown=make(Asking(store, scope, window, filters, view)),
        )


for _sheet in SHEETS:
    _sheet_route(_sheet)
    for _name, _make in _sheet.parts.items():
        _part_route(_sheet, _name, _make)


@router.get("/traces/{trace_id}")
def trace_page(store: StoreParameter, scope: Viewer, now: NowParameter, trace_id: str) -> Response:
    """Leads to the turn that a trace belongs to."""
    found = traces.trace(store, scope, now, trace_id)
    tenant = found.tenant if sees_several(scope) else None
    address = links.conversation(found.conversation_id, tenant=tenant, turn=found.turn_span_id)
    return RedirectResponse(address, status_code=303)


@router.get("/static/{version}/{name:path}")
def static_file(request: Request, version: str, name: str) -> Response:
    """A static file."""
    return assets.serve(request, version, name)


@router.post("/sign-in")
async def sign_in(request: Request) -> Response:
    """Keeps a token in a cookie that scripts cannot read and other sites cannot send."""
    form = parse_qs((await request.body()).decode("utf-8", "replace"))
    token = form.get("token", [""])[-1].strip()
    wanted = here(form.get("next", ["/"])[-1])
    try:
        access_of(request).authenticate(token, host=addressed(request))
    except AccessError as error:
        return error_page(request, error, wanted, typed=token)
    answer = RedirectResponse(wanted, status_code=303)
    answer.set_cookie(
        COOKIE,
        token,
        max_age=COOKIE_SECONDS,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return answer


@router.post("/sign-out")
def sign_out() -> Response:
    """Forgets the token in this browser."""
    answer = RedirectResponse("/", status_code=303)
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return answer


for _pages in (more, questions, reports, reviews, segments, runbooks):
    router.routes.extend(_pages.router.routes)


@router.get("/{path:any_page}")
def nothing_here(path: str) -> Response:
    """Answers for every address that has no page."""
    raise HTTPException(404, path)


def _previews(
    store: Store, scope: Scope, window: Window, items: list[conversations.ConversationSummary]
) -> dict[tuple[str, str], previews.Preview]:
    """What is shown of each of the conversations of a list."""
    keys = [(item.tenant, item.conversation_id) for item in items]
    since = min((item.started_at for item in items), default=window.start)
    return previews.previews(store, scope, window, keys, since)


def _tenants(scope: Scope, items: list[conversations.ConversationSummary]) -> dict[str, bool]:
    """Whether a list shows tenants, and whether its links name them."""
    return {
        "several_tenants": len({item.tenant for item in items}) > 1,
        "tenants_in_links": sees_several(scope),
    }


def _conversation(
    asked: Question,
    conversation_id: str,
    tenant: str | None,
    turn: str | None,
    cursor: str | None,
) -> Response:
    source = (asked.store, asked.scope, asked.now, conversation_id)
    shown_as = _shown_as(asked.request)
    limits = transcript.ITEMS_OF[shown_as]
    if turn is not None and cursor is None:
        cursor = one_conversation.cursor_of_turn(*source, tenant, turn, *limits)
    found = one_conversation.conversation(*source, tenant, cursor, *limits)
    about = found.summary
    here = asked.request.url
    answer = page(
        asked.request,
        "conversation.html",
        "conversations",
        facts=transcript.facts(about),
        whole=times.parts(found.times),
        time_meanings=times.meanings(),
        begins=cursor is None,
        **_neighbours(asked, found),
        views=transcript.VIEWS,
        views_at={key: here_as(here, key) for key in transcript.VIEWS},
        shown_as=shown_as,
        engagement_meaning=overview.meanings("engagement_score"),
        **showing.outlined(asked.request, asked.store, asked.scope, asked.now, found),
        **showing.shown(asked.request, asked.store, asked.scope, found, turn),
    )
    if "view" in asked.request.query_params:
        answer.set_cookie(
            transcript.VIEW_COOKIE,
            shown_as,
            max_age=COOKIE_SECONDS,
            httponly=True,
            samesite="lax",
            secure=here.scheme == "https",
        )
    return answer


def _neighbours(asked: Question, found: one_conversation.Conversation) -> dict[str, Any]:
    """Where the conversations are that the same id was before and after a silence."""
    tenant = found.summary.tenant if sees_several(asked.scope) else None
    sides = {"before": found.previous_episode, "after": found.next_episode}
    return {
        side: known and links.conversation(known, tenant=tenant) for side, known in sides.items()
    }


def here_as(here: URL, shown_as: str) -> str:
    """The present address with another view of a conversation."""
    asked = here.include_query_params(view=shown_as)
    return f"{asked.path}?{asked.query}"


def _shown_as(request: Request) -> str:
    """The view of conversations that is asked for, else the one that was asked for last."""
    for wanted in (
        request.query_params.get("view"),
        request.cookies.get(transcript.VIEW_COOKIE),
    ):
        if wanted in transcript.VIEWS:
            return str(wanted)
    return next(iter(transcript.VIEWS))
