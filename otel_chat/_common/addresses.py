"""Addresses as they may be shown: on a terminal, in a log, in an error."""

from __future__ import annotations

import re
from typing import Final

# Up to the last @ before white space: in a password that nobody encoded there may be anything.
# Digits before a slash are a port, and what comes behind them no password.
_PASSWORD: Final = re.compile(
    r"(\b[a-z][a-z0-9+.-]*://[^\s:/?#@]*):(?!\d{1,5}[/?#])\S*@", re.IGNORECASE
)


def without_passwords(text: str) -> str:
    """A text in which the passwords of addresses are hidden.

    Args:
        text: Any.

    Example:
        >>> without_passwords("clickhouse://me:s3cr/t@db:8123/chat does not answer")
        'clickhouse://me:***@db:8123/chat does not answer'
        >>> without_passwords("http://127.0.0.1:8400/a@b")
        'http://127.0.0.1:8400/a@b'
    """
    return _PASSWORD.sub(r"\1:***@", text)
