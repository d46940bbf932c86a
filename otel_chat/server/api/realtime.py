"""`/api/v1/realtime`: what is going on right now, once or as it goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Depends, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from otel_chat.errors import AccessError, StoreError
from otel_chat.server.access import Scope
from otel_chat.server.api.errors import RESPONSES, told
from otel_chat.server.api.known import PREFIX
from otel_chat.server.api.live import Live
from otel_chat.server.api.parameters import (
    FiltersParameter,
    NowParameter,
    StoreParameter,
    Viewer,
    idle_of,
)
from otel_chat.server.api.performance_examples import REALTIME_ANSWER
from otel_chat.server.api.security import Credentials, access_of, addressed, own_router, token_of
from otel_chat.server.figures.window import Window
from otel_chat.server.questions import realtime as queries
from otel_chat.server.questions import waiting as waiting_queries

router = own_router(prefix=f"{PREFIX}/realtime", tags=["realtime"])

# Not by its model: that would be described as a stream, which an error is not.
_ERROR: Final = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorAnswer"}}}
_REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"description": answer["description"], "content": _ERROR}
    for status, answer in RESPONSES.items()
}

RETRY_MILLISECONDS: Final = 5000
Minutes = Annotated[
    int, Query(ge=1, le=queries.LONGEST, description="How far to look back for turns.")
]


async def watching(request: Request) -> AsyncIterator[asyncio.Event]:
    """A place among those who watch, for as long as the answer flows."""
    live: Live = request.app.state.live
    with live.watch() as closing:
        yield closing


@dataclass(frozen=True, slots=True)
class Watcher:
    """Who watches.

    Args:
        request: The request.
        credentials: The token that came with it.
        closing: Set when the server stops.
    """

    request: Request
    credentials: Credentials
    closing: Annotated[asyncio.Event, Depends(watching)]

    async def scope(self) -> Scope:
        """What the watcher may see by now.

        Raises:
            AccessError: If the token has expired or was revoked.
        """
        return await asyncio.to_thread(
            access_of(self.request).authenticate,
            token_of(self.request, self.credentials),
            host=addressed(self.request),
        )

    async def pause(self, seconds: float) -> bool:
        """Waits; gives whether to go on."""
        try:
            await asyncio.wait_for(self.closing.wait(), seconds)
        except TimeoutError:
            return True
        return False


@router.get("", summary="The last minutes", responses={**RESPONSES, **REALTIME_ANSWER})
def realtime(
    store: StoreParameter,
    scope: Viewer,
    window: NowParameter,
    filters: FiltersParameter,
    minutes: Minutes = queries.MINUTES,
) -> queries.Realtime:
    """Active conversations, turns, response time, mean rating, as of now."""
    return queries.realtime(store, scope, window, filters, minutes)


@router.get(
    "/stream",
    summary="The last minutes, as they go by",
    response_class=EventSourceResponse,
    responses=_REFUSALS,
)
async def stream(
    watcher: Annotated[Watcher, Depends(Watcher)],
    store: StoreParameter,
    scope: Viewer,  # noqa: ARG001 - asked for before the stream begins
    filters: FiltersParameter,
    minutes: Minutes = queries.MINUTES,
    events: Annotated[
        int | None, Query(ge=1, le=100_000, description="End after so many; never without.")
    ] = None,
) -> AsyncIterator[ServerSentEvent]:
    """Server-sent events, one every five seconds, each as `/realtime` answers.

    It ends when the token is revoked or expires, and when the server stops. Each event is whole:
    whoever comes back, with a Last-Event-ID or without, goes on with the figures of then.
    """
    live: Live = watcher.request.app.state.live
    idle = idle_of(watcher.request)
    sent = 0
    while True:
        try:
            allowed = await watcher.scope()
            allowed.require("analytics:view")

            def compute(allowed: Scope = allowed) -> queries.Realtime:
                return queries.realtime(store, allowed, Window.last(idle=idle), filters, minutes)

            answer = await live.answer((allowed, filters, minutes), compute)
        except (AccessError, StoreError) as error:
            yield ServerSentEvent(data={"message": told(error)}, event="error")
            return
        sent += 1
        yield ServerSentEvent(
            data=answer.model_dump(mode="json"),
            event="realtime",
            id=answer.timestamp.isoformat(),
            retry=RETRY_MILLISECONDS,
        )
        if sent == events or not await watcher.pause(live.every):
            return


@router.get("/waiting", summary="Who waits for a human", responses=RESPONSES)
def waiting(
    store: StoreParameter, scope: Viewer, window: NowParameter, filters: FiltersParameter
) -> waiting_queries.WaitingList:
    """Handoffs of the last day that nobody took, the longest first; text with its scope."""
    return waiting_queries.waiting(store, scope, window, filters)
