"""The page of reports: the list, a form for the usual one, and an editor with a preview."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import quote

from fastapi import Depends, Request, Response
from markupsafe import Markup
from starlette.responses import HTMLResponse, RedirectResponse

from otel_chat._common.extras import missing
from otel_chat.errors import AccessError, ConfigurationError, DefinitionError, QueryError
from otel_chat.server.access import EXPORT_CREATE, Scope
from otel_chat.server.api.known import PREFIX as API
from otel_chat.server.api.parameters import StoreParameter, TenantParameter, Viewer
from otel_chat.server.api.reports import SenderParameter, ShelfParameter
from otel_chat.server.api.security import own_router
from otel_chat.server.pages.administration import first_of, form_of, reader_with
from otel_chat.server.pages.errors import PageRoute
from otel_chat.server.pages.periods import ZONES
from otel_chat.server.pages.render import page
from otel_chat.server.report.definition import Email, ReportDefinition, read_definition
from otel_chat.server.report.keeping import Report, parse
from otel_chat.server.report.making import make, making_of

if TYPE_CHECKING:
    from otel_chat.server.questions.reports import ReportRun
    from otel_chat.server.report.keeping import Shelf
    from otel_chat.server.report.runs import Sender

router = own_router(
    prefix="", route_class=PageRoute, include_in_schema=False, default_response_class=HTMLResponse
)

MONDAYS: Final = "0 9 * * 1"
SHOWN_RUNS: Final = 5
_STATES: Final = {
    "sent": "resolved", "failed": "failed", "refused": "failed", "unknown": "unsure",
    "claimed": "open",
}  # fmt: skip
"""The badge of what became of a run."""


def exporter_of(request: Request) -> Scope:
    """The scope of a reader who may take data out.

    Raises:
        AccessError: With status 401 or 403, if the reader may not.
    """
    return reader_with(request, EXPORT_CREATE)


Form = Annotated[dict[str, list[str]], Depends(form_of)]
Exporter = Annotated[Scope, Depends(exporter_of)]


@dataclass(frozen=True, slots=True)
class Row:
    """A report in the list.

    Args:
        report: The report.
        address: Its page.
        preview: What it would be now.
        recipients: Who gets it, in words.
        following: When it is sent next.
        runs: What became of the last times that it was sent, with a badge each.
        missing: What has to be set before it can be sent.
    """

    report: Report
    address: str
    preview: str
    recipients: str
    following: datetime | None
    runs: list[tuple[str, ReportRun]]
    missing: list[str]


def _row(one: Report, sender: Sender) -> Row:
    definition = one.definition
    name, tenant = quote(definition.name, safe=""), quote(one.tenant, safe="")
    to_set = [sender.post.missing(recipient) for recipient in definition.recipients]
    return Row(
        one,
        f"/reports/{name}?tenant={tenant}",
        f"{API}/reports/{name}/preview?tenant={tenant}",
        "; ".join(_who(recipient) for recipient in definition.recipients) or "nobody yet",
        definition.following(datetime.now(UTC)),
        [(_STATES[run.state], run) for run in sender.runs(one)[:SHOWN_RUNS]],
        [words for words in dict.fromkeys(to_set) if words],
    )


def _who(recipient: object) -> str:
    if isinstance(recipient, Email):
        return ", ".join(recipient.to)
    return " ".join(str(value) for value in list(dict(recipient).values())[:2])  # type: ignore[call-overload]


def _listed(
    request: Request,
    shelf: Shelf,
    sender: Sender,
    scope: Scope,
    *,
    told: str = "",
    bad: bool = False,
    typed: dict[str, list[str]] | None = None,
) -> Response:
    settings = request.app.state.settings
    return page(
        request,
        "reports.html",
        "reports",
        status=422 if bad else 200,
        told=told,
        bad=bad,
        rows=[_row(one, sender) for one in shelf.reports(scope)],
        typed={name: values[0] for name, values in (typed or {}).items()},
        wrong=shelf.provisioned()[1] if scope.tenants is None else [],
        may_send=scope.allows(EXPORT_CREATE),
        permission=EXPORT_CREATE,
        mail_missing=sender.post.missing(Email(to=("a@example.com",), attach=())),
        linked=settings.address is not None,
        zones=ZONES,
    )


@router.get("/reports")
def reports_page(
    request: Request, shelf: ShelfParameter, sender: SenderParameter, scope: Viewer
) -> Response:
    """Every report, and a form for the usual one."""
    return _listed(request, shelf, sender, scope)


@router.post("/reports")
def usual_report(
    request: Request,
    shelf: ShelfParameter,
    sender: SenderParameter,
    scope: Exporter,
    form: Form,
) -> Response:
    """Keeps last week's report for some people, and sends it now if that was asked."""
    to = [one.strip() for one in first_of(form, "to").replace(";", ",").split(",") if one.strip()]
    attach = ["csv"] if missing("pdf") else ["pdf", "csv"]
    given = {
        "name": f"Last week for {', '.join(to)}"[:100],
        "title": "Last week",
        "timezone": first_of(form, "timezone") or "UTC",
        "schedule": MONDAYS if first_of(form, "mondays") else None,
        "recipients": [{"kind": "email", "to": to, "attach": attach}],
    }
    try:
        one = shelf.save(scope, read_definition(given))
    except DefinitionError as error:
        label = "To" if (error.field or "").startswith("recipients.") else error.field
        told = f"{label}: {error.message}"
        return _listed(request, shelf, sender, scope, told=told, bad=True, typed=form)
    except QueryError as error:
        return _listed(request, shelf, sender, scope, told=str(error), bad=True, typed=form)
    return _sent(request, shelf, sender, scope, one)


