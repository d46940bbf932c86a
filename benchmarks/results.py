"""Prints what a simulation found, as a table or as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any


def show(rows: Sequence[dict[str, Any]], runs: int, seed: int, *, as_json: bool) -> None:
    """Prints rows.

    Args:
        rows: What was found, with the same names in each.
        runs: How often each was simulated.
        seed: What the random numbers began with.
        as_json: As JSON, with `runs` and `seed`; else as a table of Markdown.
    """
    if as_json:
        print(json.dumps({"runs": runs, "seed": seed, "rows": rows}, indent=1))
        return
    names = list(rows[0])
    print("| " + " | ".join(names) + " |")
    print("|" + "---|" * len(names))
    for row in rows:
        print("| " + " | ".join(str(row[name]) for name in names) + " |")
