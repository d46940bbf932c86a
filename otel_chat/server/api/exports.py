"""`/api/v1/exports`: everything of a kind, streamed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime
from functools import partial
from typing import Annotated, Any, Final

from fastapi import Depends, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from otel_chat.errors import AccessError, QueryError
from otel_chat.server.api.errors import RESPONSES
from otel_chat.server.api.flow import Flow, FlowResponse, Lanes, zipped
from otel_chat.server.api.known import PREFIX
from otel_chat.server.api.parameters import (
    Exporter,
    FiltersParameter,
    StoreParameter,
    WindowParameter,
)
from otel_chat.server.api.security import own_router
from otel_chat.server.figures.rows import Format, marked
from otel_chat.server.questions import exports as queries
from otel_chat.server.questions.scheduled import File
from otel_chat.server.scheduled import Exporter as ScheduledExporter
from otel_chat.server.scheduled import path_of
from otel_chat.server.targets import TargetError

MEDIA: Final[dict[Format, str]] = {
    "csv": "text/csv; charset=utf-8; header=present",
    "jsonl": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}
ZIP: Final = "application/zip"
_ANSWER: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The rows. The answer is whole only if its last, empty chunk arrives.",
        "content": {name.split(";")[0]: {} for name in MEDIA.values()},
    }
}
_ARCHIVE: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "A file of each kind, in a zip archive.", "content": {ZIP: {}}}
}

FormatParameter = Annotated[
    Format,
    Query(
        description="csv, safe to open in a spreadsheet: what it would take for a formula has an"
        " apostrophe before it, and what a cell cannot hold is cut with a word; jsonl and parquet"
        " hold the texts as they are."
    ),
]
BomParameter = Annotated[
    bool,
    Query(description="Whether CSV begins with a byte order mark, for Excel; for csv alone."),
]
SenderParameter = Annotated[queries.Sender | None, Query(description="The messages of one sender.")]
NameParameter = Annotated[
    str | None,
    Query(max_length=200, description="The events of one name.", examples=["otel_chat.topic"]),
]
ResolvedParameter = Annotated[
    bool | None,
    Query(description="Settled conversations that ended resolved, or those that did not."),
]

router = own_router(
    prefix=f"{PREFIX}/exports",
    tags=["exports"],
    responses=RESPONSES,
    default_response_class=Response,
)


def _begin(
    start: Callable[[], Iterator[bytes]], form: Format, *, bom: bool
) -> Callable[[], Iterator[bytes]]:
    """What begins an export, with a byte order mark where one is wanted.

    Raises:
        QueryError: If one is wanted of anything but CSV.
    """
    if not bom:
        return start
    if form != "csv":
        raise QueryError(f"A byte order mark goes with format=csv, not {form}.", field="bom")
    return lambda: marked(start())


async def answer(
    request: Request, start: Callable[[], Iterator[bytes]], name: str, media: str
) -> Response:
    """An export as it flows out of the store.

    Args:
        request: What was asked.
        start: Begins it.
        name: What the file is called, after `otel-chat-`.
        media: Its media type.
    """
    lanes: Lanes = request.app.state.exports
    flow = Flow(lanes, start)
    await flow.begin()
    headers = {"Content-Disposition": f'attachment; filename="otel-chat-{name}"'}
    if media in {MEDIA["parquet"], ZIP}:
        headers["Content-Encoding"] = "identity"  # it is compressed already
    return FlowResponse(flow, media_type=media, headers=headers)


@router.get("/sessions", summary="Conversations", responses=_ANSWER)
async def sessions(
    request: Request,
    store: StoreParameter,
    scope: Exporter,
    window: WindowParameter,
    filters: FiltersParameter,
    format: FormatParameter = "csv",  # noqa: A002 - the parameter's public name
    bom: BomParameter = False,
) -> Response:
    """The conversations that started in the window, by their start."""
    start = partial(queries.export_sessions, store, scope, window, filters, format)
    return await answer(
        request, _begin(start, format, bom=bom), f"sessions.{format}", MEDIA[format]
    )


@router.get("/messages", summary="Messages of all senders", responses=_ANSWER)
async def messages(
    request: Request,
    store: StoreParameter,
    scope: Exporter,
    window: WindowParameter,
    filters: FiltersParameter,
    sender: SenderParameter = None,
    format: FormatParameter = "csv",  # noqa: A002
    bom: BomParameter = False,
) -> Response:
    """The messages in the window, by time; their content with conversations:read only."""
    start = partial(queries.export_messages, store, scope, window, filters, format, sender=sender)
    return await answer(
        request, _begin(start, format, bom=bom), f"messages.{format}", MEDIA[format]
    )


@router.get("/analytics", summary="Figures of each conversation", responses=_ANSWER)
async def analytics(
    request: Request,
    store: StoreParameter,
    scope: Exporter,
    window: WindowParameter,
    filters: FiltersParameter,
    resolved: ResolvedParameter = None,
    format: FormatParameter = "csv",  # noqa: A002
    bom: BomParameter = False,
) -> Response:
    """The figures of each conversation that started in the window, by its start."""
    start = partial(
        queries.export_analytics, store, scope, window, filters, format, resolved=resolved
    )
    return await answer(
        request, _begin(start, format, bom=bom), f"analytics.{format}", MEDIA[format]
    )


@router.get("/interactions", summary="Turns", responses=_ANSWER)
async def interactions(
    request: Request,
    store: StoreParameter,
    scope: Exporter,
    window: WindowParameter,
    filters: FiltersParameter,
    format: FormatParameter = "csv",  # noqa: A002
    bom: BomParameter = False,
) -> Response:
    """The turns that started in the window, by their start; texts with conversations:read only."""
    start = partial(queries.export_interactions, store, scope, window, filters, format)
    return await answer(
        request, _begin(start, format, bom=bom), f"interactions.{format}", MEDIA[format]
    )


@router.get("/events", summary="Events", responses=_ANSWER)
async def events(
    request: Request,
    store: StoreParameter,
    scope: Exporter,
    window: WindowParameter,
    filters: FiltersParameter,
    name: NameParameter = None,
    format: FormatParameter = "csv",  # noqa: A002
    bom: BomParameter = False,
) -> Response:
    """The events in the window, by time; texts with conversations:read only."""
    start = partial(queries.export_events, store, scope, window, filters, format, name=name)
    return await answer(request, _begin(start, format, bom=bom), f"events.{format}", MEDIA[format])


@router.get("/reviews", summary="What reviewers say", responses=_ANSWER)
async def reviews(
    request: Request,
    store: StoreParameter,
    scope: Exporter,
    window: WindowParameter,
    filters: FiltersParameter,
    format: FormatParameter = "csv",  # noqa: A002
    bom: BomParameter = False,
) -> Response:
    """A row for each reviewer of each conversation; comments with conversations:read only."""
    start = partial(queries.export_reviews, store, scope, window, filters, format)
    return await answer(request, _begin(start, format, bom=bom), f"reviews.{format}", MEDIA[format])


class ScheduledFile(BaseModel):
    """What scheduled exports wrote last of a kind and a day."""

    kind: str
    day: date
    path: str
    bytes: int
    as_of: datetime | None = Field(description="Up to when conversations were complete, UTC.")
    written_at: datetime


class Scheduled(BaseModel):
    """Scheduled exports."""

    to: str | None = Field(description="The folder or bucket; null where none is set.")
    schedule: str = Field(description="A cron expression, UTC.")
    items: list[ScheduledFile] = Field(description="The newest day first.")

    @classmethod
    def of(cls, exporter: ScheduledExporter, found: list[File]) -> Scheduled:
        """As the API tells it."""
        target = exporter.target
        items = [
            ScheduledFile(path=path_of(one.kind, one.day), **one.model_dump()) for one in found
        ]
        return cls(
            to=None if target is None else target.name,
            schedule=exporter.settings.exports_schedule,
            items=items,
        )


def exporter_of(request: Request, scope: Exporter) -> ScheduledExporter:
    """What writes scheduled exports, for who sees all tenants, as they hold all.

    Raises:
        AccessError: With status 403, for anybody else.
    """
    if scope.tenants is not None:
        message = "Scheduled exports are of all tenants, which the token does not see."
        raise AccessError(message, status=403)
    found: ScheduledExporter = request.app.state.exporter
    return found


ExporterOfAll = Annotated[ScheduledExporter, Depends(exporter_of)]


@router.get(
    "/scheduled", summary="Scheduled exports", response_class=JSONResponse, responses=RESPONSES
)
def scheduled(exporter: ExporterOfAll) -> Scheduled:
    """Where they go, when, and what was written last of each kind and day."""
    return Scheduled.of(exporter, exporter.files())


@router.post(
    "/scheduled", summary="Write what changed now", response_class=JSONResponse, responses=RESPONSES
)
def write_scheduled(exporter: ExporterOfAll) -> Scheduled:
    """Writes each day whose rows changed since it was written; answers those.

    Raises:
        QueryError: If the server is not told where to, or something could not be written.
    """
    if exporter.target is None:
        raise QueryError(
            "No place for exports is set: OTEL_CHAT_SERVER_EXPORTS_TO, a folder or s3.", field="to"
        )
    try:
        return Scheduled.of(exporter, exporter.run())
    except TargetError as error:
        raise QueryError(str(error), field="to") from error


@router.get("/all", summary="All of these, in a zip archive", responses=_ARCHIVE)
async def everything(
    request: Request,
    store: StoreParameter,
    scope: Exporter,
    window: WindowParameter,
    filters: FiltersParameter,
    format: FormatParameter = "csv",  # noqa: A002
    bom: BomParameter = False,
) -> Response:
    """A file of each kind, one after the other."""
    kinds = {
        "sessions": queries.export_sessions,
        "messages": queries.export_messages,
        "analytics": queries.export_analytics,
        "interactions": queries.export_interactions,
        "events": queries.export_events,
        "reviews": queries.export_reviews,
    }
    files = {
        f"{kind}.{format}": _begin(
            partial(export, store, scope, window, filters, format), format, bom=bom
        )
        for kind, export in kinds.items()
    }
    return await answer(request, partial(zipped, files), "all.zip", ZIP)
