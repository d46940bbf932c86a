"""`python -m grafana.preview --prometheus URL`: pictures of the dashboards on live data."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from grafana.generate import DASHBOARDS
from grafana.preview.build import BuildError, build
from grafana.preview.shots import THEMES, WIDTH, Asked, NotDrawnError, take

OF_TEMPO = ("conversation", "turns-to-read")
OF_ANALYTICS = ("answers",)
"""Dashboards that ask others than Prometheus."""
_OUTPUT = Path(__file__).parents[2] / "docs" / "dashboards"


def main(arguments: Sequence[str] | None = None) -> None:
    """Takes the pictures and says which panels were empty."""
    parser = argparse.ArgumentParser(prog="python -m grafana.preview", description=__doc__)
    parser.add_argument("names", nargs="*", help="dashboards, as overview; all without")
    parser.add_argument("--prometheus", default="http://127.0.0.1:9090")
    parser.add_argument("--tempo", help="without, dashboards that ask Tempo are left out")
    parser.add_argument("--analytics", help="without, those that ask the server are left out")
    parser.add_argument("--width", type=int, default=WIDTH, help="of the window, in pixels")
    parser.add_argument("--conversation", default="", help="the id of the conversation to draw")
    parser.add_argument("--minutes", type=float, default=60, help="the time that is shown")
    parser.add_argument("--dashboards", type=Path, default=DASHBOARDS)
    parser.add_argument("--output", type=Path, default=_OUTPUT)
    parser.add_argument("--theme", choices=THEMES, action="append")
    given = parser.parse_args(arguments)
    names = given.names or sorted(path.stem for path in given.dashboards.glob("*.json"))
    for address, of in ((given.tempo, OF_TEMPO), (given.analytics, OF_ANALYTICS)):
        if address is None:
            names = [name for name in names if name not in of]
    asked = Asked(
        given.prometheus.rstrip("/"),
        given.dashboards,
        given.output,
        given.minutes * 60,
        names,
        given.theme or THEMES,
        (given.tempo or "").rstrip("/"),
        (given.analytics or "").rstrip("/"),
        {"conversation": given.conversation} if given.conversation else {},
        given.width,
    )
    try:
        for shot in take(asked, build()):
            without = f" (no data: {', '.join(shot.empty)})" if shot.empty else ""
            sys.stdout.write(f"{shot.path}{without}\n")
    except (BuildError, NotDrawnError) as error:
        sys.exit(f"preview: {error}")


if __name__ == "__main__":
    main()
