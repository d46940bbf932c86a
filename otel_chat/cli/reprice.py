"""`otel-chat reprice`: costs of the past, by the prices of today."""

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


def reprice(
    since: Annotated[str, typer.Option("--from", help="First day (UTC) or moment of RFC 3339.")],
    until: Annotated[str, typer.Option("--to", help="Last day, or the first moment after it.")],
    tenant: Annotated[
        str | None, typer.Option(help="This tenant only; all of the token's without.")
    ] = None,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Work out costs of the past anew, by today's prices; costs that were sent stay."""
    given = {"from": since, "to": until, "tenant": tenant}
    wanted = {name: value for name, value in given.items() if value is not None}
    with errors_said("reprice"):
        from otel_chat.client import AnalyticsClient

        with AnalyticsClient(server, token=token) as client:
            done = client.reprice(wanted)
    if as_json:
        print_json(done)
    else:
        typer.echo(f"{done['turns']} turns without a cost of their own, {done['changed']} changed.")
