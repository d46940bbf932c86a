"""`/api/v1/unclaimed-spans`: what was sent and became part of no turn."""

from __future__ import annotations

from typing import Final

from otel_chat.server.api.errors import RESPONSES
from otel_chat.server.api.examples import WINDOW, shown
from otel_chat.server.api.parameters import Reader, StoreParameter, WindowParameter
from otel_chat.server.api.security import own_router
from otel_chat.server.figures.answers import TimeSpan
from otel_chat.server.questions import unclaimed as queries

router = own_router(tags=["operation"], responses=RESPONSES)

ANSWER: Final = shown(
    queries.UnclaimedSpans(
        window=TimeSpan.of(WINDOW),
        spans=12480,
        items=[
            queries.Unclaimed(
                instrumentation="openinference.instrumentation.langchain",
                reason="no conversation id",
                fix=queries.FIXES["no conversation id"],
                spans=12480,
                traces=2080,
            )
        ],
    )
)


@router.get("/unclaimed-spans", summary="Spans that became part of no turn", responses=ANSWER)
def unclaimed_spans(
    store: StoreParameter, scope: Reader, window: WindowParameter
) -> queries.UnclaimedSpans:
    """Spans of agents and models that are part of no turn, by the reason, with what to do."""
    return queries.unclaimed_spans(store, scope, window)
