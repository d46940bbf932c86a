"""What every query function and every figure has in common.

`@query` makes a function a query: it names the permission that the function asks for and checks
it before anything is read. `figure` makes a field of an answer a figure: its definition stands
once, and the API's documentation, the definitions endpoint and the pages all show that text. A
`Quotient` also says what it is worked out of, so that comparisons and gauges can tell it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Concatenate, Final, Literal, ParamSpec, TypeVar

from pydantic import Field

from otel_chat.server.access import ANALYTICS_VIEW, Scope
from otel_chat.server.figures.sql import ratio

if TYPE_CHECKING:
    from otel_chat.server.store import Store


Better = Literal["higher", "lower", "neither"]


@dataclass(frozen=True, kw_only=True, slots=True)
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

    def field(self, default: Any = ...) -> Any:
        """A field of an answer that is this figure; it is required without a default."""
        told: dict[str, Any] = {"figure": self.name, "unit": self.unit}
        return Field(default, description=self.definition, json_schema_extra=told)


@dataclass(frozen=True, kw_only=True, slots=True)
class Quotient(Figure):
    """A figure that is a sum ÷ another: a share, or a mean where the sum of squares is known.

    Args:
        label: What people call it, in a few words.
        better: Which way is good.
        part: The name of the sum of what counts.
        whole: The name of the sum of what there is.
        scale: What a part is counted in: so many are one of the unit.
        squares: The name of the sum of the squares of what the part sums up; none of a share.
        gauge: What Prometheus is told of it as; nothing without.
    """

    label: str
    better: Better
    part: str
    whole: str
    scale: int = 1
    squares: str = ""
    gauge: str = ""

    def read(self, row: Mapping[str, Any]) -> float | None:
        """Its value in a row of sums; `None` over none."""
        found = ratio(row.get(self.part), row.get(self.whole))
        return None if found is None else found / self.scale


FIGURES: Final[dict[str, Figure]] = {}
QUERIES: Final[dict[str, str]] = {}
"""Every query function by its qualified name, with the permission that it asks for."""


F = TypeVar("F", bound=Figure)


def register(one: F) -> F:
    """Makes a figure known.

    Raises:
        ValueError: If another figure has its name.
    """
    if one.name in FIGURES:
        message = f"There are two figures of the name {one.name}."
        raise ValueError(message)
    FIGURES[one.name] = one
    return one


def every(kind: type[F]) -> list[F]:
    """All figures of a kind that are known, in the order in which they were made known.

    Example:
        >>> made = register(Quotient(name="doctest_share", unit="1", definition="Half of it.",
        ...     label="Half", better="neither", part="half", whole="all"))
        >>> made in every(Quotient), made.read({"half": 1, "all": 2}), made.read({})
        (True, 0.5, None)
        >>> del FIGURES["doctest_share"]
    """
    return [one for one in FIGURES.values() if isinstance(one, kind)]


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
    made = Figure(name=name, unit=unit, definition=definition, version=version)
    return register(made).field(default)


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
