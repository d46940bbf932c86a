"""`/api/v1/span-rules`: what rules for other libraries' spans would say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from otel_chat.errors import ConfigurationError, QueryError
from otel_chat.server.api.errors import BODY_RESPONSES
from otel_chat.server.api.known import PREFIX
from otel_chat.server.api.parameters import Admin, StoreParameter
from otel_chat.server.api.security import own_router
from otel_chat.server.span_rules import parse_rules
from otel_chat.server.summaries.rule_trial import try_rules

router = own_router(prefix=f"{PREFIX}/span-rules", tags=["operation"], responses=BODY_RESPONSES)

EXAMPLES = 3


class TrialRequest(BaseModel):
    """Rules to try."""

    model_config = ConfigDict(extra="forbid")

    rules: Annotated[str, Field(min_length=1, max_length=100_000)] = Field(
        description="TOML, as in the server's file.",
        examples=['[[rule]]\nname = "t"\nspan = "ask_human"\nhandoff = { reason = "asked" }'],
    )


class RuleTrial(BaseModel):
    """What a rule would have said."""

    name: str
    turns: int = Field(description="Turns of which it would have said something.")
    conversations: list[str] = Field(description="Some of their conversations.")


class TrialAnswer(BaseModel):
    """What rules would have said of the last day."""

    turns: int = Field(description="Turns of other libraries in the last 24 hours, 5,000 traces.")
    rules: list[RuleTrial] = Field(description="In their order.")


@router.post("/trial", summary="Try rules for other libraries' spans on the last day")
def try_out(store: StoreParameter, scope: Admin, wanted: TrialRequest) -> TrialAnswer:
    """What the rules would have said of the turns of the last 24 hours; nothing is written.

    Raises:
        QueryError: If a rule cannot be read; names it and the key.
    """
    try:
        rules = parse_rules(wanted.rules, "rules")
    except ConfigurationError as error:
        raise QueryError(str(error), field="rules") from error
    now = datetime.now(UTC)
    done = try_rules(store, rules, (now - timedelta(days=1), now), scope.tenants)
    return TrialAnswer(
        turns=done.turns,
        rules=[
            RuleTrial(
                name=name, turns=len(found), conversations=list(dict.fromkeys(found))[:EXAMPLES]
            )
            for name, found in done.said.items()
        ],
    )
