"""`/api/v1/repricings`: costs of the past by the prices of today."""

from __future__ import annotations

from typing import Annotated

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field

from otel_chat._common.moments import end_of, first_of
from otel_chat.errors import QueryError
from otel_chat.server.api.errors import BODY_RESPONSES
from otel_chat.server.api.parameters import Admin, StoreParameter
from otel_chat.server.api.security import own_router
from otel_chat.server.summaries.turn_prices import reprice

router = own_router(tags=["operation"], responses=BODY_RESPONSES)

Text = Annotated[str, Field(min_length=1, max_length=1000)]


class RepricingRequest(BaseModel):
    """Which turns to price anew."""

    model_config = ConfigDict(extra="forbid")

    first: Text = Field(
        alias="from", description="The first day in UTC, or moment.", examples=["2026-11-01"]
    )
    last: Text = Field(
        alias="to",
        description="The last day, or the first moment that is not priced.",
        examples=["2026-11-30"],
    )
    tenant: Text | None = Field(default=None, description="All tenants of the token without.")


class Repricing(BaseModel):
    """What was priced anew."""

    turns: int = Field(description="Turns that brought no cost of their own.")
    changed: int = Field(description="Those of them that cost something else now.")


@router.post("/repricings", summary="Price turns of the past anew")
def reprice_turns(
    request: Request, store: StoreParameter, scope: Admin, wanted: RepricingRequest
) -> Repricing:
    """Works out the costs of turns that brought none by the prices that the server has now.

    Costs that were sent stay. Figures follow as soon as the turns are settled again.

    Raises:
        QueryError: If the window is none.
    """
    first, last = first_of(wanted.first, "from"), end_of(wanted.last, "to")
    if first >= last:
        raise QueryError("'from' must be earlier than 'to'.", field="from")
    tenants = scope.tenants_of(wanted.tenant)
    done = reprice(store, request.app.state.prices, (first, last), tenants)
    return Repricing(turns=done.turns, changed=done.changed)
