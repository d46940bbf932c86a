"""`python -m grafana.preview --prometheus URL`: pictures of the dashboards on live data."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from grafana.generate import DASHBOARDS
from grafana.preview.build import BuildError, build
from grafana.preview.shots import THEMES, Asked, NotDrawnError, take

_OUTPUT = Path(__file__).parents[2] / "docs" / "dashboards"


def main(arguments: Sequence[str] | None = None) -> None:
    """Takes the pictures and says which panels were empty."""
    parser = argparse.ArgumentParser(prog="python -m grafana.preview", description=__doc__)
    parser.add_argument("names", nargs="*", help="dashboards, as overview; all without")
    parser.add_argument("--prometheus", default="http://127.0.0.1:9090")
    parser.add_argument("--minutes", type=float, default=60, help="the time that is shown")
    parser.add_argument("--dashboards", type=Path, default=DASHBOARDS)
    parser.add_argument("--output", type=Path, default=_OUTPUT)
    parser.add_argument("--theme", choices=THEMES, action="append")
    given = parser.parse_args(arguments)
    asked = Asked(
        given.prometheus.rstrip("/"),
        given.dashboards,
        given.output,
        given.minutes * 60,
        given.names,
        given.theme or THEMES,
    )
    try:
        for shot in take(asked, build()):
            without = f" (no data: {', '.join(shot.empty)})" if shot.empty else ""
            sys.stdout.write(f"{shot.path}{without}\n")
    except (BuildError, NotDrawnError) as error:
        sys.exit(f"preview: {error}")


if __name__ == "__main__":
    main()
