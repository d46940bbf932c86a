"""`/api/v1/report`: what a span of time was like, for machines and for people."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import Query, Response
from fastapi.responses import HTMLResponse, PlainTextResponse

from otel_chat._common.moments import UTC_NAME
from otel_chat.server.api.errors import RESPONSES
from otel_chat.server.api.parameters import (
    FiltersParameter,
    StoreParameter,
    TimezoneParameter,
    Viewer,
    WindowParameter,
)
from otel_chat.server.api.security import own_router
from otel_chat.server.questions import report as queries
from otel_chat.server.report.render import render

# The page is one file that also works from a disk: its style stands in it.
PAGE_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)
_FORMS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"text/plain": {}, "text/markdown": {}, "text/html": {}}}
}

router = own_router(tags=["report"], responses=RESPONSES)


@router.get(
    "/report",
    summary="What a week was like, beside the week before",
    response_model=queries.Report,
    responses=_FORMS,
)
def report(
    store: StoreParameter,
    scope: Viewer,
    window: WindowParameter,
    filters: FiltersParameter,
    timezone: TimezoneParameter = UTC_NAME,
    format: Annotated[  # noqa: A002 - the parameter's public name
        Literal["json", "text", "markdown", "html"], Query(description="How it is written.")
    ] = "json",
) -> Any:
    """Every section of the report, with the change against the span before."""
    found = queries.report(store, scope, window, filters, timezone)
    if format == "json":
        return found
    written = render(found, format)
    if format == "html":
        return HTMLResponse(written, headers={"Content-Security-Policy": PAGE_POLICY})
    if format == "markdown":
        return Response(written, media_type="text/markdown; charset=utf-8")
    return PlainTextResponse(written)
