"""The ways in which texts must be written, and how that is said to whoever writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

NAME_OF_KEPT: Final = r"^[a-z][a-z0-9_]{0,59}$"
EMAIL: Final = r"^[^\s@<>,;\"]{1,64}@[^\s@<>,;\"]{1,255}$"
SENDER: Final = r"^[^\s@<>]+@[^\s@<>]+$"
HOOK: Final = r"^https?://[^\s@]+$"
ORIGIN: Final = r"^https?://[^/\s*]+$"
ADDRESS: Final = r"^https?://[^\s?#]+$"
TRACE_ID: Final = "^[0-9a-f]{32}$"
ANY_TRACE_ID: Final = "^[0-9a-fA-F]{32}$"
SPAN_ID: Final = "^[0-9a-f]{16}$"
WORD_OF_RUBRIC: Final = r"^[^:,=\n\r]+$"

WORDS: Final[Mapping[str, str]] = {
    NAME_OF_KEPT: "the name of a secret: a small letter, then small letters, digits, underlines",
    EMAIL: "an e-mail address, as name@example.com",
    SENDER: "an e-mail address, as name@example.com",
    HOOK: "an address that begins with https://, without a password in it",
    ORIGIN: "an origin, as https://shop.example, without a path",
    ADDRESS: "an address, as https://chat.example, without ? and #",
    TRACE_ID: "a trace id: 32 hexadecimal digits",
    ANY_TRACE_ID: "a trace id: 32 hexadecimal digits",
    SPAN_ID: "a span id: 16 hexadecimal digits",
    WORD_OF_RUBRIC: "one line without : , and =",
}
"""What a text must be, by its pattern."""
