"""`/api/v1/erasures`: erasing conversations for good."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from otel_chat.errors import AccessError, QueryError
from otel_chat.server.api.errors import BODY_RESPONSES, FOUND_RESPONSES
from otel_chat.server.api.parameters import Admin, StoreParameter
from otel_chat.server.api.security import own_router
from otel_chat.server.erase import Eraser, limit_of

router = own_router(tags=["privacy"], responses={**FOUND_RESPONSES, **BODY_RESPONSES})

Text = Annotated[str, Field(min_length=1, max_length=1000)]


class ErasureRequest(BaseModel):
    """What to erase: exactly one of conversation_id, user_hash and before."""

    model_config = ConfigDict(extra="forbid")

    conversation_id: Text | None = Field(default=None, examples=["c-1"])
    user_hash: Text | None = Field(
        default=None, description="As it is stored: all conversations that the user took part in."
    )
    before: Text | None = Field(
        default=None,
        description="All that began before this moment of RFC 3339, or before this day in UTC.",
        examples=["2026-11-01"],
    )
    tenant: Text | None = Field(default=None, description="All tenants of the token without.")


class Erasure(BaseModel):
    """What was erased, for good."""

    turns: int
    spans: int
    events: int


@router.post("/erasures", summary="Erase conversations for good")
def erase(store: StoreParameter, scope: Admin, wanted: ErasureRequest) -> Erasure:
    """Turns, spans and events are gone when this answers, from every figure and every export.

    Telemetry that is sent again afterwards is stored again.

    Raises:
        QueryError: If not exactly one thing is named, or not as a time is written.
        AccessError: With status 404, if there is nothing of it.
    """
    named = [
        name
        for name in ("conversation_id", "user_hash", "before")
        if getattr(wanted, name) is not None
    ]
    eraser = Eraser(store, scope, wanted.tenant)
    match named, wanted:
        case ["conversation_id"], ErasureRequest(conversation_id=str(conversation_id)):
            done = eraser.conversation(conversation_id)
        case ["user_hash"], ErasureRequest(user_hash=str(user_hash)):
            done = eraser.user(user_hash)
        case ["before"], ErasureRequest(before=str(before)):
            done = eraser.before(limit_of(before))
        case _:
            message = "Name exactly one of conversation_id, user_hash and before."
            raise QueryError(message, field=named[1] if named else "conversation_id")
    if not (done.turns or done.spans or done.events):
        raise AccessError("There is nothing of this.", status=404)
    return Erasure(turns=done.turns, spans=done.spans, events=done.events)
