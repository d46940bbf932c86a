"""Which extra brings which modules, and which of them are missing; nothing is imported for it."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, NoReturn

from otel_chat.errors import MissingExtraError

MODULES: Final[Mapping[str, tuple[str, ...]]] = {
    "cli": ("httpx", "rich", "typer"),
    "sdk": ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http"),
    "grpc": ("opentelemetry.exporter.otlp.proto.grpc",),
    "prometheus": ("opentelemetry.exporter.prometheus",),
    "pricing": ("genai_prices",),
    "hooks": ("vaderSentiment",),
    "server": (
        "clickhouse_connect",
        "cronsim",
        "fastapi",
        "google.protobuf",
        "google.rpc",
        "jinja2",
        "markdown_it",
        "nh3",
        "opentelemetry.proto",
        "prometheus_client",
        "pydantic_settings",
        "scipy",
        "standardwebhooks",
        "starlette",
        "tzdata",
        "ua_parser",
        "ua_parser_builtins",
        "uvicorn",
        "yaml",
    ),
    "embedded": ("chdb",),
    "themes": ("sklearn",),
    "pdf": ("weasyprint",),
    "demo": ("tokenizers",),
}
"""What each extra brings itself; a test holds it against pyproject.toml."""
_BRINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "grpc": ("sdk",),
    "prometheus": ("sdk",),
    "server": ("cli",),
    "demo": ("cli", "sdk", "pricing", "server", "embedded", "themes", "hooks"),
}
"""The extras that another one brings along."""
_SERVER: Final = ("cli", "server")
COMMANDS: Final[Mapping[str, tuple[str, ...]]] = {
    "demo": (*_SERVER, "sdk", "themes", "demo"),
    "serve": _SERVER,
    "replay": (*_SERVER, "sdk", "themes", "demo"),
    "migrate": _SERVER,
    "doctor": ("cli", "sdk"),
}
"""What a command needs, whatever its store; one that is not here needs `cli`."""
_EMBEDDED_UNLESS_SAID: Final = frozenset({"demo", "serve", "migrate"})
_STORE: Final = "OTEL_CHAT_SERVER_STORE"


def needed(command: str, *, store: str | None = None) -> tuple[str, ...]:
    """The extras that a command needs.

    Args:
        command: Its name, as `serve`.
        store: The address of the store that it opens, if it opens one.

    Example:
        >>> needed("serve", store="chdb:./chat-store")
        ('cli', 'server', 'embedded')
        >>> needed("trace")
        ('cli',)
    """
    always = COMMANDS.get(command, ("cli",))
    if store is None:
        return always
    embedded = () if store.startswith("clickhouse:") else ("embedded",)
    return tuple(dict.fromkeys((*always, *_SERVER, *embedded)))


def needed_for(
    words: Sequence[str], environ: Mapping[str, str] = os.environ
) -> tuple[str, tuple[str, ...]]:
    """The command of a command line and the extras that it needs.

    For when nothing is there that could parse it: the options are looked for, not understood.

    Args:
        words: What was typed after `otel-chat`.
        environ: Where the store may be named.

    Example:
        >>> needed_for(["serve", "--store=clickhouse://db/chat"])
        ('serve', ('cli', 'server'))
        >>> needed_for(["serve", "--help"])
        ('', ('cli',))
    """
    command = next((word for word in words if not word.startswith("-")), "")
    if "--help" in words:
        return "", needed("")
    given = [word.partition("=")[2] for word in words if word.startswith("--store=")]
    given += [after for word, after in pairwise(words) if word == "--store"]
    if not given and command in _EMBEDDED_UNLESS_SAID and "--show" not in words:
        given = [environ.get(_STORE, "") if command != "demo" else ""]
    return command, needed(command, store=given[0] if given else None)


def missing(*wanted: str) -> list[str]:
    """The fewest extras that bring what is missing of those wanted.

    Args:
        wanted: Names of extras.

    Example:
        >>> missing("cli", "server")
        []
    """
    lacking = [
        extra for extra in MODULES if extra in wanted and not all(map(_there, MODULES[extra]))
    ]
    brought = {inner for extra in lacking for inner in _BRINGS.get(extra, ())}
    return [extra for extra in lacking if extra not in brought]


def _there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # a package around it is missing, or is blocked
        return False


def require(what: str, *wanted: str) -> None:
    """Sees that extras are installed.

    Args:
        what: What needs them, for the message.
        wanted: Their names.

    Raises:
        MissingExtraError: one is not; names all that are missing, and the command that installs
            them.

    Example:
        >>> require("otel-chat serve", "cli", "server")
    """
    if lacking := missing(*wanted):
        raise MissingExtraError(_words(what, lacking))


def absent(what: str, *wanted: str) -> Callable[..., NoReturn] | None:
    """A function that says what is missing when it is called; None where nothing is.

    Args:
        what: What needs the extras, for the message.
        wanted: Their names.
    """
    lacking = missing(*wanted)

    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise MissingExtraError(_words(what, lacking))

    return refuse if lacking else None


def _words(what: str, lacking: Sequence[str]) -> str:
    plural = "s" if len(lacking) > 1 else ""
    return (
        f"{what} needs the extra{plural} {' and '.join(lacking)}, which {'are' if plural else 'is'}"
        f" not installed. Run: {pip_command(*lacking)}"
    )


def pip_command(*extras: str) -> str:
    """What installs extras.

    Example:
        >>> pip_command("server", "cli", "embedded")
        "pip install 'otel-chat[server,embedded]'"
    """
    brought = {inner for extra in extras for inner in _BRINGS.get(extra, ())}
    return f"pip install 'otel-chat[{','.join(x for x in extras if x not in brought)}]'"
