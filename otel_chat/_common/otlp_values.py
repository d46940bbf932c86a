"""What OTLP can carry, made of what applications and other libraries put into attributes.

One value that cannot be encoded must cost itself at most: the exporters of the SDK lose the
attribute where it is one, and the whole batch where it is a name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

REPLACEMENT: Final = "\ufffd"
TEXT_LIMIT: Final = 4096
"""Characters kept of an object that has no form of its own in OTLP."""
DEPTH: Final = 16
ITEMS: Final = 10_000


def text(value: str) -> str:
    r"""Text that UTF-8 can hold: halves of characters and NUL become U+FFFD.

    Two halves that belong together, as UTF-16 has them, become their character.

    Example:
        >>> text("nice \ud83d"), text("\ud83d\ude00"), text("a\0b")
        ('nice �', '😀', 'a�b')
    """
    value = str.__str__(value)  # a subclass may do anything when it is asked
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            value = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value.replace("\0", REPLACEMENT)


def number(value: float) -> int | float | str:
    """A number as OTLP has it: what is none, or beyond 64 bits, as text.

    Example:
        >>> number(2**63 - 1) == 2**63 - 1, number(2**64), number(float("nan"))
        (True, '18446744073709551616', 'NaN')
    """
    # A subclass may do anything when it is compared or written
    if isinstance(value, int):
        whole = int.__index__(value)
        return whole if -(2**63) <= whole < 2**63 else _written(whole)
    value = float.__float__(value)
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def value(given: object) -> Any:
    """A value of an attribute or a body as OTLP can carry it; never raises.

    What has no form of its own becomes its text; what lies deeper than 16 levels, or beyond
    10,000 values, is left out.

    Example:
        >>> value({"a": [1, object, None]})
        {'a': [1, "<class 'object'>", None]}
    """
    return _Walk().visit(given, 0)


def attributes(given: object) -> dict[str, Any]:
    r"""Attributes as OTLP can carry them; none of what is no mapping.

    Example:
        >>> attributes({7: "seven", "half": "\ud83d"})
        {'7': 'seven', 'half': '�'}
    """
    if not isinstance(given, Mapping):
        return {}
    if isinstance(given, dict | MappingProxyType):
        given = dict(given)  # once: reading the SDK's own takes a lock each time
        plain = all(type(key) is str and _is_plain(key) for key in given)
        if plain and all(map(_is_plain, given.values())):
            return given  # the usual case, quickly
    found = value(given)
    return found if isinstance(found, dict) else {}


def _is_plain(given: object) -> bool:
    """Whether it can be sent as it is: short checks that miss some, and pass nothing wrong."""
    kind = type(given)
    if kind is str:
        return given.isascii() and "\0" not in given  # type: ignore[attr-defined, operator]
    return kind is bool or (kind is int and -(2**63) <= given < 2**63)  # type: ignore[operator]


class _Walk:
    """One walk over a value, bounded in depth and size."""

    def __init__(self) -> None:
        self._left = ITEMS

    def visit(self, given: object, depth: int) -> Any:
        self._left -= 1
        if given is None or isinstance(given, bool | bytes):
            return given
        if isinstance(given, str):
            return text(given)
        if isinstance(given, int | float):
            return number(given)
        try:
            return self._other(given, depth)
        except Exception:  # noqa: BLE001 - objects of somebody else's may raise anything
            return f"<{type(given).__name__}>"

    def _other(self, given: object, depth: int) -> Any:
        if isinstance(given, Mapping):
            if depth >= DEPTH:
                return {}
            return {
                text(key if isinstance(key, str) else str(key)): self.visit(item, depth + 1)
                for key, item in given.items()
                if self._left > 0
            }
        if isinstance(given, Sequence | set | frozenset) and not isinstance(given, bytearray):
            if depth >= DEPTH:
                return []
            found = [self.visit(item, depth + 1) for item in given if self._left > 0]
            return tuple(found) if isinstance(given, tuple) else found
        plain = getattr(given, "item", None)  # numpy's scalars
        if callable(plain) and isinstance(found := plain(), int | float | str):
            return self.visit(found, depth)
        return text(str(given)[:TEXT_LIMIT])


def _written(value: int) -> str:
    try:
        return str(value)
    except ValueError:  # more digits than the interpreter writes
        return f"{'-' if value < 0 else ''}2^{value.bit_length()}"