@router.post("/reports/{name}/send")
def send_now(
    request: Request,
    shelf: ShelfParameter,
    sender: SenderParameter,
    scope: Exporter,
    form: Form,
    name: str,
) -> Response:
    """Sends a report now."""
    one = shelf.report(scope, name, first_of(form, "tenant") or None)
    return _sent(request, shelf, sender, scope, one)


def _sent(request: Request, shelf: Shelf, sender: Sender, scope: Scope, one: Report) -> Response:
    runs = sender.send(one)
    told = "; ".join(f"{run.recipient}: {run.state}, {run.detail}" for run in runs)
    bad = any(run.state != "sent" for run in runs) or not runs
    return _listed(request, shelf, sender, scope, told=told or "It has no recipients.", bad=bad)


def _edited(
    request: Request,
    scope: Scope,
    *,
    text: str,
    tenant: str = "",
    one: Report | None = None,
    preview: Markup | None = None,
    told: str = "",
) -> Response:
    return page(
        request,
        "report_edit.html",
        "reports",
        status=422 if told else 200,
        text=text,
        tenant=tenant,
        one=one,
        preview=preview,
        told=told,
        may_send=scope.allows(EXPORT_CREATE),
        permission=EXPORT_CREATE,
    )


def written(definition: ReportDefinition) -> str:
    """A definition as somebody would write it: YAML, without what it leaves out."""
    import yaml

    kept = definition.model_dump(mode="json", exclude_unset=True)
    shown: str = yaml.safe_dump(kept, sort_keys=False, allow_unicode=True)
    return shown


@router.get("/reports/{name}")
def report_page(
    request: Request,
    shelf: ShelfParameter,
    store: StoreParameter,
    scope: Viewer,
    name: str,
    tenant: TenantParameter = None,
) -> Response:
    """A report: its definition to edit, and what it would be now. `new` begins another."""
    try:
        one = shelf.report(scope, name, tenant)
    except AccessError:
        if name != "new":
            raise
        return _edited(request, scope, text="name: My report\n")
    return _edited(
        request,
        scope,
        text=written(one.definition),
        tenant=one.tenant,
        one=one,
        preview=_preview(request, store, scope, one),
    )


def _preview(request: Request, store: StoreParameter, scope: Scope, one: Report) -> Markup:
    known = making_of(request.app.state.settings)
    return make(store, one.seen_by(scope), one, datetime.now(UTC), **known).fragment()


@router.post("/reports/edit")
def edit_report(
    request: Request,
    shelf: ShelfParameter,
    store: StoreParameter,
    scope: Exporter,
    form: Form,
) -> Response:
    """Shows what a definition makes, and keeps it if that was asked."""
    text, tenant = form.get("text", [""])[0], first_of(form, "tenant")
    try:
        definition = read_definition(parse(text, "report"))
        if first_of(form, "do") == "save":
            shelf.save(scope, definition, tenant or None)
            return RedirectResponse("/reports", status_code=303)
        one = shelf.drafted(scope, definition, tenant or None)
        preview = _preview(request, store, scope, one)
    except (ConfigurationError, QueryError) as error:
        return _edited(request, scope, text=text, tenant=tenant, told=str(error))
    return _edited(request, scope, text=text, tenant=tenant, preview=preview)


@router.post("/reports/{name}/forget")
def forget_report(shelf: ShelfParameter, scope: Exporter, form: Form, name: str) -> Response:
    """Forgets a report."""
    shelf.drop(scope, name, first_of(form, "tenant") or None)
    return RedirectResponse("/reports", status_code=303)
