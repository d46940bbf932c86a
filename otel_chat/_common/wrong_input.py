"""What a check of pydantic found, in words for the one who wrote the input."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

_LONGEST: Final = 60
_NO_VALUE: Final = frozenset({"missing", "extra_forbidden", "value_error", "json_invalid"})
"""Where the value says nothing, or the words tell it already."""
_FIXED: Final[Mapping[str, str]] = {
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "decimal_parsing": "must be a number",
    "decimal_type": "must be a number",
    "string_type": "must be text",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must be an object with fields",
    "model_type": "must be an object with fields",
    "model_attributes_type": "must be an object with fields",
    "datetime_parsing": "must be a moment, as 2026-11-20T00:00:00Z",
    "datetime_from_date_parsing": "must be a moment, as 2026-11-20T00:00:00Z",
    "timezone_aware": "needs an offset, as 2026-11-20T00:00:00Z",
}
_TOLD: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "greater_than": lambda of: f"must be more than {_number(of['gt'])}",
    "greater_than_equal": lambda of: f"must be at least {_number(of['ge'])}",
    "less_than": lambda of: f"must be less than {_number(of['lt'])}",
    "less_than_equal": lambda of: f"must be at most {_number(of['le'])}",
    "string_too_short": lambda of: _least(of["min_length"], "character"),
    "string_too_long": lambda of: f"must have at most {of['max_length']:,} characters",
    "too_short": lambda of: _least(of["min_length"], "entry"),
    "too_long": lambda of: f"must have at most {of['max_length']:,} entries",
    "literal_error": lambda of: f"must be {_plain(of['expected'])}",
    "enum": lambda of: f"must be {_plain(of['expected'])}",
    "union_tag_invalid": lambda of: f"must be one of {_plain(of['expected_tags'])}",
}


def in_words(problem: Mapping[str, Any], patterns: Mapping[str, str], *, value: bool = True) -> str:
    """What is wrong, to stand behind the name of the field, without a full stop.

    Args:
        problem: One of a `ValidationError`'s errors.
        patterns: What a text must be, by the pattern that it has to match.
        value: Whether what was given may be repeated; a secret may not.

    Example:
        >>> from pydantic import TypeAdapter, ValidationError
        >>> try:
        ...     TypeAdapter(int).validate_python("many")
        ... except ValidationError as error:
        ...     in_words(error.errors()[0], {})
        "must be a whole number, not 'many'"
    """
    kind, of = problem["type"], problem.get("ctx", {})
    if kind == "string_pattern_mismatch":
        said = f"must be {patterns.get(of['pattern'], 'written in another way')}"
    elif kind in _FIXED:
        said = _FIXED[kind]
    elif kind in _TOLD:
        said = _TOLD[kind](of)
    else:
        return str(problem["msg"]).removeprefix("Value error, ").rstrip(".")
    given = problem.get("input")
    short = isinstance(given, str | int | float) and given != "" and len(repr(given)) <= _LONGEST
    if not (value and short) or kind in _NO_VALUE or "://" in str(given):
        return said  # an address may hold a password
    return f"{said}, not {given!r}"


def _number(bound: Any) -> str:
    """Without the zero behind the point of a whole number."""
    return str(bound).removesuffix(".0")


def _least(number: int, what: str) -> str:
    if number == 1:
        return "must not be empty"
    return f"must have at least {number} {what}s"


def _plain(expected: str) -> str:
    """The choices without their quotes."""
    return re.sub(r"'([\w:. -]+)'", r"\1", expected)
