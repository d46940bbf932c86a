"""The command line: `otel-chat demo | serve | replay | trace | export | report | doctor | ...`.

A module for each command; `options` holds what they share. Imports of what is heavy stand inside
the commands, so that `--help` is quick and a part that is not installed is missed only where it is
needed. May import everything.
"""

from __future__ import annotations

import sys
from typing import Annotated

from otel_chat._common.extras import needed_for, require
from otel_chat._version import __version__
from otel_chat.errors import MissingExtraError

try:
    import typer
except ModuleNotFoundError:
    _command, _extras = needed_for(sys.argv[1:])
    try:
        require(f"otel-chat {_command}".rstrip(), *_extras)
    except MissingExtraError as error:
        # The console script imports this module: its words are to stand alone, without a trace.
        raise SystemExit(f"Error: {error}") from None
    raise

from otel_chat.cli import (
    demo,
    doctor,
    erase,
    export,
    exports,
    migrate,
    replay,
    report,
    reports,
    reprice,
    rules,
    serve,
    token,
    trace,
)

app = typer.Typer(
    name="otel-chat",
    help="OpenTelemetry observability for chat handlers, and the analytics of conversations.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(token.tokens, name="token")
app.add_typer(reports.reports, name="reports")
app.add_typer(exports.exports, name="exports")
for command in (
    export.export,
    report.report,
    doctor.doctor,
    demo.demo,
    serve.serve,
    replay.replay,
    migrate.migrate,
    trace.trace,
    erase.erase,
    reprice.reprice,
    rules.rules,
):
    app.command()(command)


def main() -> None:
    """Runs the command line; the console script's entry."""
    app()


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"otel-chat {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """OpenTelemetry observability for chat handlers, and the analytics of conversations."""
