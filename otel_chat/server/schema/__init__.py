"""The store's schema: the tables, the views that fill them, and how they are brought up to date."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Final

_TABLES: Final = ("turns", "spans", "events", "metrics", "tokens", "migrations")


def table_names() -> tuple[str, ...]:
    """The tables that hold rows.

    Example:
        >>> table_names()[0]
        'turns'
    """
    return _TABLES


def otlp_definition() -> Path:
    """The file that tells the engine of the wire format of OTLP, in the language of protobuf."""
    return Path(str(files(__package__).joinpath("otlp.proto")))
