"""Whether a result is data alone, so that the readers run no code of somebody else's in it.

What may run some is read in a thread of its own, since it may hang; most results need not be.
"""

from __future__ import annotations

import sys
from abc import ABCMeta
from functools import lru_cache
from types import FunctionType, GetSetDescriptorType
from typing import Any, Final

from otel_chat.extract._reading import USUAL

_PLAIN: Final = frozenset({str, int, float, bool, complex, bytes, type(None)})
_FUNCTIONS: Final = (FunctionType, classmethod, staticmethod)
_ASKED_ALWAYS: Final = frozenset(
    {
        "__bool__", "__class__", "__eq__", "__getattr__", "__getattribute__", "__len__",
        "__pydantic_extra__", "__pydantic_private__",
    }
)  # fmt: skip
"""What reading or comparing any object asks its class for."""
_CALLED: Final = "usage"
"""The one method that a reader calls (Pydantic AI's)."""


def is_data(value: object, *, limit: int = 10_000) -> bool:
    """Whether a value is made of plain types, and of objects that hold nothing but such.

    A class may have methods: they are not called. With a property, `__getattr__` or the like it
    is none of these classes, and nor is one whose metaclass is unknown.

    Args:
        value: Is looked at by type alone.
        limit: How many values it may hold; a cycle holds more.

    Example:
        >>> from types import SimpleNamespace
        >>> is_data(SimpleNamespace(usage={"tokens": 3})), is_data(SimpleNamespace(usage=object()))
        (True, False)
    """
    waiting, left = [value], limit
    try:
        while waiting:
            one: Any = waiting.pop()
            kind = type(one)
            if kind in _PLAIN:
                continue
            inside: Any
            if kind is list or kind is tuple:
                inside = one
            elif kind is dict:
                if len(one) > left:
                    return False
                inside = (*one, *one.values())
            elif _is_known(type(kind)) and _has_fields(kind):  # type: ignore[arg-type] # every class is hashable
                inside = _fields(one)
            else:
                return False
            left -= len(inside)
            if left < 0:
                return False
            waiting += [each for each in inside if type(each) not in _PLAIN]
    except Exception:  # noqa: BLE001 - a metaclass may forbid hashes
        return False
    return True


def _fields(one: Any) -> tuple[object, ...]:
    """What an object holds; a Pydantic model holds some of it beside its `__dict__`."""
    if _is_model(type(one)):  # type: ignore[arg-type] # every class is hashable
        return one.__dict__, one.__pydantic_extra__, one.__pydantic_private__
    return (one.__dict__,)


def _pydantic() -> Any:
    """Pydantic's `BaseModel`, where somebody has imported it."""
    return getattr(sys.modules.get("pydantic.main"), "BaseModel", None)


def _is_known(metaclass: type) -> bool:
    """Whether classes made by this one are hashed and asked as usual."""
    return metaclass is type or metaclass is ABCMeta or metaclass is type(_pydantic())


@lru_cache(maxsize=4096)
def _is_model(kind: type) -> bool:
    return _pydantic() in kind.__mro__


@lru_cache(maxsize=4096)
def _has_fields(kind: type) -> bool:
    """Whether all that an object of this class has to say stands in its `__dict__`."""
    bases = [base for base in kind.__mro__ if base not in USUAL and base is not _pydantic()]
    return "__dict__" in dir(kind) and not any(map(_runs_code, bases))


def _runs_code(base: type) -> bool:
    """Whether a class may run code when one of its objects is read."""
    own = vars(base)
    if not _ASKED_ALWAYS.isdisjoint(own) or _CALLED in own:
        return True
    return any(
        not issubclass(type(value), _FUNCTIONS) and not is_data(value)
        for name, value in own.items()
        if not name.startswith(("__", "_abc_"))
    ) or type(own.get("__dict__")) not in (GetSetDescriptorType, type(None))
