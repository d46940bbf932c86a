"""What every query function and every figure has in common.

`@query` makes a function a query: it names the permission that the function asks for and checks
it before anything is read. `figure` makes a field of an answer a figure: its definition stands
once, and the API's documentation, the definitions endpoint and the pages all show that text.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar

from pydantic import Field

from otel_chat.server.access import ANALYTICS_VIEW, Scope

if TYPE_CHECKING:
    from otel_chat.server.store import Store


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure and what it means.

    Args:
        name: Its name, unique over the whole server.
        unit: What it is counted in: s, 1 (a ratio from 0 to 1), {turn}, USD and so on.
        definition: The rule it is worked out by, in words.
        version: Counts up when the rule changes.
    """

    name: str
    unit: str
    definition: str
    version: int = 1


FIGURES: Final[dict[str, Figure]] = {}
QUERIES: Final[dict[str, str]] = {}
"""Every query function by its qualified name, with the permission that it asks for."""


def figure(name: str, unit: str, definition: str, *, version: int = 1, default: Any = ...) -> Any:
    """A field of an answer that is a figure.

    Args:
        name: The figure's name, unique over the whole server.
        unit: What it is counted in.
        definition: The rule it is worked out by, in words.
        version: Counts up when the rule changes.
        default: The field's default; it is required without.

    Raises:
        ValueError: If another figure has the name.

    Example:
        >>> from pydantic import BaseModel
        >>> class Answer(BaseModel):
        ...     pi: float = figure("doctest_pi", "1", "Circumference by diameter.")
        >>> FIGURES.pop("doctest_pi").definition
        'Circumference by diameter.'
    """
    if name in FIGURES:
        message = f"There are two figures of the name {name}."
        raise ValueError(message)
    FIGURES[name] = Figure(name, unit, definition, version)
    return Field(default, description=definition, json_schema_extra={"figure": name, "unit": unit})


P = ParamSpec("P")
R = TypeVar("R")


def query(
    permission: str = ANALYTICS_VIEW,
) -> Callable[
    [Callable[Concatenate[Store, Scope, P], R]], Callable[Concatenate[Store, Scope, P], R]
]:
    """Make a function a query that asks for `permission`.

    Args:
        permission: What the scope must hold.

    Returns:
        A decorator for functions of `(store, scope, ...)`.
    """

    def decorate(
        function: Callable[Concatenate[Store, Scope, P], R],
    ) -> Callable[Concatenate[Store, Scope, P], R]:
        @functools.wraps(function)
        def checked(store: Store, scope: Scope, /, *args: P.args, **kwargs: P.kwargs) -> R:
            scope.require(permission)
            return function(store, scope, *args, **kwargs)

        QUERIES[f"{function.__module__}.{function.__qualname__}"] = permission
        return checked

    return decorate
