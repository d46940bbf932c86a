"""What the commands of `otel-chat` have in common."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Final

import typer

from otel_chat.errors import OtelChatError

DEFAULT_SERVER: Final = "http://127.0.0.1:8400"
_EXTRAS: Final = {
    "chdb": "embedded",
    "clickhouse_connect": "server",
    "fastapi": "server",
    "httpx": "cli",
    "opentelemetry.sdk": "sdk",
    "sklearn": "themes",
    "tokenizers": "demo",
    "uvicorn": "server",
}

ServerOption = Annotated[str, typer.Option("--server", help="Address of a running server.")]
TokenOption = Annotated[
    str | None,
    typer.Option("--token", envvar="OTEL_CHAT_TOKEN", help="Token, where the server asks for one."),
]


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
