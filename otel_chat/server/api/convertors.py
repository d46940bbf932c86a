"""A part of an address that is an id of somebody else's: any text, slashes and line breaks too."""

from __future__ import annotations

from starlette.convertors import Convertor, register_url_convertor


class IdConvertor(Convertor[str]):
    """Any text that is not empty; Starlette's own `path` ends at a line break."""

    regex = "(?s:.+)"

    def convert(self, value: str) -> str:
        """The id as it is."""
        return value

    def to_string(self, value: str) -> str:
        """The id as it is."""
        return value


register_url_convertor("id", IdConvertor())
