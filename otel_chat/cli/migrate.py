"""`otel-chat migrate`: a store's tables."""

from __future__ import annotations

from typing import Annotated

import typer

from otel_chat.cli.options import DEFAULT_STORE, errors_said


def migrate(
    store: Annotated[
        str, typer.Option(envvar="OTEL_CHAT_SERVER_STORE", help="chdb:PATH or clickhouse://...")
    ] = DEFAULT_STORE,
    check: Annotated[
        bool, typer.Option("--check", help="Only say what is missing; exit code 1 if anything is.")
    ] = False,
    show: Annotated[bool, typer.Option("--show", help="Print the statements, run none.")] = False,
) -> None:
    """Bring a store's tables up to date (`serve` does so by itself)."""
    with errors_said("migrate", store=None if show else store):
        from otel_chat.server import migrate as migrations

        if show:
            typer.echo(migrations.show(store))
        elif check:
            missing = migrations.check(store)
            typer.echo("\n".join(missing) or "up to date")
            raise typer.Exit(1 if missing else 0)
        else:
            typer.echo("\n".join(migrations.apply(store)))
