"""Writes the dashboards: `python -m grafana.generate [--analytics-url URL] [--output DIR]`.

Without `--output`, those of this package are written anew.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from grafana.board import ANALYTICS_URL, Board
from grafana.boards import (
    audience,
    conversation,
    conversations,
    cost,
    intents,
    outcomes,
    overview,
    pipeline,
    response_time,
)

HERE: Final = Path(__file__).parent
DASHBOARDS: Final = HERE / "dashboards"


def boards() -> list[Board]:
    """All dashboards, in the order in which they are to be read.

    Raises:
        UnknownNameError: a panel names what nobody sends.
        LayoutError: panels do not fit.
    """
    return [
        overview.board(),
        conversations.board(),
        intents.board(),
        cost.board(),
        response_time.board(),
        outcomes.board(),
        pipeline.board(),
        conversation.board(),
        audience.board(),
    ]


def files(analytics: str = ANALYTICS_URL) -> dict[str, str]:
    """The dashboards' files by name.

    Args:
        analytics: The address of the analytics server, for links.
    """
    return {f"{board.slug}.json": board.as_json(analytics) for board in boards()}


def write(output: Path, contents: dict[str, str]) -> None:
    """Writes files, and takes away dashboards that are no more.

    Args:
        output: The folder.
        contents: Texts by file name.
    """
    output.mkdir(parents=True, exist_ok=True)
    for old in output.glob("*.json"):
        if old.name not in contents:
            old.unlink()
    for name, text in contents.items():
        (output / name).write_text(text)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m grafana.generate", description=__doc__)
    parser.add_argument("--analytics-url", default=ANALYTICS_URL)
    parser.add_argument("--output", type=Path, default=DASHBOARDS)
    given = parser.parse_args(arguments)
    contents = files(given.analytics_url.rstrip("/"))
    write(given.output, contents)
    sys.stdout.write(f"{len(contents)} dashboards written to {given.output}\n")


if __name__ == "__main__":
    main()
