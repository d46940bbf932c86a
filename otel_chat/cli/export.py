"""The commands that fetch files from a server: `otel-chat export | report`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from otel_chat._common.moments import UTC_NAME, day_of, end_of, first_of, is_day
from otel_chat.cli.options import DEFAULT_SERVER, ServerOption, TokenOption, errors_said
from otel_chat.errors import ConfigurationError

FilterOption = Annotated[
    list[str] | None,
    typer.Option("--filter", help="One of the API's filters, as agent=support. Repeat it."),
]
Kind = Literal["sessions", "messages", "analytics", "interactions", "events", "all"]
RowFormat = Literal["csv", "jsonl", "parquet"]
ReportFormat = Literal["text", "json", "markdown", "html"]
_PATIENCE: Final = 600.0
ToOption = Annotated[
    str | None,
    typer.Option("--to", help="Last day, which counts whole, or first moment after. Default: now."),
]
TimezoneOption = Annotated[str, typer.Option(help="Time zone of days and hours, as Europe/Berlin.")]


def export(
    kind: Annotated[
        Kind,
        typer.Argument(
            metavar="TYPE",
            help="sessions, messages, analytics, interactions, events, or all of them as a zip.",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write.")],
    form: Annotated[
        RowFormat, typer.Option("--format", "-f", help="csv, jsonl or parquet.")
    ] = "csv",
    window: Annotated[str | None, typer.Option(help="24h, 7d, 30d or 90d. Default: 7d.")] = None,
    start: Annotated[
        str | None,
        typer.Option("--from", help="First day as 2026-11-01, or first moment of RFC 3339."),
    ] = None,
    end: ToOption = None,
    timezone: TimezoneOption = UTC_NAME,
    limited: FilterOption = None,
    bom: Annotated[
        bool, typer.Option("--bom", help="Begin CSV with a byte order mark, for Excel.")
    ] = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = None,
) -> None:
    """Export rows to a file, which stands under its name only when it is whole.

    The token needs the scope export:create, and conversations:read for what was said.
    """
    with errors_said("export"):
        from otel_chat.client import AnalyticsClient

        asked = _filters(limited) | {"format": form}
        asked |= {"bom": "true"} if bom else {}
        asked |= {"window": window} if window else {}
        asked |= {"start": first_of(start, "from", timezone).isoformat()} if start else {}
        asked |= {"end": end_of(end, "to", timezone).isoformat()} if end else {}
        with AnalyticsClient(server, token=token, timeout=_PATIENCE) as client:
            size = client.download(f"/api/v1/exports/{kind}", output, **asked)
    typer.echo(f"{output}: {size:,} bytes", err=True)


def report(
    days: Annotated[int, typer.Option(min=1, max=366, help="Days up to now, or to --to.")] = 7,
    end: ToOption = None,
    form: Annotated[
        ReportFormat, typer.Option("--format", "-f", help="text, json, markdown or html.")
    ] = "text",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; else it is printed.")
    ] = None,
    timezone: TimezoneOption = UTC_NAME,
    limited: FilterOption = None,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = None,
) -> None:
    """Report on the last days, beside the same number of days before. See docs/reports.md."""
    with errors_said("report"):
        from otel_chat.client import AnalyticsClient

        span = _days_up_to(end, days, timezone)
        asked = _filters(limited) | span | {"format": form, "timezone": timezone}
        with AnalyticsClient(server, token=token, timeout=_PATIENCE) as client:
            if output is None:
                typer.echo(client.text("/api/v1/report", **asked), nl=False)
            else:
                client.download("/api/v1/report", output, **asked)


def _days_up_to(end: str | None, days: int, timezone: str) -> dict[str, str]:
    """So many days up to a day, which is the last of them; up to a moment, or now without."""
    until = datetime.now(UTC) if end is None else end_of(end, "to", timezone)
    try:
        if end is not None and is_day(end):
            day = day_of(end, "to") - timedelta(days=days - 1)
            start = first_of(day.isoformat(), "to", timezone)
        else:
            start = until - timedelta(days=days)
    except OverflowError as error:
        raise ConfigurationError(f"--to {end} is too early.") from error
    return {"start": start.isoformat(), "end": until.isoformat()}


def _filters(limited: list[str] | None) -> dict[str, str]:
    """Filters as `name=value`."""
    found: dict[str, str] = {}
    for one in limited or ():
        name, equals, value = one.partition("=")
        if not equals or not name:
            raise ConfigurationError(f"A filter is name=value, as agent=support, not {one!r}.")
        found[name] = value
    return found
