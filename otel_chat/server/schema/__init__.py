"""The store's schema: the tables, the views that fill them, and how they are brought up to date."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Final

_TABLES: Final = ("turns", "spans", "events", "metrics", "tokens", "migrations")


def table_names() -> tuple[str, ...]:
    """The tables that hold rows.

    Example:
        >>> table_names()[0]
        'turns'
    """
    return _TABLES


@cache
def otlp_definition() -> str:
    """What the engine is told of the wire format of OTLP, in the language of protobuf."""
    return files(__package__).joinpath("otlp.proto").read_text(encoding="utf-8")
