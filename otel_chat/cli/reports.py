"""`otel-chat reports list | check | preview | send`: reports of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote

import typer

from otel_chat._common.extras import require
from otel_chat.cli.options import (
    DEFAULT_SERVER,
    FILE_SECONDS,
    JsonOption,
    ServerOption,
    TokenOption,
    errors_said,
    print_json,
)
from otel_chat.errors import ConfigurationError

PreviewFormat = Literal["text", "html", "markdown", "json", "csv", "pdf"]

reports = typer.Typer(help="Reports of one's own. See docs/reports.md.", no_args_is_help=True)


@reports.command("list")
def list_reports(
    server: ServerOption = DEFAULT_SERVER, token: TokenOption = None, as_json: JsonOption = False
) -> None:
    """List the reports of a server, and what is wrong with files that should provide some."""
    with errors_said("reports"):
        from otel_chat.client import AnalyticsClient

        with AnalyticsClient(server, token=token) as client:
            found = client.reports()
    if as_json:
        print_json(found)
        return
    for one in found["items"]:
        definition = one["definition"]
        kinds = ", ".join(recipient["kind"] for recipient in definition["recipients"]) or "nobody"
        when = f"next {one['next_at']}" if one["next_at"] else "when asked"
        typer.echo(f"{one['name']}  {one['tenant']}  {definition['period']}  to {kinds}  {when}")
    for line in found["wrong"]:
        typer.secho(line, fg=typer.colors.RED, err=True)


@reports.command("check")
def check_reports(
    files: Annotated[
        list[Path], typer.Argument(help="Files of reports, YAML.", exists=True, dir_okay=False)
    ],
) -> None:
    """Check files of reports: says of each what is wrong, or when it is sent next."""
    wrong = 0
    with errors_said("reports"):
        require("otel-chat reports check", "cli", "server")
        from datetime import UTC, datetime

        from otel_chat.server.report.keeping import read_file

        for path in files:
            try:
                found = read_file(path).definition
            except ConfigurationError as error:
                wrong += 1
                typer.secho(str(error), fg=typer.colors.RED, err=True)
            else:
                after = found.following(datetime.now(UTC))
                when = f"next {after.isoformat()}" if after else "sent when asked"
                typer.echo(f"{path.name}: {found.name}, {when}")
    if wrong:
        raise typer.Exit(1)


@reports.command("preview")
def preview_report(
    name: Annotated[str, typer.Argument(help="What the report is called.")],
    form: Annotated[
        PreviewFormat, typer.Option("--format", "-f", help="text, html, markdown, json, csv, pdf.")
    ] = "text",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; else it is printed.")
    ] = None,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = None,
) -> None:
    """Make a report as it would be sent now, and send it to nobody."""
    with errors_said("reports"):
        if form == "pdf" and output is None:
            raise ConfigurationError("A PDF is written to a file: give --output FILE.")
        from otel_chat.client import AnalyticsClient

        path = f"/api/v1/reports/{quote(name, safe='')}/preview"
        with AnalyticsClient(server, token=token, timeout=FILE_SECONDS) as client:
            if output is None:
                typer.echo(client.text(path, format=form), nl=False)
            else:
                client.download(path, output, format=form)


@reports.command("send")
def send_report(
    name: Annotated[str, typer.Argument(help="What the report is called.")],
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send a report to its recipients now. Exit code 1 if one of them did not get it."""
    with errors_said("reports"):
        from otel_chat.client import AnalyticsClient

        with AnalyticsClient(server, token=token, timeout=FILE_SECONDS) as client:
            found = client.send_report(name)
    if as_json:
        print_json(found)
    else:
        for one in found["items"]:
            typer.echo(f"{one['recipient']}: {one['state']}, {one['detail']}")
    raise typer.Exit(0 if all(one["state"] == "sent" for one in found["items"]) else 1)
