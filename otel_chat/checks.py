"""Checks of what callers report."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Final

ID_LIMIT: Final = 256
EXACT: Final = 2**53


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


def identifier(value: object) -> str | None:
    """A conversation's id as given; '' and None are none.

    Raises:
        TypeError: it is neither text, a number nor a UUID.
    """
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return value[:ID_LIMIT]
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if hasattr(value, "hex") and hasattr(value, "urn"):
        return str(value)
    raise TypeError(f"conversation_id must be text, not {type(value).__name__}")


def count(value: object, name: str) -> int:
    """A whole number that is not negative.

    Raises:
        TypeError, ValueError: it is not; names it.
    """
    if type(value) is int and 0 <= value < EXACT:
        return value
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number, not {type(value).__name__}")
    if not 0 <= value < EXACT:
        raise ValueError(f"{name} must lie between 0 and 2^53, not {value}")
    return int(value)


def number(value: object, name: str, low: float = -math.inf, high: float = math.inf) -> float:
    """A finite number within bounds.

    Raises:
        TypeError, ValueError: it is not; names it.
    """
    if type(value) is float and low <= value <= high and value - value == 0:
        return value  # the usual case, quickly
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        kind = getattr(value, "item", None)  # numpy's scalars are what classifiers return
        value = kind() if callable(kind) else value
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(f"{name} must be a number, not {type(value).__name__}")
    plain = float(value)
    if not (math.isfinite(plain) and low <= plain <= high):
        raise ValueError(f"{name} must be finite and lie between {low} and {high}, not {plain}")
    return plain


def one_of(value: object, name: str, allowed: tuple[str, ...]) -> str:
    """One of a closed set.

    Raises:
        ValueError: it is not; names it and those allowed.
    """
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}, not {value!r}")
    return value
