"""The pages of unanswered questions: all of them by state, and one with its conversations."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Final

from fastapi import Depends, Request, Response
from starlette.responses import HTMLResponse, RedirectResponse

from otel_chat.errors import QueryError
from otel_chat.server.access import MARKS_WRITE, Scope
from otel_chat.server.api.parameters import (
    FiltersParameter,
    Reader,
    StoreParameter,
)
from otel_chat.server.api.security import own_router
from otel_chat.server.pages import formats, intents, links, periods
from otel_chat.server.pages.administration import first_of, form_of, reader_with
from otel_chat.server.pages.errors import PageRoute
from otel_chat.server.pages.overview import meanings
from otel_chat.server.pages.render import page
from otel_chat.server.pages.sheets import Asking
from otel_chat.server.pages.tables import Cell, Head, Table, table
from otel_chat.server.questions import theme_effect as effects
from otel_chat.server.questions import unanswered
from otel_chat.server.theme_states import Deciding, decide

router = own_router(
    prefix="", route_class=PageRoute, include_in_schema=False, default_response_class=HTMLResponse
)

ALL: Final = "/intents/questions"
SHOWN: Final = 100
BADGES: Final = {"open": "unsure", "answered": "resolved", "ignored": "cancelled"}
_VERDICTS: Final = {
    "fewer": ("good", "Fewer are left unanswered, beyond chance."),
    "more": ("bad", "More are left unanswered, beyond chance."),
    "within_chance": ("", "Within chance: these numbers cannot tell."),
    "no_data": ("", "Nobody asked it before or after: there is nothing to compare yet."),
}


def decider_of(request: Request) -> Scope:
    """The scope of a reader who may decide about questions.

    Raises:
        AccessError: With status 401 or 403, if the reader may not.
    """
    return reader_with(request, MARKS_WRITE)


Form = Annotated[dict[str, list[str]], Depends(form_of)]
Decider = Annotated[Scope, Depends(decider_of)]


def _number(text: str, name: str) -> int:
    if not text:
        return 0
    if not text.isdecimal() or len(text) > 6:  # noqa: PLR2004 - more than there can be
        raise QueryError("It is a whole number from 0 up.", field=name)
    return int(text)


@router.get(ALL)
def questions_page(
    request: Request,
    store: StoreParameter,
    scope: Reader,
    window: periods.WindowParameter,
    filters: FiltersParameter,
) -> Response:
    """Every question of the window that was not answered, by state."""
    view = links.View.of(ALL, request.query_params)
    shown = view.value("show")
    states = [one for one in unanswered.STATES if one == shown] or list(unanswered.STATES)
    skipped = _number(view.value("skip"), "skip")
    found = unanswered.unanswered(store, scope, window, filters, states, skipped)
    asking = Asking(store, scope, window, filters, view.without_values("show", "skip"))
    made = intents.themes_table(asking, found, unanswered.MOST)
    following = skipped + len(found.items)
    bare = view.without_values("show", "skip")
    tabs = [("All", bare.at(ALL), sum(found.by_state.values()), not shown)]
    tabs += [
        (one.capitalize(), bare.narrowed(ALL, show=one), count, shown == one)
        for one, count in found.by_state.items()
    ]
    return page(
        request,
        "questions.html",
        "intents",
        view=view,
        window=window,
        back=bare.at("/intents"),
        tabs=tabs,
        panel=replace(made, rest=intents.sample(found)),
        more=view.narrowed_here(ALL, skip=str(following)) if following < found.themes else "",
        left=found.themes - following,
    )


@router.get("/intents/question")
def question_page(
    request: Request,
    store: StoreParameter,
    scope: Reader,
    window: periods.WindowParameter,
    filters: FiltersParameter,
) -> Response:
    """One question: what was decided, whether it helped, and exactly who asked it."""
    query = request.query_params
    if not (named := query.get("asking")):
        return RedirectResponse(links.View.of(ALL, query).at(ALL), status_code=303)
    view = links.View.of("/intents/question", query)
    skipped = _number(view.value("skip"), "skip")
    view = view.without_values("skip")
    found = unanswered.one_theme(store, scope, window, filters, named)
    decision = found.decision
    effect = None
    if decision is not None and decision.state == "answered":
        effect = effects.theme_effect(store, scope, window, filters, decision.trace_id)
    several = scope.tenants is None or len(scope.tenants) > 1
    following = skipped + SHOWN
    return page(
        request,
        "question.html",
        "intents",
        view=view,
        window=window,
        back=view.at(ALL),
        found=found,
        badge=BADGES[found.state],
        may_decide=scope.allows(MARKS_WRITE),
        permission=MARKS_WRITE,
        choices=[one for one in unanswered.STATES if one != found.state],
        effect=effect and _effect(effect),
        verdict=effect and _VERDICTS[effect.verdict],
        asked=_asked(found.conversations[skipped:following], several=several),
        more=view.at("/intents/question", asking=named, skip=str(following))
        if following < len(found.conversations)
        else "",
        deciding=view.at("/intents/question"),
    )


@router.post("/intents/question")
def decide_here(request: Request, store: StoreParameter, scope: Decider, form: Form) -> Response:
    """Keeps what is decided about a question, and leads back to it."""
    named, state = first_of(form, "asking"), first_of(form, "state")
    if state not in unanswered.STATES:
        message = f"It is one of {', '.join(unanswered.STATES)}."
        raise QueryError(message, field="state")
    decide(store, scope, named, Deciding(state=state), first_of(form, "tenant") or None)
    view = links.View.of("/intents/question", request.query_params)
    address = view.at("/intents/question", asking=named)
    return RedirectResponse(address, status_code=303)


def _effect(found: effects.Effect) -> Table:
    def between(low: float | None, high: float | None, written: str) -> str:
        return "" if low is None or high is None else f"{low:{written}} to {high:{written}}"

    def per_week(one: effects.Asked) -> Cell:
        if one.per_week is None:
            return Cell(formats.NO_DATA)
        return Cell(
            f"{one.per_week:,.1f}", sub=between(one.per_week_low, one.per_week_high, ",.1f")
        )

    def left(one: effects.Asked) -> Cell:
        low, high = one.rate_low, one.rate_high
        sub = between(low and 100 * low, high and 100 * high, ".0f")
        return Cell(formats.percent(one.rate), share=one.rate, sub=f"{sub} %" if sub else "")

    heads: list[Head[effects.Asked]] = [
        Head("", lambda o: "Before" if o is found.before else "After", number=False),
        Head("From", lambda o: formats.when(o.start), number=False),
        Head("Until", lambda o: formats.when(o.end), number=False),
        Head("Asked in", lambda o: formats.count(o.conversations), figure="theme_asked"),
        Head("A week", per_week, figure="theme_asked_per_week"),
        Head("Left unanswered", lambda o: formats.count(o.unanswered),
             figure="theme_left_unanswered"),
        Head("Share", left, figure="theme_unanswered_ratio"),
    ]  # fmt: skip
    return table(
        "effect",
        "Did it help?",
        "How often is it asked, and left unanswered, before and after?",
        heads,
        [found.before, found.after],
        nothing="",
        wide=True,
        more=[("Small figures", "95 % intervals: Garwood's of counts, Wilson's of shares.")],
    )


def _asked(rows: list[unanswered.Unanswered], *, several: bool) -> Table:
    def said(one: unanswered.Unanswered) -> Cell:
        tenant = one.tenant if several else None
        return Cell(
            one.message, links.conversation(one.conversation_id, tenant=tenant), quoted=True
        )

    heads: list[Head[unanswered.Unanswered]] = [
        Head("As it was asked", said, number=False),
        Head("Asked", lambda one: formats.when(one.time), number=False),
        Head("Taken for", lambda one: one.intent or "nothing", number=False),
        Head("Confidence", lambda one: formats.score(one.confidence)),
    ]
    return table(
        "asked",
        "Conversations",
        "Who asked it? Of each conversation the last asking, the newest first.",
        heads,
        rows,
        nothing="Nobody asked it in this window without being understood.",
        wide=True,
        shown=SHOWN,
        more=meanings("unanswered_turns"),
    )
