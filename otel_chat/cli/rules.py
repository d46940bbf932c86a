"""`otel-chat rules`: what rules for other libraries' spans would say of the last day."""

from __future__ import annotations

from pathlib import Path
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


def rules(
    file: Annotated[Path, typer.Argument(help="Rules, TOML.", exists=True, dir_okay=False)],
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check rules for other libraries' spans, and try them on the last day of a server."""
    with errors_said("rules"):
        from otel_chat.client import AnalyticsClient
        from otel_chat.server.span_rules import parse_rules, rules_text

        text = rules_text(file)
        parse_rules(text, f"span rules {file}")
        with AnalyticsClient(server, token=token) as client:
            done = client.try_span_rules(text)
    if as_json:
        print_json(done)
        return
    typer.echo(f"{done['turns']} turns of other libraries in the last day.")
    for rule in done["rules"]:
        where = f": {', '.join(rule['conversations'])}" if rule["conversations"] else ""
        typer.echo(f"{rule['name']}: {rule['turns']} turns{where}")
