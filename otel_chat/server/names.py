"""The names under which colleagues keep things: views, segments, samples."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol, TypeVar

from otel_chat.errors import AccessError, QueryError

LONGEST_NAME: Final = 100


class Named(Protocol):
    """What is kept under a name."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def tenant(self) -> str:
        """Whose it is."""


N = TypeVar("N", bound=Named)


def tidy_name(name: str) -> str:
    """A name as it is kept: on one line, with single blanks.

    Raises:
        QueryError: If nothing is left of it, or too much.

    Example:
        >>> tidy_name("  Refunds   that went well ")
        'Refunds that went well'
    """
    title = " ".join(name.split())
    if not 1 <= len(title) <= LONGEST_NAME or not title.isprintable():
        message = f"A name has 1 to {LONGEST_NAME} characters, on one line."
        raise QueryError(message, field="name")
    return title


def find_named(items: Iterable[N], kind: str, name: str, tenant: str | None) -> N:
    """What is kept under a name.

    Args:
        items: What the caller may see of the kind.
        kind: What that is called, as `view`.
        name: The name.
        tenant: Whose it is, where several have one of this name.

    Raises:
        AccessError: With status 404, if there is none.
    """
    for one in items:
        if one.name == name and tenant in {None, one.tenant}:
            return one
    raise AccessError(f"There is no {kind} of this name.", status=404)
