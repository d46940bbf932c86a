"""The command line: `otel-chat demo | serve | replay | trace | export | report | doctor | ...`.

Imports of what is heavy stand inside the commands, so that `--help` is quick and a part that is
not installed is missed only where it is needed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final, Protocol

from otel_chat._common.addresses import without_passwords
from otel_chat._common.extras import needed_for, require
from otel_chat._common.moments import first_of
from otel_chat._version import __version__
from otel_chat.errors import ConfigurationError, MissingExtraError, StoreUnavailableError

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

from otel_chat.cli.doctor import doctor
from otel_chat.cli.export import export, report
from otel_chat.cli.options import DEFAULT_SERVER, ServerOption, TokenOption, errors_said

DEFAULT_STORE: Final = "chdb:./chat-store"
app = typer.Typer(
    name="otel-chat",
    help="OpenTelemetry observability for chat handlers, and the analytics of conversations.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
tokens = typer.Typer(help="Tokens for the API and for ingest.", no_args_is_help=True)
app.add_typer(tokens, name="token")
app.command()(export)
app.command()(report)
app.command()(doctor)

TokenStoreOption = Annotated[
    str | None, typer.Option("--store", help="A store that no server holds now.")
]
TokenServerOption = Annotated[
    str | None, typer.Option("--server", help=f"A running server. Default: {DEFAULT_SERVER}.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


class TokenKeeper(Protocol):
    """What makes, lists and revokes tokens."""

    def create_token(self, wanted: Mapping[str, Any], /) -> dict[str, Any]:
        """Makes a token."""

    def tokens(self) -> list[dict[str, Any]]:
        """All tokens."""

    def revoke_token(self, token_id: str, /) -> dict[str, Any]:
        """Revokes a token."""


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
    with errors_said("demo", store=store or "chdb:"):
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
        str | None,
        typer.Option(
            help="First day (UTC) or moment for conversations without times. Default: 2026-11-09."
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
    with errors_said("replay", store=store):
        from otel_chat.replay.run import ReplayOptions, run

        first = first_of(start, "start") if start else None
        run(
            ReplayOptions(
                file=file, store=store, server=server, token=token, agent=agent, model=model,
                channel=channel, start=first, days=days, limit=limit, skip_bad=skip_bad,
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


@app.command()
def trace(
    conversation_id: Annotated[str, typer.Argument(help="The conversation.")],
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print a conversation's turns as trees of spans."""
    with errors_said("trace"):
        from otel_chat.client import AnalyticsClient
        from otel_chat.client.trace_tree import print_conversation, traces_of

        with AnalyticsClient(server, token=token) as client:
            conversation = client.conversation(conversation_id)
            traces = traces_of(client, conversation)
        if as_json:
            _print_json({"conversation": conversation, "traces": traces})
        else:
            print_conversation(conversation, traces)


@app.command()
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
        _print_json(done)
    else:
        typer.echo(f"Erased {done['turns']} turns, {done['spans']} spans, {done['events']} events.")


@contextmanager
def _token_keeper(
    store: str | None, server: str | None, token: str | None
) -> Iterator[TokenKeeper]:
    """Where tokens are kept: a running server, or a store that no server holds."""
    if store is not None and server is not None:
        raise ConfigurationError("Give --store or --server, not both.")
    if store is None:
        from otel_chat.client import AnalyticsClient

        with AnalyticsClient(server or DEFAULT_SERVER, token=token) as client:
            try:
                yield client
            except StoreUnavailableError as error:
                if server is not None:
                    raise
                hint = "Where none runs, give --store STORE."
                raise StoreUnavailableError(f"{error} {hint}") from error
        return
    from otel_chat.server.localtokens import LocalTokens

    with LocalTokens(store) as local:
        yield local


@tokens.command("create")
def token_create(
    name: Annotated[str, typer.Argument(help="What to call it.")],
    scope: Annotated[
        list[str], typer.Option("--scope", help="What it may do, such as ingest:write. Repeat it.")
    ],
    tenant: Annotated[
        list[str], typer.Option("--tenant", help="A tenant it reaches; * for all. Repeat it.")
    ],
    days: Annotated[
        float | None, typer.Option("--expires-in-days", min=0.001, help="For ever without.")
    ] = None,
    without_admin: Annotated[
        bool,
        typer.Option(
            "--without-admin",
            help="With --store: make it even if no token holds admin, so that no server can make"
            " others.",
        ),
    ] = False,
    store: TokenStoreOption = None,
    server: TokenServerOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a token. Its text is shown this once."""
    wanted: dict[str, Any] = {"name": name, "scopes": scope, "tenants": tenant}
    if days is not None:
        wanted["expires_in_days"] = days
    if without_admin:
        if store is None:
            raise typer.BadParameter("--without-admin goes with --store.")
        wanted["without_admin"] = True
    with errors_said("token", store=store), _token_keeper(store, server, token) as keeper:
        made = keeper.create_token(wanted)
    if as_json:
        _print_json(made)
    else:
        typer.echo("Keep it, it is not shown again:", err=True)
        typer.echo(made["token"])


@tokens.command("list")
def token_list(
    store: TokenStoreOption = None,
    server: TokenServerOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the tokens, without their texts."""
    with errors_said("token", store=store), _token_keeper(store, server, token) as keeper:
        found = keeper.tokens()
    if as_json:
        _print_json(found)
        return
    for one in found:
        state = "revoked" if one["revoked_at"] else f"until {one['expires_at'] or 'revoked'}"
        reach = f"{','.join(one['scopes'])} on {','.join(one['tenants'])}"
        typer.echo(f"{one['id']}  {one['name']}  {reach}  {state}")


@tokens.command("revoke")
def token_revoke(
    token_id: Annotated[str, typer.Argument(help="The id that `list` shows.")],
    store: TokenStoreOption = None,
    server: TokenServerOption = None,
    token: TokenOption = None,
) -> None:
    """Revoke a token for good."""
    with errors_said("token", store=store), _token_keeper(store, server, token) as keeper:
        revoked = keeper.revoke_token(token_id)
    typer.echo(f"{revoked['id']} ({revoked['name']}) is revoked.")


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False))
