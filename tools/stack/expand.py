"""Fills the environment into configuration of servers that cannot do so themselves.

`python tools/stack/expand.py FROM TO` needs the standard library alone: in containers it runs by
itself before the server starts.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_PLACE: Final = re.compile(r"\$\{([A-Z][A-Z0-9_]*)(:-([^}]*))?\}")


class MissingVariableError(Exception):
    """A variable without a default is not set."""


def expand(text: str, environ: Mapping[str, str]) -> str:
    """The text with `${NAME}` and `${NAME:-default}` replaced, but for lines that are comments.

    Args:
        text: The configuration.
        environ: The variables; an empty one counts as not set, as in a shell's `:-`.

    Raises:
        MissingVariableError: a variable without a default is not set; names it.
        ValueError: a value has a line break, which could add settings of its own.

    Example:
        >>> expand("port: ${PORT:-90}  # ${A}", {"A": "b"})
        'port: 90  # b'
    """

    def value(place: re.Match[str]) -> str:
        name = place[1]
        given = environ.get(name, "")
        if not given and place[2] is None:
            raise MissingVariableError(f"{name} is not set.")
        if "\n" in given or "\r" in given:
            raise ValueError(f"{name} has a line break.")
        return given or place[3] or ""

    return "".join(
        line if line.lstrip().startswith("#") else _PLACE.sub(value, line)
        for line in text.splitlines(keepends=True)
    )


def expand_file(source: Path, target: Path, environ: Mapping[str, str]) -> Path:
    """Writes the expanded file for its owner alone, and returns its path.

    Raises:
        MissingVariableError: as `expand`, with the file's name.
    """
    try:
        text = expand(source.read_text(), environ)
    except MissingVariableError as error:
        raise MissingVariableError(f"{source}: {error}") from error
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    target.chmod(0o600)
    return target


def expand_rules(source: Path, target: Path, environ: Mapping[str, str]) -> None:
    """Writes the expanded files of `rules/` and `alerts/`, and takes away what is no more.

    Raises:
        MissingVariableError: as `expand_file`.
    """
    for folder in ("rules", "alerts"):
        files = {path.name: path for path in sorted((source / folder).glob("*.yml"))}
        for old in (target / folder).glob("*.yml"):
            if old.name not in files:
                old.unlink()
        for name, path in files.items():
            expand_file(path, target / folder / name, environ)


if __name__ == "__main__":
    try:
        expand_file(Path(sys.argv[1]), Path(sys.argv[2]), os.environ)
    except (MissingVariableError, ValueError) as problem:
        sys.exit(f"expand: {problem}")
