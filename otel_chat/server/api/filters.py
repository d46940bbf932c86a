"""The filters of an address: read by `Filters` itself, and told in the API's description.

FastAPI is not told of them: it would make a reader for each of them at each address, which takes
seconds at the start of a server and time at each request, and `Filters` checks them anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from fastapi import FastAPI, Request
from fastapi.routing import APIRoute

from otel_chat.server.figures.fields import FIELDS, PARAMETERS, Operator
from otel_chat.server.figures.filters import Filters
from otel_chat.server.questions.segments import conditions_of

if TYPE_CHECKING:
    from fastapi.dependencies.models import Dependant

DESCRIBED: Final[tuple[Operator, ...]] = ("is", "min", "max")
"""The operators that the API's description lists with each field; a page tells of all."""


def filters_of(request: Request) -> Filters:
    """What a request limits its question to.

    Raises:
        QueryError: If a filter is wrong.
    """
    # Who asks is known by then: whatever takes filters needs a scope first.
    segments = conditions_of(request.app.state.store, lambda: request.state.scope)
    return Filters.read(request.query_params.multi_items(), segments)


def takes_filters(dependant: Dependant) -> bool:
    """Whether a route's question can be limited by filters."""
    return any(one.call is filters_of or takes_filters(one) for one in dependant.dependencies)


def describe_filters(app: FastAPI) -> None:
    """Has the description of an API tell the filters of each address that takes them.

    Docstrings are told up to what they raise.
    """
    plain: Callable[[], dict[str, Any]] = app.openapi

    def openapi() -> dict[str, Any]:
        known = app.openapi_schema is not None
        description = plain()
        if not known:
            for route in app.routes:
                if isinstance(route, APIRoute) and route.include_in_schema:
                    for method in route.methods or ():
                        _describe(route, description["paths"][route.path_format][method.lower()])
        return description

    app.openapi = openapi  # type: ignore[method-assign]


def _describe(route: APIRoute, operation: dict[str, Any]) -> None:
    if takes_filters(route.dependant):
        operation.setdefault("parameters", []).extend(_descriptions())
    # What code raises is no word to whoever asks by HTTP: they get one of the statuses.
    operation["description"] = operation.get("description", "").partition("Raises:")[0].strip()


def _descriptions() -> Iterator[dict[str, Any]]:
    """Each filter as OpenAPI tells a parameter."""
    for parameter, (name, operator) in PARAMETERS.items():
        if operator in DESCRIBED or FIELDS[name].kind == "said":
            words = {"min": "At least: ", "max": "At most: ", "like": "Contains: "}.get(
                operator, ""
            )
            yield {
                "name": parameter,
                "in": "query",
                "required": False,
                "description": f"{words}{FIELDS[name].meaning}",
                "schema": _schema(name),
            }
    for name, meaning in _OF_TREES.items():
        schema = {"type": "array", "items": {"type": "string"}}
        yield {
            "name": name,
            "in": "query",
            "required": False,
            "description": meaning,
            "schema": schema,
        }


_OF_TREES: Final = {
    "where": "Conditions that nest, as `(intent = refund or failed) and not tag = odd`.",
    "segment": "The name of conditions that were saved.",
    "segment_not": "Likewise, to leave out.",
}


def _schema(name: str) -> dict[str, Any]:
    field = FIELDS[name]
    if field.kind == "flag":
        return {"type": "boolean"}
    if field.kind == "number":
        low, high = field.bounds
        return {"type": "number", "minimum": low} | ({} if high is None else {"maximum": high})
    choices = {"enum": list(field.choices)} if field.choices else {}
    return {"type": "array", "items": {"type": "string", **choices}}
