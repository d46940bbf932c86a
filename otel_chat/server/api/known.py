"""A misspelt parameter is an error: it would limit nothing, and nobody would notice."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

from fastapi import Request

from otel_chat.errors import QueryError
from otel_chat.server.api.filters import takes_filters
from otel_chat.server.figures.conditions import check_name
from otel_chat.server.figures.fields import PARAMETERS, UNLIMITED, field_and_operator
from otel_chat.server.figures.filters import OF_TREES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi.dependencies.models import Dependant

PREFIX: Final = "/api/v1"
FEEDBACK: Final = f"{PREFIX}/feedback"


def _names(dependant: Dependant) -> Iterator[str]:
    for one in dependant.dependencies:
        yield from _names(one)
    yield from (parameter.alias for parameter in dependant.query_params)


def check_parameters(request: Request) -> None:
    """Refuses parameters that the address does not know.

    Args:
        request: What was asked.

    Raises:
        QueryError: If there is one; names it, and what was probably meant.
    """
    route = request.scope["route"]
    if not request.query_params or not route.include_in_schema:
        return
    known = list(dict.fromkeys(_names(route.dependant)))
    if filtered := takes_filters(route.dependant):
        known += [name for name in (*PARAMETERS, *OF_TREES) if name not in known]
    if not known and not route.param_convertors:
        return
    for name in request.query_params:
        if name not in known and name != UNLIMITED:
            if filtered:
                check_name(name, bare=True)
                if field_and_operator(name) is not None:
                    continue
            near = difflib.get_close_matches(name, known, 1)
            meant = f": did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}."
            message = f"There is no parameter {name!r} here{meant}"
            raise QueryError(message, field=name)
