"""Writes the dashboards: `python -m grafana.generate [--analytics-url URL] [--output DIR]`.

Without `--output`, those of this package are written anew. With `--for-import` they are those that
Grafana imports by hand, which ask for their data sources and for the address of links.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from grafana.board import ANALYTICS_URL, Board, written
from grafana.boards import (
    answers,
    audience,
    conversation,
    conversations,
    cost,
    intents,
    outcomes,
    overview,
    pipeline,
    releases,
    response_time,
    turns_to_read,
)
from grafana.importable import importable

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
        releases.board(),
        turns_to_read.board(),
        answers.board(),
    ]


def files(analytics: str = ANALYTICS_URL, *, for_import: bool = False) -> dict[str, str]:
    """The dashboards' files by name.

    Args:
        analytics: The address of the analytics server, for links.
        for_import: Whether whoever imports them is asked for data sources and addresses.
    """
    found = {f"{board.slug}.json": board.as_json(analytics) for board in boards()}
    if for_import:
        return {name: written(importable(json.loads(text))) for name, text in found.items()}
    return found


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
    parser.add_argument("--for-import", action="store_true", help="needs --output")
    given = parser.parse_args(arguments)
    if given.for_import and given.output == DASHBOARDS:
        parser.error("--for-import needs an --output: Grafana does not read these as provisioned.")
    contents = files(given.analytics_url.rstrip("/"), for_import=given.for_import)
    write(given.output, contents)
    sys.stdout.write(f"{len(contents)} dashboards written to {given.output}\n")


if __name__ == "__main__":
    main()
