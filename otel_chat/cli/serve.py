"""`otel-chat serve`: the analytics server."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from otel_chat._common.addresses import without_passwords
from otel_chat.cli.options import DEFAULT_STORE, errors_said


def serve(
    store: Annotated[
        str, typer.Option(envvar="OTEL_CHAT_SERVER_STORE", help="chdb:PATH or clickhouse://...")
    ] = DEFAULT_STORE,
    host: Annotated[str, typer.Option(envvar="OTEL_CHAT_SERVER_HOST")] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="OTEL_CHAT_SERVER_PORT", min=1, max=65535)] = 8400,
    while_stdin: Annotated[bool, typer.Option("--while-stdin", hidden=True)] = False,
) -> None:
    """Run the analytics server: OTLP/HTTP in, API and pages out."""
    with errors_said("serve", store=store):
        from otel_chat.server.app import serve as run_server
        from otel_chat.server.settings import read_settings

        if while_stdin:
            _stop_with_stdin()
        shown = without_passwords(store)
        run_server(
            read_settings(store=store, host=host, port=port),
            serving=lambda address: typer.echo(
                f"Serving {address} from {shown}. Ctrl-C stops it.", err=True
            ),
        )


def _stop_with_stdin() -> None:
    """Ends this process when its standard input closes: it must not outlive its parent."""
    import os
    import signal
    import threading

    def watch() -> None:
        # Not through sys.stdin, whose lock a thread must not hold when the interpreter ends.
        while os.read(sys.stdin.fileno(), 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="otel-chat-parent", daemon=True).start()
