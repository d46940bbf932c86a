"""`otel-chat export`: rows of the store to a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from otel_chat._common.moments import UTC_NAME, end_of, first_of
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

Kind = Literal["sessions", "messages", "analytics", "interactions", "events", "reviews", "all"]
RowFormat = Literal["csv", "jsonl", "parquet"]


def export(
    kind: Annotated[
        Kind,
        typer.Argument(
            metavar="TYPE",
            help="sessions, messages, analytics, interactions, events, reviews, or all of them as a"
            " zip.",
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

        asked = filters_of(limited) | {"format": form}
        asked |= {"bom": "true"} if bom else {}
        asked |= {"window": window} if window else {}
        asked |= {"start": first_of(start, "from", timezone).isoformat()} if start else {}
        asked |= {"end": end_of(end, "to", timezone).isoformat()} if end else {}
        with AnalyticsClient(server, token=token, timeout=FILE_SECONDS) as client:
            size = client.download(f"/api/v1/exports/{kind}", output, **asked)
    typer.echo(f"{output}: {size:,} bytes", err=True)
