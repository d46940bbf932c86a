"""The endpoints of one figure theme each, which take a window and filters and nothing more."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from fastapi import Query, Request

from otel_chat.server.api import examples
from otel_chat.server.api.errors import RESPONSES
from otel_chat.server.api.parameters import (
    FiltersParameter,
    StartedWindowParameter,
    StoreParameter,
    Viewer,
    WindowParameter,
)
from otel_chat.server.api.security import own_router
from otel_chat.server.questions import business as business_queries
from otel_chat.server.questions import costs as costs_queries
from otel_chat.server.questions import definitions as definition_queries
from otel_chat.server.questions import nlu, packs, subjects

router = own_router(responses=RESPONSES)


@router.get("/intents", tags=["nlu"], summary="Intents with success, confidence and share")
def intents(
    store: StoreParameter, scope: Viewer, window: WindowParameter, filters: FiltersParameter
) -> nlu.Intents:
    """The intents of the window, the most frequent first."""
    return nlu.intents(store, scope, window, filters)


@router.get("/topics", tags=["nlu"], summary="Topics, and the unresolved among them")
def topics(
    store: StoreParameter, scope: Viewer, window: WindowParameter, filters: FiltersParameter
) -> subjects.Topics:
    """The topics of conversations, the most frequent first."""
    return subjects.topics(store, scope, window, filters)


@router.get("/entities", tags=["nlu"], summary="Types of entities")
def entities(
    store: StoreParameter, scope: Viewer, window: WindowParameter, filters: FiltersParameter
) -> subjects.Entities:
    """The types of entities that were recognised, the most frequent first."""
    return subjects.entities(store, scope, window, filters)


@router.get("/sentiments", tags=["nlu"], summary="Sentiment of turns")
def sentiments(
    store: StoreParameter, scope: Viewer, window: WindowParameter, filters: FiltersParameter
) -> subjects.Sentiments:
    """The sentiment of turns, the most frequent first."""
    return subjects.sentiments(store, scope, window, filters)


@router.get(
    "/business",
    tags=["business"],
    summary="Containment, resolution, cost and savings",
    responses=examples.BUSINESS_ANSWER,
)
def business(
    request: Request,
    store: StoreParameter,
    scope: Viewer,
    window: WindowParameter,
    filters: FiltersParameter,
    cost_per_interaction: Annotated[
        Decimal | None,
        Query(
            ge=0,
            le=business_queries.DEAREST,
            description="What a conversation with a human costs, USD; what the server's setting"
            " says without. Where neither says it, savings are null.",
        ),
    ] = None,
) -> business_queries.Business:
    """What the bot is worth."""
    if cost_per_interaction is None:
        cost_per_interaction = request.app.state.settings.cost_per_interaction
    return business_queries.business(store, scope, window, filters, cost_per_interaction)


@router.get("/costs", tags=["business"], summary="What costs how much")
def costs(
    store: StoreParameter, scope: Viewer, window: StartedWindowParameter, filters: FiltersParameter
) -> costs_queries.Costs:
    """By model, intent, agent, version, channel and outcome, and the dearest conversations."""
    return costs_queries.costs(store, scope, window, filters)


@router.get("/costs/models", tags=["business"], summary="The same turns at other models")
def same_turns(
    request: Request,
    store: StoreParameter,
    scope: Viewer,
    window: WindowParameter,
    filters: FiltersParameter,
    at: Annotated[
        list[Annotated[str, Query(max_length=256)]] | None,
        Query(
            max_length=20,
            description="Models to tell, beside those that answered and those of the server's own"
            " price lists.",
        ),
    ] = None,
) -> costs_queries.SameTurns:
    """What the tokens of the window would cost at other models, by the prices of the server."""
    prices = request.app.state.prices
    return costs_queries.same_turns(store, scope, window, filters, prices, at or ())


@router.get("/definitions", tags=["definitions"], summary="What the figures mean")
def definitions(store: StoreParameter, _scope: Viewer) -> definition_queries.Definitions:
    """The rules behind each figure."""
    return definition_queries.definitions(store.rules)


@router.get(
    "/definitions/packs/{pack}",
    tags=["definitions"],
    summary="The same conversations by another product's rules",
)
def pack(
    store: StoreParameter,
    scope: Viewer,
    window: WindowParameter,
    filters: FiltersParameter,
    pack: packs.PackName,
) -> packs.PackAnswer:
    """Settled conversations scored by published rules, beside our own figures."""
    return packs.pack(store, scope, window, filters, pack)
