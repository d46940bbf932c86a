"""Checks of what callers report."""

from __future__ import annotations

import math
from datetime import date
from decimal import Decimal
from numbers import Integral, Real
from typing import Any, Final
from uuid import UUID

from otel_chat._common import otlp_values
from otel_chat.errors import ArgumentTypeError, ArgumentValueError

ID_LIMIT: Final = 256
ID_BITS: Final = 512
EXACT: Final = 2**53
VALUE_LIMIT: Final = 10_000
_ARRAYS: Final = frozenset({"cupy", "jaxlib", "numpy", "tensorflow", "torch"})
"""Libraries whose scalars are arrays: `item()` gives the number."""


class Types(frozenset[type]):
    """A set of types that may be asked about any: a metaclass may forbid hashes and comparisons.

    Example:
        >>> class Meta(type):
        ...     __hash__ = None
        >>> class Odd(metaclass=Meta):
        ...     pass
        >>> int in Types((int, str)), Odd in Types((int, str))
        (True, False)
    """

    def __contains__(self, kind: object) -> bool:
        try:
            return super().__contains__(kind)
        except Exception:  # noqa: BLE001 - of somebody else's
            return False


def is_a(value: Any, *kinds: type) -> bool:
    """Whether a value is of one of these types; the value itself is not asked, as it may hang."""
    return issubclass(type(value), kinds)


_PLAIN: Final = frozenset({str, int, float, bool, complex, bytes, type(None)})
_CONTAINERS: Final = frozenset({dict, list, tuple})


def is_plain(value: object, *, limit: int = 100_000) -> bool:
    """Whether a value is made of Python's own plain types, so that looking at it takes no time.

    Args:
        value: Is looked at by type alone.
        limit: How many values it may hold; a cycle holds more.

    Example:
        >>> is_plain({"intent": ["a", 0.5]}), is_plain({"intent": object()})
        (True, False)
    """
    waiting, left = [value], limit
    try:
        while waiting:
            one: Any = waiting.pop()
            kind = type(one)
            if kind in _PLAIN:
                continue
            if kind not in _CONTAINERS or len(one) > left:
                return False
            left -= len(one)
            inside = (*one, *one.values()) if kind is dict else one
            waiting += [each for each in inside if type(each) not in _PLAIN]
    except Exception:  # noqa: BLE001 - a metaclass may forbid hashes
        return False
    return True


def text(value: Any, name: str) -> str:
    """A text as it is; a number as one.

    Raises:
        ArgumentTypeError: it is neither; names it.

    Example:
        >>> text("web", "channel"), text(7, "channel")
        ('web', '7')
    """
    if type(value) is str:
        return value
    # What a subclass makes of itself is not asked: it may do anything
    if is_a(value, str):
        return str.__str__(value)
    if is_a(value, bool):
        return str(value)
    if is_a(value, int) and int.bit_length(value) < ID_BITS:
        return int.__repr__(value)
    if is_a(value, float):
        return float.__repr__(value)
    raise ArgumentTypeError(name, "a text", value)


def identifier(value: Any) -> str | None:
    """A conversation's id as given; '' and None are none.

    Raises:
        ArgumentTypeError: it is neither text, a number nor a UUID.
    """
    if value is None:
        return None
    if type(value) is str and len(value) <= ID_LIMIT and value.isascii() and "\0" not in value:
        return value or None  # the usual case, quickly
    if is_a(value, str):
        return otlp_values.text(str.__str__(value)[:ID_LIMIT]) or None
    if is_a(value, int) and not is_a(value, bool) and int.bit_length(value) < ID_BITS:
        return int.__repr__(value)
    if is_a(value, UUID):
        return str(value)
    raise ArgumentTypeError("conversation_id", "a text, a whole number or a UUID", value)


def user(value: Any) -> str:
    """A user's id, whole.

    Raises:
        ArgumentTypeError: it is neither text, a number nor a UUID.
    """
    return str(value) if is_a(value, UUID) else text(value, "user_id")


def written(value: Any) -> str:
    """A value as a text: one of plain types as it is written, another's type alone.

    Example:
        >>> written("red"), written([1, "a"]), written(object())
        ('red', "[1, 'a']", 'object')
    """
    if is_a(value, str, int, float):
        return text(value, "value")
    if is_a(value, UUID, Decimal, date):
        return str(value)
    return str(value)[:VALUE_LIMIT] if is_plain(value) else type(value).__name__


def flag(value: Any, name: str) -> bool:
    """True or False.

    Raises:
        ArgumentTypeError: it is neither, nor a number; names it.
    """
    if not is_a(value, bool, int):
        raise ArgumentTypeError(name, "True or False", value)
    return bool(int.__index__(value))


def count(value: Any, name: str) -> int:
    """A whole number that is not negative.

    Raises:
        ArgumentTypeError, ArgumentValueError: it is not; names it.
    """
    if type(value) is int and 0 <= value < EXACT:
        return value
    allowed = "a whole number between 0 and 2^53"
    if is_a(value, bool) or not is_a(value, Integral):
        raise ArgumentTypeError(name, allowed, value)
    plain = int(value)
    if not 0 <= plain < EXACT:
        raise ArgumentValueError(name, allowed, value)
    return int(plain)


def number(value: Any, name: str, low: float = -math.inf, high: float = math.inf) -> float:
    """A finite number within bounds.

    Raises:
        ArgumentTypeError, ArgumentValueError: it is not; names it.
    """
    if type(value) is float and low <= value <= high and value - value == 0:
        return value  # the usual case, quickly
    allowed = _numbers(low, high)
    if type(value).__module__.partition(".")[0] in _ARRAYS:
        value = value.item()
    if is_a(value, bool) or not is_a(value, Real, Decimal):
        raise ArgumentTypeError(name, allowed, value)
    try:
        plain = float(value)
    except OverflowError:
        raise ArgumentValueError(name, allowed, value) from None
    if not (math.isfinite(plain) and low <= plain <= high):
        raise ArgumentValueError(name, allowed, value)
    return plain


def _numbers(low: float, high: float) -> str:
    if math.isfinite(low) and math.isfinite(high):
        return f"a number from {low:g} to {high:g}"
    return f"a finite number from {low:g}" if math.isfinite(low) else "a finite number"


def one_of(value: Any, name: str, allowed: tuple[str, ...]) -> str:
    """One of a closed set.

    Raises:
        ArgumentTypeError, ArgumentValueError: it is not; names it and those allowed.
    """
    choice = f"one of {', '.join(allowed)}"
    if not is_a(value, str):
        raise ArgumentTypeError(name, choice, value)
    plain = str.__str__(value)
    if plain not in allowed:
        raise ArgumentValueError(name, choice, value)
    return plain
