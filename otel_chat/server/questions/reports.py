"""The reports of one's own that the store keeps, and when each was sent to whom."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import Field

from otel_chat.server.figures.answers import Answer
from otel_chat.server.figures.registry import query
from otel_chat.server.figures.sql import Query, moment, nanos

if TYPE_CHECKING:
    from otel_chat.server.access import Scope
    from otel_chat.server.store import Store

MOST: Final = 1000
RUNS: Final = 200
State = Literal["claimed", "sent", "failed", "refused", "unknown", "withdrawn"]


class StoredReport(Answer):
    """A report of one's own as the store keeps it."""

    tenant: str
    name: str
    definition: dict[str, Any] = Field(description="As it was saved.")
    texts: bool = Field(description="Whether who saved it may read what was said.")
    saved_at: datetime


class StoredReports(Answer):
    """The reports that the store keeps."""

    items: list[StoredReport] = Field(description=f"By name, at most {MOST}.")


class ReportRun(Answer):
    """An attempt to send a report to one of its recipients."""

    tenant: str
    report: str
    period: str = Field(description="The time that it covers, as `start/end`, UTC.")
    recipient: str
    attempt: str = Field(description="An id of its own.")
    holder: str = Field(description="The server that claimed it.")
    state: State = Field(
        description="claimed: on its way; sent; failed: nothing left, it is tried again; refused:"
        " it will never be taken as it is; unknown: whether it arrived is not known, and it is not"
        " sent again by itself; withdrawn: another server sends it."
    )
    detail: str = Field(description="What came of it, in words.")
    claimed_at: datetime
    at: datetime = Field(description="When the state was told.")


class ReportRuns(Answer):
    """What was sent, the newest first."""

    items: list[ReportRun] = Field(description=f"At most {RUNS}.")


@query()
def stored_reports(store: Store, scope: Scope, name: str | None = None) -> StoredReports:
    """The reports that the store keeps, by name.

    Args:
        store: The store to ask.
        scope: What the caller may see; those of every tenant (`*`) only who sees all.
        name: Only those of this name.
    """
    statement = Query(store, scope)
    named = [] if name is None else [f"name = {statement.bind(name, 'String')}"]
    source = statement.table(
        "reports",
        ("tenant", "name", "definition", "texts", "saved_at"),
        ["NOT dropped", *named],
    )
    rows = statement.run(f"""
        SELECT tenant, name, definition, texts, {nanos("saved_at")} AS saved_ns
        FROM {source} AS r ORDER BY lower(name), name, tenant LIMIT {MOST}
    """)  # noqa: S608
    return StoredReports(
        items=[
            StoredReport(
                tenant=row["tenant"],
                name=row["name"],
                definition=json.loads(row["definition"]),
                texts=row["texts"],
                saved_at=moment(row["saved_ns"]),
            )
            for row in rows
        ]
    )


@query()
def report_runs(
    store: Store,
    scope: Scope,
    report: str | None = None,
    tenant: str | None = None,
    period: str | None = None,
    recipient: str | None = None,
) -> ReportRuns:
    """The attempts to send reports, the newest first.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        report: Only those of this report.
        tenant: Only those of this tenant.
        period: Only those of this period.
        recipient: Only those to this recipient.
    """
    statement = Query(store, scope)
    wanted = {"report": report, "tenant": tenant, "period": period, "recipient": recipient}
    conditions = [
        f"{column} = {statement.bind(value, 'String')}"
        for column, value in wanted.items()
        if value is not None
    ]
    columns = (
        "tenant", "report", "period", "recipient", "attempt", "holder", "state", "detail",
        "claimed_ns", "at_ns",
    )  # fmt: skip
    rows = statement.run(f"""
        SELECT {", ".join(columns)} FROM {statement.table("report_runs", columns, conditions)} AS r
        ORDER BY claimed_ns DESC, attempt LIMIT {RUNS}
    """)  # noqa: S608
    return ReportRuns(
        items=[
            ReportRun(
                **{name: row[name] for name in columns[:-2]},
                claimed_at=moment(row["claimed_ns"]),
                at=moment(row["at_ns"]),
            )
            for row in rows
        ]
    )
