"""`python -m grafana.check [--live --prometheus URL --analytics URL] [--minutes 60]`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from grafana.check.lint import lint
from grafana.check.live import Live, table
from grafana.generate import DASHBOARDS


def read(folder: Path) -> list[dict[str, Any]]:
    """The dashboards of a folder, in the order of their titles."""
    found = [json.loads(path.read_text()) for path in folder.glob("*.json")]
    return sorted(found, key=lambda one: str(one["title"]))


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints what was found; ends with 1 where something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m grafana.check", description=__doc__)
    parser.add_argument("--dashboards", type=Path, default=DASHBOARDS)
    parser.add_argument("--live", action="store_true", help="run every query on a Prometheus")
    parser.add_argument("--prometheus", default="http://127.0.0.1:9090")
    parser.add_argument("--analytics", default="", help="the server; its answers too")
    parser.add_argument("--minutes", type=float, default=60, help="the time that is asked for")
    given = parser.parse_args(arguments)
    dashboards = read(given.dashboards)
    findings = lint(dashboards)
    for finding in findings:
        sys.stdout.write(f"{finding}\n")
    good = not findings
    if given.live:
        with Live(given.prometheus, given.minutes * 60, given.analytics) as live:
            results = [live.run(dashboard) for dashboard in dashboards]
        sys.stdout.write(f"{table(results)}\n")
        good = good and all(one.good for one in results)
    else:
        sys.stdout.write(f"{len(dashboards)} dashboards, {len(findings)} findings\n")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
