"""What browsers, CRMs and programs in other languages tell of a conversation: no SDK needed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import Path, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from otel_chat import semconv as sc
from otel_chat.errors import QueryError
from otel_chat.privacy import Redactor
from otel_chat.server import patterns
from otel_chat.server.access import IngestGrant
from otel_chat.server.api.errors import BODY_RESPONSES, FOUND_RESPONSES
from otel_chat.server.api.security import FeedbackGrant, Grant, own_router
from otel_chat.server.episodes import Episode
from otel_chat.server.ingest.commit import Committer
from otel_chat.server.ingest.events import EARLIEST, LATEST, Value, event_batch, new_id

router = own_router(tags=["reporting"])

_redact = Redactor()

Name = Annotated[str, Field(min_length=1, max_length=200)]
Outcome = Literal["resolved", "handed_off", "abandoned", "failed"]


class Told(BaseModel):
    """What is common to all that is told of a conversation."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    tenant: Name | None = Field(
        default=None, description="Needed only where the token may write several."
    )
    agent: Name | None = Field(default=None, description="The agent's name, if it is known here.")
    channel: Name | None = None
    time: AwareDatetime | None = Field(
        default=None, ge=EARLIEST, le=LATEST, description="When it was; now without."
    )
    id: Name | None = Field(
        default=None,
        description="Yours, to send it again without counting it twice; needs `time` beside it.",
        examples=["crm-4711"],
    )


class FeedbackReport(Told):
    """A user's feedback, or any named evaluation score."""

    conversation_id: str = Field(min_length=1, max_length=1000, examples=["c-1"])
    value: float = Field(description="On the scale.", examples=[4])
    scale: tuple[float, float] = Field(
        default=(1, 5), description="Its lowest and highest value.", examples=[[1, 5]]
    )
    name: Name = Field(
        default=sc.EVALUATION_USER_FEEDBACK,
        description="What was evaluated; `user_feedback` is what CSAT is made of.",
    )
    label: Name | None = Field(default=None, examples=["helpful"])
    comment: str | None = Field(
        default=None,
        max_length=10_000,
        description="The user's words: kept, redacted, for readers with conversations:read.",
    )
    trace_id: str | None = Field(
        default=None, pattern=patterns.TRACE_ID, description="Of the turn that it is about."
    )
    span_id: str | None = Field(default=None, pattern=patterns.SPAN_ID)


class OutcomeReport(Told):
    """How a conversation ended."""

    outcome: Outcome
    reason: Name | None = Field(default=None, description="One of few words.")


class Recorded(BaseModel):
    """What was stored. It is on disk."""

    id: str
    tenant: str
    conversation_id: str
    time: datetime


async def _record(
    request: Request,
    grant: IngestGrant,
    told: Told,
    conversation_id: str,
    name: str,
    attributes: dict[str, Value | None],
    turn: tuple[str, str] | None = None,
) -> Recorded:
    if told.id is not None and told.time is None:
        raise QueryError("Say when it was, so that the id is known on a second try.", field="time")
    if grant.tenants is not None and grant.fixed is None and told.tenant is None:
        raise QueryError("The token may write several tenants: say which.", field="tenant")
    tenant = grant.tenant_for(told.tenant)
    if request.app.state.store.rules.gap is not None:
        conversation_id = Episode.of(conversation_id).raw  # its time says of which episode it is
    uid, time = told.id or new_id(), told.time or datetime.now(UTC)
    common = {
        sc.CONVERSATION_ID: conversation_id,
        sc.AGENT_NAME: told.agent,
        sc.CHANNEL: told.channel,
    }
    batch = event_batch(
        name, common | attributes, uid=uid, time=time, grant=grant, tenant=tenant, turn=turn
    )
    committer: Committer = request.app.state.committer
    await committer.commit(batch)
    return Recorded(id=uid, tenant=tenant, conversation_id=conversation_id, time=time)


@router.post(
    "/feedback",
    status_code=201,
    summary="Report feedback on a conversation",
    responses=BODY_RESPONSES,
)
async def feedback(request: Request, grant: FeedbackGrant, told: FeedbackReport) -> Recorded:
    """Feedback that comes from elsewhere than the chat handler; 201 means that it is on disk."""
    low, high = told.scale
    if not low < high:
        raise QueryError("The lowest value comes first, and is not the highest.", field="scale")
    if not low <= told.value <= high:
        raise QueryError(f"It lies on the scale, from {low:g} to {high:g}.", field="value")
    if (told.trace_id is None) != (told.span_id is None):
        missing = "span_id" if told.span_id is None else "trace_id"
        raise QueryError("A turn is named by trace_id and span_id together.", field=missing)
    attributes: dict[str, Value | None] = {
        sc.EVALUATION_NAME: told.name,
        sc.EVALUATION_SCORE: (told.value - low) / (high - low),
        sc.FEEDBACK_VALUE: told.value,
        sc.FEEDBACK_SCALE_MIN: low,
        sc.FEEDBACK_SCALE_MAX: high,
        sc.EVALUATION_LABEL: told.label,
        sc.EVALUATION_EXPLANATION: _redact(told.comment) if told.comment else None,
    }
    turn = (told.trace_id, told.span_id) if told.trace_id and told.span_id else None
    return await _record(
        request, grant, told, told.conversation_id, sc.EVENT_EVALUATION, attributes, turn
    )


@router.post(
    "/conversations/{conversation_id:id}/outcome",
    status_code=201,
    summary="Report how a conversation ended",
    responses={**BODY_RESPONSES, **FOUND_RESPONSES},
)
async def outcome(
    request: Request,
    grant: Grant,
    conversation_id: Annotated[str, Path(min_length=1, max_length=1000)],
    told: OutcomeReport,
) -> Recorded:
    """How it ended in truth, from a ticket or a survey: it goes before what the rules assume."""
    attributes: dict[str, Value | None] = {sc.OUTCOME: told.outcome, sc.REASON: told.reason}
    return await _record(
        request, grant, told, conversation_id, sc.EVENT_CONVERSATION_END, attributes
    )
