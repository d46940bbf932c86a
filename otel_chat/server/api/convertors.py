"""A part of an address that is an id of somebody else's: any text, slashes and line breaks too."""

from __future__ import annotations

from starlette.convertors import PathConvertor, register_url_convertor


class IdConvertor(PathConvertor):
    """Any text that is not empty; Starlette's own `path` ends at a line break."""

    regex = "(?s:.+)"


register_url_convertor("id", IdConvertor())
