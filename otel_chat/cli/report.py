"""`otel-chat report`: the last days, beside those before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

import typer

from otel_chat._common.moments import UTC_NAME, day_of, end_of, first_of, is_day
from otel_chat.cli.options import (
    DEFAULT_SERVER,
    FILE_SECONDS,
    FilterOption,
    ServerOption,
    TimezoneOption,
    TokenOption,
    ToOption,
    errors_said,
    filters_of,
)
from otel_chat.errors import ConfigurationError

ReportFormat = Literal["text", "json", "markdown", "html"]


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
        asked = filters_of(limited) | span | {"format": form, "timezone": timezone}
        with AnalyticsClient(server, token=token, timeout=FILE_SECONDS) as client:
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
