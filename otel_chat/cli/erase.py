"""`otel-chat erase`: conversations, for good."""

from __future__ import annotations

from typing import Annotated

import typer

from otel_chat.cli.options import (
    DEFAULT_SERVER,
    JsonOption,
    ServerOption,
    TokenOption,
    errors_said,
    print_json,
)


def erase(
    conversation: Annotated[str | None, typer.Option(help="The id of a conversation.")] = None,
    user: Annotated[str | None, typer.Option(help="A user's hash, as it is stored.")] = None,
    before: Annotated[
        str | None,
        typer.Option(help="All that began before this day (UTC) or moment of RFC 3339."),
    ] = None,
    tenant: Annotated[
        str | None, typer.Option(help="This tenant only; all of the token's without.")
    ] = None,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Erase conversations for good: one, all of a user, or all before a moment."""
    given = {
        "conversation_id": conversation,
        "user_hash": user,
        "before": before,
        "tenant": tenant,
    }
    wanted = {name: value for name, value in given.items() if value is not None}
    with errors_said("erase"):
        from otel_chat.client import AnalyticsClient

        with AnalyticsClient(server, token=token) as client:
            done = client.erase(wanted)
    if as_json:
        print_json(done)
    else:
        typer.echo(f"Erased {done['turns']} turns, {done['spans']} spans, {done['events']} events.")
