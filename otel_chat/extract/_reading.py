"""Reads objects of unknown make, dictionaries and attributes alike, and checks each value's type.

A mock answers every attribute with another mock, a proxy may raise: what has not the type that
the wire format gives it is taken as absent.
"""

from __future__ import annotations

import math
from abc import ABC
from collections.abc import Sequence
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from time import monotonic
from types import SimpleNamespace
from typing import Any, Final, Generic
from weakref import WeakSet

# Tuples: a union would be made anew for each value
_NUMBERS: Final = (int, float, Decimal)
_LISTS: Final = (list, tuple)
_MAX_ITEMS: Final = 20_000
_MAX_COUNT: Final = 10**12
_MAX_NAME: Final = 1_000
_PLACES: Final = {None: "text", "text": "text", "refusal": "refusal"}
_PATIENCE_SECONDS: Final = 0.2
_SLOW: Final[WeakSet[type]] = WeakSet()


def get(value: Any, *path: str) -> Any:
    """The value at a path of keys or attributes, or None."""
    for name in path:
        if value is None:
            return None
        if isinstance(value, dict):
            value = value.get(name)
        else:
            try:
                value = _attribute(value, name)
            except KeyboardInterrupt:
                raise
            except BaseException:  # noqa: BLE001 - a property may raise a task's cancellation
                return None
    return value


def _attribute(value: Any, name: str) -> Any:
    """An attribute, or None. What only a miss would ask for is not asked: that is slow."""
    fields = getattr(value, "__dict__", None)
    if type(fields) is dict and name in fields:
        return fields[name]
    kind = type(value)
    place = _place(kind, name)  # type: ignore[arg-type] # every class is hashable
    if place is Place.CLASS:
        return None if kind in _SLOW else _asked(value, name)
    if place is Place.EXTRA:
        for more in (value.__pydantic_extra__, value.__pydantic_private__):
            if more and name in more:
                return more[name]
    return None


def _asked(value: Any, name: str) -> Any:
    """What code of somebody else's answers; a class that takes its time is not asked again."""
    start = monotonic()
    try:
        return getattr(value, name, None)
    finally:
        if monotonic() - start > _PATIENCE_SECONDS:
            _SLOW.add(type(value))


class Place(Enum):
    """Where an attribute is that an object does not hold itself."""

    CLASS = "its class has it, or makes it up"
    EXTRA = "in a Pydantic model's extra or private fields, or nowhere"
    NOWHERE = "nowhere"


@lru_cache(maxsize=4096)
def _place(kind: type, name: str) -> Place:
    if hasattr(kind, name):
        return Place.CLASS
    if getattr(kind, "__pydantic_complete__", None) is True:
        return Place.EXTRA
    return Place.CLASS if makes_up(kind) else Place.NOWHERE


def makes_up(kind: type) -> bool:
    """Whether a class answers for attributes that nobody declared."""
    return hasattr(kind, "__getattr__") or "__getattribute__" in {
        name for base in kind.__mro__ if base not in USUAL for name in vars(base)
    }


USUAL: Final = frozenset({ABC, Generic, SimpleNamespace, object})
"""Classes that answer for the attributes of their objects as any class does."""


def text(value: Any) -> str | None:
    """A string, or the value or name of an enumeration's member."""
    if type(value) is str:
        return value
    if isinstance(value, Enum):
        return value.value if type(value.value) is str else value.name
    return str.__str__(value) if isinstance(value, str) else None


def name(value: Any) -> str | None:
    """A string that is short and not empty."""
    found = text(value)
    return found[:_MAX_NAME] if found else None


def count(value: Any) -> int | None:
    """A number of tokens; Cohere's client gives whole ones as floats."""
    if type(value) is float and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value <= _MAX_COUNT else None


def number(value: Any) -> float | None:
    """A finite number."""
    if value is None or isinstance(value, bool) or not isinstance(value, _NUMBERS):
        return None
    result = float(value)
    return result if math.isfinite(result) else None


def probability(value: Any) -> float | None:
    """A number from 0 to 1."""
    found = number(value)
    return found if found is not None and 0 <= found <= 1 else None


def items(value: Any) -> Sequence[Any]:
    """The items of a list or tuple, the first 20,000 of them."""
    return value[:_MAX_ITEMS] if isinstance(value, _LISTS) else ()


def first(value: Any) -> Any:
    """The first item of a list or tuple, or None."""
    return value[0] if isinstance(value, _LISTS) and value else None


def main(answers: Any) -> Any:
    """Of several answers to one question the first; in a stream each comes by its own number.

    Example:
        >>> main([{"index": 1, "delta": "No"}, {"index": 0, "delta": "Yes"}])
        {'index': 0, 'delta': 'Yes'}
    """
    return next((one for one in items(answers) if not count(get(one, "index"))), None)


def total(*parts: int | None) -> int | None:
    """The sum of the parts that are there; None where none is."""
    known = [part for part in parts if part is not None]
    return sum(known) if known else None


def _said(part: Any) -> str | None:
    """The text of a block that a user reads."""
    place = _PLACES.get(text(get(part, "type")))
    return None if place is None else text(get(part, place))


def joined(parts: Any) -> str | None:
    """The text of content that is a string, or a list of strings and blocks of text."""
    whole = text(parts)
    if whole is not None:
        return whole
    pieces = [text(part) or _said(part) for part in items(parts)]
    return "".join(piece for piece in pieces if piece) or None
