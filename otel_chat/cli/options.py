"""What the commands of `otel-chat` have in common."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Final

import typer

from otel_chat._common.addresses import without_passwords
from otel_chat._common.extras import needed, pip_command, require
from otel_chat.errors import AccessError, ConfigurationError, OtelChatError

DEFAULT_STORE: Final = "chdb:./chat-store"
FILE_SECONDS: Final = 600.0
"""How long a server may take to write a file."""
DEFAULT_SERVER: Final = "http://127.0.0.1:8400"
_UNAUTHENTICATED: Final = 401
_HOW_TO_SIGN_IN: Final = (
    "\nGive one by --token or OTEL_CHAT_TOKEN. Where there is none, whoever runs the server makes"
    " one, with the server stopped:\n  otel-chat token create admin --scope admin --scope"
    " analytics:view --tenant '*' --store STORE"
)

ServerOption = Annotated[str, typer.Option("--server", help="Address of a running server.")]
TokenOption = Annotated[
    str | None,
    typer.Option("--token", envvar="OTEL_CHAT_TOKEN", help="Token, where the server asks for one."),
]

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
FilterOption = Annotated[
    list[str] | None,
    typer.Option("--filter", help="One of the API's filters, as agent=support. Repeat it."),
]
ToOption = Annotated[
    str | None,
    typer.Option("--to", help="Last day, which counts whole, or first moment after. Default: now."),
]
TimezoneOption = Annotated[str, typer.Option(help="Time zone of days and hours, as Europe/Berlin.")]


@contextmanager
def errors_said(command: str, *, store: str | None = None) -> Iterator[None]:
    """Turns errors that are made on purpose into a line on stderr and exit code 1.

    Args:
        command: Its name: what it needs is looked for first.
        store: The address of the store that it opens, if it opens one.
    """
    try:
        require(f"otel-chat {command}", *needed(command, store=store))
        yield
    except OtelChatError as error:
        unknown = isinstance(error, AccessError) and error.status == _UNAUTHENTICATED
        raise _failed(f"{error}{_HOW_TO_SIGN_IN if unknown else ''}") from error
    except ModuleNotFoundError as error:
        if (error.name or "otel_chat").partition(".")[0] == "otel_chat":
            raise
        # Not of an extra itself, but of what an extra stands on.
        cure = pip_command(*needed(command, store=store))
        raise _failed(f"{error.name} is not installed. Run: {cure}") from error


def _failed(words: str) -> typer.Exit:
    typer.secho(f"Error: {without_passwords(words)}", fg=typer.colors.RED, err=True)
    return typer.Exit(1)


def filters_of(limited: list[str] | None) -> dict[str, str]:
    """Filters given as `name=value`.

    Raises:
        ConfigurationError: one is given otherwise.
    """
    found: dict[str, str] = {}
    for one in limited or ():
        name, equals, value = one.partition("=")
        if not equals or not name:
            raise ConfigurationError(f"A filter is name=value, as agent=support, not {one!r}.")
        found[name] = value
    return found


def print_json(value: object) -> None:
    """Prints a value as one line of JSON."""
    typer.echo(json.dumps(value, ensure_ascii=False))
