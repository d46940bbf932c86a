"""`/api/v1/comparison`: two groups side by side."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import Depends, Query

from otel_chat._common.moments import UTC_NAME
from otel_chat.errors import QueryError
from otel_chat.server.api.comparison_example import COMPARISON_ANSWER
from otel_chat.server.api.errors import RESPONSES
from otel_chat.server.api.parameters import (
    FIRST,
    LAST,
    FiltersParameter,
    StartedWindowParameter,
    StoreParameter,
    TimezoneParameter,
    Viewer,
    span_of,
)
from otel_chat.server.api.security import own_router
from otel_chat.server.questions import comparison as queries

router = own_router(responses=RESPONSES)

Name = Annotated[str | None, Query(max_length=1000, description="One of the two groups.")]
FirstOfOther = Annotated[
    str | None,
    Query(
        max_length=100, description=f"Of periods, the second's. {FIRST} The period before without."
    ),
]
LastOfOther = Annotated[
    str | None, Query(max_length=100, description=f"Of periods, the second's. {LAST}")
]


def sides_of(
    window: StartedWindowParameter,
    by: Annotated[queries.By, Query(description="What tells the groups apart.")] = "period",
    a: Name = None,
    b: Name = None,
    from_b: FirstOfOther = None,
    to_b: LastOfOther = None,
    timezone: TimezoneParameter = UTC_NAME,
    planned: Annotated[
        float | None,
        Query(
            gt=0,
            lt=1,
            description="Of variants: A's planned share of A and B, its weight over the weights of"
            " both; half without.",
        ),
    ] = None,
) -> queries.Sides:
    """The groups that a request names.

    Raises:
        QueryError: If a second period is given by half, or beside other groups, or a share is
            planned of what is not dealt.
    """
    if planned is not None and by != "variant":
        raise QueryError("Only variants are dealt: give planned with by=variant.", field="planned")
    if from_b is None and to_b is None:
        return queries.Sides(by, a, b, planned=0.5 if planned is None else planned)
    if from_b is None or to_b is None or by != "period":
        raise QueryError("Give from_b and to_b together, with by=period.", field="from_b")
    other = span_of(
        from_b, to_b, timezone, length=window.length, idle=window.idle, names=("from_b", "to_b")
    )
    return queries.Sides(by, other=replace(window, start=other.start, end=other.end))


@router.get(
    "/comparison",
    tags=["comparison"],
    summary="Two groups side by side, with intervals",
    responses=COMPARISON_ANSWER,
)
def comparison(
    store: StoreParameter,
    scope: Viewer,
    window: StartedWindowParameter,
    filters: FiltersParameter,
    sides: Annotated[queries.Sides, Depends(sides_of)],
    confidence: Annotated[
        float,
        Query(ge=queries.LEAST, le=queries.MOST, description="The level of the intervals."),
    ] = queries.CONFIDENCE,
) -> queries.Comparison:
    """Two agents, models, versions, variants, channels, prompts or periods.

    A conversation that matches both groups, as one whose turns two models answered, counts in both.
    """
    return queries.comparison(store, scope, window, filters, sides, confidence)
