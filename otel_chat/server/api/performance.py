"""`/api/v1/performance` and `/dependencies`: how fast, what fails, and what it depends on."""

from __future__ import annotations

from otel_chat.server.api import performance_examples as examples
from otel_chat.server.api.errors import RESPONSES
from otel_chat.server.api.parameters import (
    BucketParameter,
    FiltersParameter,
    LimitParameter,
    StoreParameter,
    Viewer,
    WindowParameter,
)
from otel_chat.server.api.security import own_router
from otel_chat.server.figures.paging import PAGE
from otel_chat.server.questions import dependencies as dependency_queries
from otel_chat.server.questions import performance as queries
from otel_chat.server.questions import process as process_queries
from otel_chat.server.questions import routes as route_queries
from otel_chat.server.questions import slow_turns

router = own_router(tags=["performance"], responses=RESPONSES)


@router.get(
    "/performance",
    summary="Response times and errors, in all and over time",
    responses=examples.PERFORMANCE_ANSWER,
)
def performance(
    store: StoreParameter,
    scope: Viewer,
    window: WindowParameter,
    filters: FiltersParameter,
    bucket: BucketParameter = None,
) -> queries.Performance:
    """Exact quantiles of response time and time to first chunk; histograms by bucket of time."""
    return queries.performance(store, scope, window, filters, bucket)


@router.get(
    "/performance/routes",
    summary="By route and status code",
    responses=examples.ROUTES_ANSWER,
)
def routes(
    store: StoreParameter, scope: Viewer, window: WindowParameter, filters: FiltersParameter
) -> route_queries.Routes:
    """The turns of each route by the status code that it answered."""
    return route_queries.routes(store, scope, window, filters)


@router.get("/performance/errors", summary="Errors by type", responses=examples.ERRORS_ANSWER)
def errors(
    store: StoreParameter, scope: Viewer, window: WindowParameter, filters: FiltersParameter
) -> queries.TurnErrors:
    """The types of errors, with their trend and the trace of the latest."""
    return queries.errors(store, scope, window, filters)


@router.get("/performance/slowest", summary="The slowest turns", responses=examples.SLOWEST_ANSWER)
def slowest(
    store: StoreParameter,
    scope: Viewer,
    window: WindowParameter,
    filters: FiltersParameter,
    limit: LimitParameter = PAGE,
) -> slow_turns.SlowTurns:
    """The slowest turns with their traces, and where their time went."""
    return slow_turns.slowest(store, scope, window, filters, limit)


@router.get(
    "/performance/process",
    summary="Memory and CPU of the applications",
    responses=examples.PROCESSES_ANSWER,
)
def processes(
    store: StoreParameter, scope: Viewer, window: WindowParameter, bucket: BucketParameter = None
) -> process_queries.Processes:
    """What the applications' processes use, and what telemetry they lost."""
    return process_queries.processes(store, scope, window, bucket)


@router.get(
    "/dependencies",
    summary="Tools, APIs, retrievals and models",
    responses=examples.DEPENDENCIES_ANSWER,
)
def dependencies(
    store: StoreParameter, scope: Viewer, window: WindowParameter, filters: FiltersParameter
) -> dependency_queries.Dependencies:
    """What turns called: how often, how well, how fast."""
    return dependency_queries.dependencies(store, scope, window, filters)
