"""A framework's package that is not installed is named with the command that installs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from otel_chat.errors import MissingExtraError


@contextmanager
def needing(package: str) -> Iterator[None]:
    """Imports of a framework's package stand inside.

    Args:
        package: Its name in registries.

    Raises:
        MissingExtraError: it is not installed; says how to install it.

    Example:
        >>> with needing("parcels"):
        ...     import parcels
        Traceback (most recent call last):
        ...
        otel_chat.errors.MissingExtraError: This needs parcels, which is not installed. \
Run: pip install parcels
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"This needs {package}, which is not installed. Run: pip install {package}"
        ) from error
