"""A misspelt parameter is an error: it would limit nothing, and nobody would notice."""

from __future__ import annotations

import difflib
from typing import Final

from fastapi import Request

from otel_chat.errors import QueryError

PREFIX: Final = "/api/v1"
FEEDBACK: Final = f"{PREFIX}/feedback"


def check_parameters(request: Request) -> None:
    """Refuses parameters that the address does not know.

    Args:
        request: What was asked.

    Raises:
        QueryError: If there is one; names it, and what was probably meant.
    """
    address = request.scope["route"].path_format
    if request.url.path.startswith(f"{PREFIX}/"):
        address = f"{PREFIX}{address}"
    described = request.app.openapi()["paths"].get(address, {})
    parameters = described.get(request.method.lower(), {}).get("parameters")
    if parameters is None:
        return
    known = [one["name"] for one in parameters if one["in"] == "query"]
    for name in request.query_params:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            meant = f": did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}."
            message = f"There is no parameter {name!r} here{meant}"
            raise QueryError(message, field=name)
