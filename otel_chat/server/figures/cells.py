"""Cells of CSV as a spreadsheet takes them: no formula, and no longer than a cell may be."""

from __future__ import annotations

from typing import Final

CELL_LIMIT: Final = 32_767
"""What Excel and others hold in a cell, counted in UTF-16; more is lost there without a word."""
CUT: Final = f" [cut at {CELL_LIMIT:,} characters; JSON Lines and Parquet hold all of it]"
MARK: Final = b"\xef\xbb\xbf"
"""The byte order mark: without it Excel reads UTF-8 as the code page of the machine."""

# What is not seen and is skipped before a formula: white space, control and format characters,
# fillers, joiners and variation selectors; without line breaks, which begin a line of their own.
_UNSEEN: Final = (
    r"\x00-\x09\x0B\x0C\x0E-\x20\x7F-\x9F\p{Z}\p{Cf}\x{034F}\x{115F}\x{1160}\x{17B4}\x{17B5}"
    r"\x{180B}-\x{180F}\x{2800}\x{3164}\x{FE00}-\x{FE0F}\x{FFA0}"
)
# = + - @, also full-width and small.
_STARTS: Final = r"[=+@\-\x{FE62}\x{FE63}\x{FE66}\x{FE6B}\x{FF0B}\x{FF0D}\x{FF1D}\x{FF20}]"
FORMULA: Final = rf"^[{_UNSEEN}]*{_STARTS}|^[\x00-\x1F\x7F-\x9F]"
# Where a list is parted by semicolons, as in much of Europe, Excel takes a cell of ours apart
# there and at line breaks: what follows begins a cell too.
INNER_FORMULA: Final = rf"([;\r\n])([{_UNSEEN}]*{_STARTS})"
_ASTRAL: Final = r"[\x{10000}-\x{10FFFF}]"


def _quoted(pattern: str) -> str:
    """A pattern or text as a string of the engine."""
    escaped = pattern.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def guarded(value: str) -> str:
    """SQL for a text with an apostrophe before whatever would be run as a formula.

    Args:
        value: SQL for the text.
    """
    inner = rf"replaceRegexpAll({value}, {_quoted(INNER_FORMULA)}, '\\1\'\\2')"
    return f"concat(if(match({value}, {_quoted(FORMULA)}), '\\'', ''), {inner})"


def fitting(value: str) -> str:
    """SQL for a text that is cut, with a word, where a cell could not hold it.

    Args:
        value: SQL for the text.
    """
    room = CELL_LIMIT - len(CUT)
    # Bytes are never fewer than characters: what has no more of them need not be counted.
    whole = (
        f"length({value}) <= {CELL_LIMIT}"
        f" OR lengthUTF8({value}) + countMatches({value}, {_quoted(_ASTRAL)}) <= {CELL_LIMIT}"
    )
    head = f"leftUTF8({value}, {room})"
    # One that counts twice is one less: so it is at most as long as there is room.
    cut = f"leftUTF8({value}, {room} - countMatches({head}, {_quoted(_ASTRAL)}))"
    return f"if({whole}, {value}, concat({cut}, {_quoted(CUT)}))"
