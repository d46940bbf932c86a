"""Addresses of this site: one rule for every link and redirect that a request has a say in."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from starlette.requests import Request

_OF_A_PATH = "/%:@!$&'()*+,;=~-._"


def is_here(address: str) -> bool:
    r"""Whether a browser that is led to an address stays on this site.

    It begins with one slash. A browser reads a backslash as a slash and leaves out tabs and line
    breaks, so neither they nor anything else that is not printed may be in it.

    Args:
        address: What was asked for.

    Example:
        >>> is_here("/conversations?window=24h"), is_here("//evil.example"), is_here("/\\evil")
        (True, False, False)
    """
    return (
        address.startswith("/")
        and not address.startswith("//")
        and "\\" not in address
        and address.isprintable()
    )


def here(address: str) -> str:
    """An address of this site: the one that was asked for, or the overview's.

    Args:
        address: What was asked for.

    Example:
        >>> here("/live"), here("https://evil.example")
        ('/live', '/')
    """
    return address if is_here(address) else "/"


def path_of(request: Request) -> str:
    """The path of a request as it was sent, encoded, with one slash before it.

    Decoded, %2F and %5C at its beginning would lead to another site.

    Args:
        request: The request.
    """
    raw = request.scope.get("raw_path") or request.scope["path"].encode()
    return here(f"/{quote(raw, safe=_OF_A_PATH).lstrip('/')}")


def address_of(request: Request) -> str:
    """The address of a request: its path and its query.

    Args:
        request: The request.
    """
    query = quote(request.scope.get("query_string", b""), safe=f"{_OF_A_PATH}?")
    return path_of(request) + (f"?{query}" if query else "")
