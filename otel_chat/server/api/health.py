"""Whether the server lives, whether it is ready, and its own metrics."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Depends, Request, Response
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from pydantic import BaseModel, Field

from otel_chat.errors import StoreError, StoreUnavailableError
from otel_chat.server.api.errors import RESPONSES, ErrorAnswer
from otel_chat.server.api.parameters import Scraper, StoreParameter
from otel_chat.server.api.security import own_router
from otel_chat.server.gauges import GaugeCollector

router = own_router(prefix="", tags=["operation"])


class Health(BaseModel):
    """That the server answers."""

    status: Literal["ok"] = "ok"


class Readiness(Health):
    """That the store answers too, and what to know of its figures."""

    notice: str | None = Field(
        default=None, description="While conversations are worked out anew, as after an upgrade."
    )


@router.get("/healthz", summary="Whether the process answers")
def healthz() -> Health:
    """Open to everyone; asks nothing of the store."""
    return Health()


@router.get(
    "/readyz",
    summary="Whether the store answers too",
    response_model_exclude_none=True,
    responses={503: {"model": ErrorAnswer, "description": "The store does not answer."}},
)
def readyz(request: Request, store: StoreParameter) -> Readiness:
    """Open to everyone; for a minute after the store failed it says why.

    Raises:
        StoreUnavailableError: If the store does not answer, or failed.
    """
    try:
        notice = request.app.state.settler.waiting().notice
    except StoreUnavailableError:
        raise
    except StoreError as error:
        raise StoreUnavailableError("The store does not answer.") from error
    if words := store.trouble.words:
        raise StoreUnavailableError(f"{words} The server's log has the details.")
    return Readiness(notice=notice)


def registry_of(request: Request) -> CollectorRegistry:
    """The registry of the application's own metrics."""
    registry: CollectorRegistry = request.app.state.registry
    return registry


@router.get(
    "/metrics",
    summary="The server's own metrics, for Prometheus",
    response_class=Response,
    responses={
        **{status: RESPONSES[status] for status in (401, 403)},
        200: {"content": {"text/plain": {}}, "description": "The exposition format."},
    },
)
def metrics(
    request: Request,
    scope: Scraper,
    registry: Annotated[CollectorRegistry, Depends(registry_of)],
) -> Response:
    """Figures of conversations, and of the server itself; takes a token with metrics:read.

    A token of some tenants sees the figures of their conversations only.
    """
    encode, content_type = choose_encoder(request.headers.get("accept", ""))
    figures = CollectorRegistry()
    figures.register(GaugeCollector(request.app.state.gauges, scope))
    if scope.tenants is None:
        figures.register(registry)
    return Response(encode(figures), headers={"content-type": content_type})
