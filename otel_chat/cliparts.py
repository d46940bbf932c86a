"""What the commands of `otel-chat` have in common."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Final

import typer

from otel_chat.errors import OtelChatError
from otel_chat.extras import needed, pip_command, require

DEFAULT_SERVER: Final = "http://127.0.0.1:8400"
ServerOption = Annotated[str, typer.Option("--server", help="Address of a running server.")]
TokenOption = Annotated[
    str | None,
    typer.Option("--token", envvar="OTEL_CHAT_TOKEN", help="Token, where the server asks for one."),
]


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
        raise _failed(str(error)) from error
    except ModuleNotFoundError as error:
        if (error.name or "otel_chat").partition(".")[0] == "otel_chat":
            raise
        # Not of an extra itself, but of what an extra stands on.
        cure = pip_command(*needed(command, store=store))
        raise _failed(f"{error.name} is not installed. Run: {cure}") from error


def _failed(words: str) -> typer.Exit:
    typer.secho(f"Error: {words}", fg=typer.colors.RED, err=True)
    return typer.Exit(1)
