"""`otel-chat exports list | run`: exports that a server writes on schedule."""

from __future__ import annotations

import typer

from otel_chat.cli.options import (
    DEFAULT_SERVER,
    FILE_SECONDS,
    JsonOption,
    ServerOption,
    TokenOption,
    errors_said,
    print_json,
)

exports = typer.Typer(
    help="Exports that a server writes on schedule. See docs/exports.md.", no_args_is_help=True
)


@exports.command("list")
def list_exports(
    server: ServerOption = DEFAULT_SERVER, token: TokenOption = None, as_json: JsonOption = False
) -> None:
    """List where they go, when, and what was written last of each kind and day."""
    _told(server, token, write=False, as_json=as_json)


@exports.command("run")
def run_exports(
    server: ServerOption = DEFAULT_SERVER, token: TokenOption = None, as_json: JsonOption = False
) -> None:
    """Write each day whose rows changed since it was written, now."""
    _told(server, token, write=True, as_json=as_json)


def _told(server: str, token: str | None, *, write: bool, as_json: bool) -> None:
    with errors_said("exports"):
        from otel_chat.client import AnalyticsClient

        with AnalyticsClient(server, token=token, timeout=FILE_SECONDS) as client:
            found = client.scheduled_exports(write=write)
    if as_json:
        print_json(found)
        return
    to = found["to"] or "nowhere: set OTEL_CHAT_SERVER_EXPORTS_TO, a folder or s3"
    typer.echo(f"to {to}  at {found['schedule']} UTC", err=True)
    for one in found["items"]:
        typer.echo(f"{one['path']}  {one['bytes']:,} bytes  {one['written_at']}")
