"""`/api/v1/reports`: reports of one's own, kept, checked, made and sent."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Depends, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from otel_chat.errors import ConfigurationError, DefinitionError, QueryError
from otel_chat.server.api.errors import BODY_RESPONSES, FOUND_RESPONSES, RESPONSES
from otel_chat.server.api.parameters import (
    Exporter,
    StoreParameter,
    TenantParameter,
    Viewer,
)
from otel_chat.server.api.report import PAGE_POLICY
from otel_chat.server.api.security import own_router
from otel_chat.server.questions.reports import ReportRun
from otel_chat.server.report.definition import ReportDefinition, read_definition
from otel_chat.server.report.keeping import Report, Shelf, parse
from otel_chat.server.report.making import TYPES, Form, make, making_of
from otel_chat.server.report.runs import Sender

router = own_router(tags=["report"])

ReportName = Annotated[str, Path(max_length=200, description="What the report is called.")]


class KeptReport(BaseModel):
    """A report of one's own."""

    name: str
    tenant: str = Field(description="Whose figures it tells; `*` for those of all tenants.")
    texts: bool = Field(description="Whether it may tell what was said.")
    provisioned: bool = Field(description="Whether a file of the server provides it.")
    next_at: datetime | None = Field(description="When it is sent next; null without a schedule.")
    definition: ReportDefinition

    @classmethod
    def of(cls, one: Report) -> KeptReport:
        """As the API tells it."""
        return cls(
            name=one.definition.name,
            tenant=one.tenant,
            texts=one.texts,
            provisioned=bool(one.file),
            next_at=one.definition.following(datetime.now(UTC)),
            definition=one.definition,
        )


class KeptReports(BaseModel):
    """Reports of one's own."""

    items: list[KeptReport] = Field(description="By name.")
    wrong: list[str] = Field(description="What is wrong with files that should provide some.")


class WrittenReport(BaseModel):
    """A report as somebody wrote it, to be checked."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(min_length=1, max_length=200_000)] = Field(
        description="YAML or JSON.",
        examples=["name: Weekly\nschedule: 0 9 * * 1\ntimezone: Europe/Berlin\n"],
    )


class Runs(BaseModel):
    """Attempts to send a report."""

    items: list[ReportRun] = Field(description="The newest first, at most 200.")


def shelf_of(request: Request) -> Shelf:
    """Where the application's reports are."""
    shelf: Shelf = request.app.state.shelf
    return shelf


def sender_of(request: Request) -> Sender:
    """What sends the application's reports."""
    sender: Sender = request.app.state.sender
    return sender


ShelfParameter = Annotated[Shelf, Depends(shelf_of)]
SenderParameter = Annotated[Sender, Depends(sender_of)]


def _read(given: dict[str, Any]) -> ReportDefinition:
    """A definition that came in a request.

    Raises:
        QueryError: If something in it is wrong; names the field and how to mend it.
    """
    try:
        return read_definition(given)
    except DefinitionError as error:
        raise QueryError(error.message, field=error.field) from error


@router.get("/reports", summary="Reports of one's own", responses=RESPONSES)
def list_reports(shelf: ShelfParameter, scope: Viewer) -> KeptReports:
    """Those that were saved, and those that files of the server provide."""
    wrong = shelf.provisioned()[1] if scope.tenants is None else []
    return KeptReports(items=[KeptReport.of(one) for one in shelf.reports(scope)], wrong=wrong)


@router.get("/reports/{name}", summary="A report of one's own", responses=FOUND_RESPONSES)
def read_report(
    shelf: ShelfParameter, scope: Viewer, name: ReportName, tenant: TenantParameter = None
) -> KeptReport:
    """What it is and when it is sent next."""
    return KeptReport.of(shelf.report(scope, name, tenant))


@router.get(
    "/reports/{name}/preview",
    summary="Make a report",
    response_model=None,
    responses={**FOUND_RESPONSES, 200: {"content": {media: {} for media in TYPES.values()}}},
)
def preview_report(
    request: Request,
    shelf: ShelfParameter,
    store: StoreParameter,
    scope: Viewer,
    name: ReportName,
    format: Annotated[Form, Query(description="How it is written.")] = "html",  # noqa: A002 - the parameter's public name
    tenant: TenantParameter = None,
) -> Response:
    """The report as it would be sent now, as far as the token may see it."""
    one = shelf.report(scope, name, tenant)
    made = make(
        store,
        one.seen_by(scope),
        one,
        datetime.now(UTC),
        **making_of(request.app.state.settings),
    )
    answer = Response(made.written(format), media_type=TYPES[format])
    if format == "html":
        answer.headers["Content-Security-Policy"] = PAGE_POLICY
    return answer


@router.put(
    "/reports/{name}",
    summary="Save a report",
    responses={**FOUND_RESPONSES, **BODY_RESPONSES},
)
def save_report(
    shelf: ShelfParameter,
    scope: Exporter,
    name: ReportName,
    wanted: dict[str, Any],
    tenant: TenantParameter = None,
) -> KeptReport:
    """Keep a report under a name, in place of another of that name.

    The body is a definition as this answers it. What was said is in the report only if the token
    holds conversations:read.
    """
    return KeptReport.of(shelf.save(scope, _read({**wanted, "name": name}), tenant))


@router.delete("/reports/{name}", summary="Forget a report", responses=FOUND_RESPONSES)
def drop_report(
    shelf: ShelfParameter, scope: Exporter, name: ReportName, tenant: TenantParameter = None
) -> KeptReport:
    """Forget a report; answers what it was."""
    return KeptReport.of(shelf.drop(scope, name, tenant))


@router.get("/reports/{name}/runs", summary="When a report was sent", responses=FOUND_RESPONSES)
def list_runs(
    shelf: ShelfParameter,
    sender: SenderParameter,
    scope: Viewer,
    name: ReportName,
    tenant: TenantParameter = None,
) -> Runs:
    """Every attempt, by recipient, with what came of it."""
    return Runs(items=sender.runs(shelf.report(scope, name, tenant)))


@router.post("/reports/{name}/send", summary="Send a report now", responses=FOUND_RESPONSES)
def send_report(
    shelf: ShelfParameter,
    sender: SenderParameter,
    scope: Exporter,
    name: ReportName,
    tenant: TenantParameter = None,
) -> Runs:
    """To all of its recipients, of the period as it is now; asked twice in a minute, once.

    Raises:
        QueryError: If it has no recipients.
    """
    one = shelf.report(scope, name, tenant)
    if not one.definition.recipients:
        raise QueryError("This report has no recipients: give it some.", field="recipients")
    return Runs(items=sender.send(one))


@router.post("/reports", summary="Check a report", responses=BODY_RESPONSES)
def check_report(_: Viewer, wanted: WrittenReport) -> ReportDefinition:
    """What a text of YAML or JSON says, with all that it leaves out; nothing is kept.

    Raises:
        QueryError: If something in it is wrong; names the field and how to mend it.
    """
    try:
        given = parse(wanted.text, "text")
    except ConfigurationError as error:
        raise QueryError(str(error), field="text") from error
    return _read({key: value for key, value in given.items() if key not in {"tenant", "texts"}})
