"""`otel-chat token create | list | revoke`: tokens for the API and for ingest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, Protocol

import typer

from otel_chat.cli.options import DEFAULT_SERVER, JsonOption, TokenOption, errors_said, print_json
from otel_chat.errors import ConfigurationError, StoreUnavailableError

tokens = typer.Typer(help="Tokens for the API and for ingest.", no_args_is_help=True)
TokenStoreOption = Annotated[
    str | None, typer.Option("--store", help="A store that no server holds now.")
]
TokenServerOption = Annotated[
    str | None, typer.Option("--server", help=f"A running server. Default: {DEFAULT_SERVER}.")
]


class TokenKeeper(Protocol):
    """What makes, lists and revokes tokens."""

    def create_token(self, wanted: Mapping[str, Any], /) -> dict[str, Any]:
        """Makes a token."""

    def tokens(self) -> list[dict[str, Any]]:
        """All tokens."""

    def revoke_token(self, token_id: str, /) -> dict[str, Any]:
        """Revokes a token."""


@contextmanager
def _keeper(store: str | None, server: str | None, token: str | None) -> Iterator[TokenKeeper]:
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
    with errors_said("token", store=store), _keeper(store, server, token) as keeper:
        made = keeper.create_token(wanted)
    if as_json:
        print_json(made)
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
    with errors_said("token", store=store), _keeper(store, server, token) as keeper:
        found = keeper.tokens()
    if as_json:
        print_json(found)
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
    with errors_said("token", store=store), _keeper(store, server, token) as keeper:
        revoked = keeper.revoke_token(token_id)
    typer.echo(f"{revoked['id']} ({revoked['name']}) is revoked.")
