"""The command line: `otel-chat demo | serve | replay | migrate | trace | token`.

Imports of what is heavy stand inside the commands, so that `--help` is quick and a part that is
not installed is missed only where it is needed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from otel_chat._version import __version__
from otel_chat.errors import OtelChatError

DEFAULT_SERVER: Final = "http://127.0.0.1:8400"
DEFAULT_STORE: Final = "chdb:./.otel-chat/store"
_EXTRAS: Final = {
    "chdb": "embedded",
    "clickhouse_connect": "server",
    "fastapi": "server",
    "httpx": "cli",
    "opentelemetry.sdk": "sdk",
    "sklearn": "demo",
    "tokenizers": "demo",
    "uvicorn": "server",
}

app = typer.Typer(
    name="otel-chat",
    help="OpenTelemetry observability for chat handlers, and the analytics of conversations.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
tokens = typer.Typer(help="Tokens for the API and for ingest.", no_args_is_help=True)
app.add_typer(tokens, name="token")

ServerOption = Annotated[str, typer.Option("--server", help="Address of a running server.")]
TokenOption = Annotated[
    str | None,
    typer.Option("--token", envvar="OTEL_CHAT_TOKEN", help="Token, where the server asks for one."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def main() -> None:
    """Runs the command line; the console script's entry."""
    app()


@contextmanager
def errors_said() -> Iterator[None]:
    """Turns errors that are made on purpose into a line on stderr and exit code 1."""
    try:
        yield
    except OtelChatError as error:
        typer.secho(f"Error: {error}", fg=typer.colors.RED, err=True)
        raise typer.Exit(1) from error
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get(error.name or "", _EXTRAS.get((error.name or "").split(".")[0]))
        if extra is None:
            raise
        typer.secho(
            f"Error: {error.name} is not installed. Run: pip install 'otel-chat[{extra}]'",
            fg=typer.colors.RED,
            err=True,
        )
        raise typer.Exit(1) from error


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


@app.command()
def demo(
    once: Annotated[
        bool, typer.Option("--once", help="Send the samples, print figures, end.")
    ] = False,
    as_json: JsonOption = False,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the analytics.")] = 8400,
    bot_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the bot.")] = 8401,
    store: Annotated[
        str | None,
        typer.Option(help="Store of the analytics. Default: chdb:./.otel-chat/demo, made anew."),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep what the default store holds from before.")
    ] = False,
) -> None:
    """Run the example bot and its analytics, with sample conversations.

    Message texts are recorded here, so that the transcripts can be shown.
    """
    with errors_said():
        from otel_chat.demo.run import DemoOptions, run

        run(
            DemoOptions(
                once=once, as_json=as_json, port=port, bot_port=bot_port, store=store, keep=keep
            )
        )


@app.command()
def serve(
    store: Annotated[
        str, typer.Option(envvar="OTEL_CHAT_SERVER_STORE", help="chdb:PATH or clickhouse://...")
    ] = DEFAULT_STORE,
    host: Annotated[str, typer.Option(envvar="OTEL_CHAT_SERVER_HOST")] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="OTEL_CHAT_SERVER_PORT", min=1, max=65535)] = 8400,
    while_stdin: Annotated[bool, typer.Option("--while-stdin", hidden=True)] = False,
) -> None:
    """Run the analytics server: OTLP/HTTP in, API and pages out."""
    with errors_said():
        from otel_chat.server.app import serve as run_server
        from otel_chat.server.settings import ServerSettings

        if while_stdin:
            _stop_with_stdin()
        run_server(ServerSettings(store=store, host=host, port=port))


def _stop_with_stdin() -> None:
    """Ends this process when its standard input closes: it must not outlive its parent."""
    import os
    import signal
    import threading

    def watch() -> None:
        sys.stdin.buffer.read()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="otel-chat-parent", daemon=True).start()


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(help="Transcripts: JSONL, or JSONL.gz.")],
    store: Annotated[
        str | None, typer.Option(help="Bring up a server on this store for the time it runs.")
    ] = None,
    server: Annotated[str | None, typer.Option(help="Use the running server here.")] = None,
    token: TokenOption = None,
    agent: Annotated[str, typer.Option(help="Name of the agent in the transcripts.")] = "replay",
    model: Annotated[
        str, typer.Option(help="Model that wrote the replies, where it is known.")
    ] = "transcript",
    channel: Annotated[str | None, typer.Option(help="Channel of the conversations.")] = None,
    start: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"],
            help="First day (UTC) for conversations without times. Default: 2026-11-09.",
        ),
    ] = None,
    days: Annotated[
        int, typer.Option(min=1, max=366, help="Days over which those are spread.")
    ] = 7,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only the first N conversations.")
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Skip and count lines that cannot be read.")
    ] = False,
    patience: Annotated[
        float, typer.Option(min=1, help="Seconds to wait for a server that is away.")
    ] = 120.0,
    as_json: JsonOption = False,
) -> None:
    """Backfill from transcripts; replaying a file again stores it once.

    The texts are recorded. See docs/replay.md for the format.
    """
    with errors_said():
        from otel_chat.replay.run import ReplayOptions, run

        run(
            ReplayOptions(
                file=file, store=store, server=server, token=token, agent=agent, model=model,
                channel=channel, start=start, days=days, limit=limit, skip_bad=skip_bad,
                patience=patience, as_json=as_json,
            )
        )  # fmt: skip


@app.command()
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
    with errors_said():
        from otel_chat.server.store import open_store

        with open_store(store) as opened:
            typer.echo(str(opened.migrate()))


@app.command()
def trace(
    conversation_id: Annotated[str, typer.Argument(help="The conversation.")],
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print a conversation's turns as trees of spans."""
    with errors_said():
        from otel_chat.client import AnalyticsClient
        from otel_chat.tracetree import print_conversation, traces_of

        with AnalyticsClient(server, token=token) as client:
            conversation = client.conversation(conversation_id)
            traces = traces_of(client, conversation)
        if as_json:
            _print_json({"conversation": conversation, "traces": traces})
        else:
            print_conversation(conversation, traces)


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False))


if __name__ == "__main__":
    main()
