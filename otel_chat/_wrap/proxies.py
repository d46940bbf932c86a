"""A stand-in for any object: it answers as the object does, and an observer sees its steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol
from weakref import WeakKeyDictionary

Special = Callable[..., Any]

_OWN: Final = frozenset(
    {
        "__class__", "__class_getitem__", "__classcell__", "__del__", "__delattr__", "__dict__",
        "__getattr__", "__getattribute__", "__init__", "__init_subclass__", "__mro_entries__",
        "__new__", "__prepare__", "__set_name__", "__setattr__", "__slots__", "__subclasshook__",
        "__weakref__",
    }
)  # fmt: skip
"""What the stand-in answers for itself, or what is asked of classes alone."""
_COMPARISONS: Final = frozenset({"__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__"})
_MISSING: Final = object()


class Observer(Protocol):
    """Sees what is done with a stand-in."""

    def called(self, proxy: Any, name: str, method: Special, args: Any, kwargs: Any) -> Any:
        """Calls a special method of the object's own, and says what its caller gets."""

    def read(self, proxy: Any, name: str, value: Any) -> Any:
        """Says what the reader of an attribute gets."""


class Proxy:
    """Stands for an object. Made by `stand_in`, which gives it a class with the object's methods.

    Attributes are those of the object, to be read, set and deleted; `isinstance` says what it says
    of the object. Only `type()` and `is` tell them apart.
    """

    __slots__ = ("__weakref__", "_otel_chat_inner", "_otel_chat_observer")

    @property  # type: ignore[misc] # what isinstance() asks
    def __class__(self) -> Any:
        return inner_of(self).__class__

    @property
    def __dict__(self) -> Any:  # type: ignore[override] # the object's
        return inner_of(self).__dict__

    def __getattr__(self, name: str) -> Any:
        return _observer_of(self).read(self, name, getattr(inner_of(self), name))

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(inner_of(self), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(inner_of(self), name)


_slots: Any = vars(Proxy)
_inner, _observer = _slots["_otel_chat_inner"], _slots["_otel_chat_observer"]
_mirrors: WeakKeyDictionary[type, type[Proxy]] = WeakKeyDictionary()


def inner_of(proxy: Any) -> Any:
    """The object that a stand-in stands for."""
    return _inner.__get__(proxy)


def _observer_of(proxy: Any) -> Observer:
    found: Observer = _observer.__get__(proxy)
    return found


def is_proxy(value: object) -> bool:
    """Whether an object is a stand-in, which it would not say itself."""
    return issubclass(type(value), Proxy)


def stand_in(inner: Any, observer: Observer) -> Any:
    """A stand-in for an object.

    Args:
        inner: The object.
        observer: Sees each special method that is called and each attribute that is read.

    Example:
        >>> class Nothing:
        ...     def called(self, proxy, name, method, args, kwargs):
        ...         return method(*args, **kwargs)
        ...     def read(self, proxy, name, value):
        ...         return value
        >>> from collections import deque
        >>> proxy = stand_in(deque([1, 2]), Nothing())
        >>> isinstance(proxy, deque), len(proxy), proxy[0], list(proxy), proxy.maxlen
        (True, 2, 1, [1, 2], None)
    """
    proxy = object.__new__(_mirror(type(inner)))
    _inner.__set__(proxy, inner)
    _observer.__set__(proxy, observer)
    return proxy


def has(kind: type, *names: str) -> bool:
    """Whether a class has all of these itself or by its bases; its metaclass is not asked."""
    return all(_found(kind, name) not in (_MISSING, None) for name in names)


def _found(kind: type, name: str) -> Any:
    for base in type.__dict__["__mro__"].__get__(kind):
        if name in base.__dict__:
            return base.__dict__[name]
    return _MISSING


def _mirror(kind: type) -> type[Proxy]:
    try:
        found = _mirrors.get(kind)
    except Exception:  # noqa: BLE001 - a metaclass may not let its classes be compared
        return _made(kind)
    if found is None:
        found = _mirrors[kind] = _made(kind)
    return found


def _made(kind: type) -> type[Proxy]:
    space: dict[str, Any] = {"__slots__": ()}
    for base in reversed(type.__dict__["__mro__"].__get__(kind)):
        for name, value in tuple(base.__dict__.items()):
            special = name.startswith("__") and name.endswith("__")
            if special and name not in _OWN:
                space[name] = _mirrored(name, value)
    if not isinstance(space.get("__qualname__", ""), str):
        del space["__qualname__"]
    made: type[Proxy] = type(kind.__name__, (Proxy,), space)
    return made


def _mirrored(name: str, value: Any) -> Any:
    """A special method that asks the object's; what is no method is taken as it is."""
    if hasattr(type(value), "__set__"):
        return property(lambda self: getattr(inner_of(self), name))
    if callable(value) or hasattr(type(value), "__get__"):
        return _forward(name)
    return value


def _forward(name: str) -> Special:
    def method(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        inner = inner_of(self)
        if name in _COMPARISONS:
            args = tuple(inner_of(other) if is_proxy(other) else other for other in args)
        result = _observer_of(self).called(self, name, _bound(inner, name), args, kwargs)
        return self if result is inner else result

    method.__name__ = name
    return method


def _bound(inner: Any, name: str) -> Special:
    """The special method that Python would call: that of the class, not one of the object."""
    kind = type(inner)
    found = _found(kind, name)
    get = getattr(type(found), "__get__", None)
    bound: Special = found if get is None else get(found, inner, kind)
    return bound
