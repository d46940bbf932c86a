"""Runs the lifecycle suite on other tracing decorators and writes the table of docs/conformance.md.

By hand, not in CI: `python benchmarks/conformance_peers.py` makes a virtual environment for each
peer (once, in the cache folder), from the pinned requirements in `benchmarks/peers/`, and runs the
suite in it. Nothing is sent at run time: exporters are in memory.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PEERS = ROOT / "benchmarks" / "peers"
PAGE = ROOT / "docs" / "conformance.md"
MARKS = ("<!-- peers: begin -->", "<!-- peers: end -->")
SUBJECTS = {
    "otel_chat": "otel-chat",
    "langfuse": "langfuse",
    "logfire": "logfire",
    "openinference": "openinference-instrumentation",
    "openlit": "openlit",
    "traceloop_sdk": "traceloop-sdk",
}
"""A function in `peers/subjects.py`, and the distribution that it measures."""


def default_cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "otel-chat" / "peers"


def requirements(name: str) -> Path:
    return PEERS / f"{name.replace('_', '-')}.txt"


def environment(name: str, cache: Path) -> Path:
    """The Python of the subject's environment; made where it is not there or its pins changed."""
    if name == "otel_chat":
        return Path(sys.executable)
    folder, wanted = cache / name, requirements(name).read_text()
    stamp, python = folder / "installed.txt", folder / "bin" / "python"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"{name}: making an environment in {folder}", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--no-deps"]
        subprocess.run([*pip, "--requirement", str(requirements(name))], check=True)
        stamp.write_text(wanted)
    return python


def run_in(python: Path, script: str, *arguments: str, timeout: float = 600) -> dict[str, Any]:
    """The JSON object that a script of `peers/` prints last."""
    paths = os.pathsep.join([str(ROOT), str(PEERS)])
    done = subprocess.run(
        [str(python), str(PEERS / script), *arguments],
        env={**os.environ, "PYTHONPATH": paths},
        cwd=python.parent,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{script} {' '.join(arguments)} failed:\n{done.stderr[-3000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


def table(reports: list[dict[str, Any]]) -> str:
    groups = list(reports[0]["groups"])
    head = ["subject", *groups, "all", "cancelled as ERROR"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for report in reports:
        cells = [f"{passed} of {tried}" for passed, tried in report["groups"].values()]
        whole = f"**{report['passed']} of {report['tried']}**"
        who = f"{report['name']} {report['version']}"
        lines.append(f"| {' | '.join([who, *cells, whole, str(report['cancelled_as_error'])])} |")
    return "\n".join(lines)


def failures(report: dict[str, Any]) -> str:
    """Every case that failed, by the checks that it failed."""
    by_checks: dict[tuple[str, ...], list[str]] = {}
    for failed in report["failures"]:
        checks = tuple(sorted(dict.fromkeys(shown(check) for check in failed["checks"])))
        by_checks.setdefault(checks, []).append(failed["case"])
    lines = [f"<details><summary>{report['name']}: {len(report['failures'])} cases</summary>", ""]
    for checks, cases in sorted(by_checks.items(), key=lambda item: -len(item[1])):
        lines += [f"* {'; '.join(checks)} ({len(cases)})", *(f"  * {c}" for c in grouped(cases))]
    return "\n".join([*lines, "", "</details>"])


def grouped(cases: list[str]) -> list[str]:
    """The cases by group, shapes and endings: what shares all of them stands in one line."""
    shapes: dict[tuple[str, str], list[str]] = {}
    for case in cases:
        group, _, name = case.partition(": ")
        shape, _, ending = name.partition(", ")
        shapes.setdefault((group, ending), []).append(shape)
    endings: dict[tuple[str, str], list[str]] = {}
    for (group, ending), names in shapes.items():
        endings.setdefault((group, ", ".join(names)), []).append(ending)
    return [
        f"{group}: {names}{': ' + ', '.join(known) if any(known) else ''}"
        for (group, names), known in endings.items()
    ]


def shown(check: str) -> str:
    return check.replace("|", "\\|").replace("<", "&lt;")


def write(reports: list[dict[str, Any]]) -> None:
    before, _, rest = PAGE.read_text().partition(MARKS[0])
    after = rest.partition(MARKS[1])[2]
    parts = [table(reports), *(failures(r) for r in reports if r["failures"])]
    PAGE.write_text(f"{before}{MARKS[0]}\n\n" + "\n\n".join(parts) + f"\n\n{MARKS[1]}{after}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=default_cache(), help="for environments")
    parser.add_argument("--only", choices=list(SUBJECTS), help="one subject, printed, not written")
    chosen = parser.parse_args()
    reports = []
    for name in [chosen.only] if chosen.only else SUBJECTS:
        python = environment(name, chosen.cache)
        report = run_in(python, "try_one.py", name, SUBJECTS[name])
        print(f"{report['name']} {report['version']}: {report['passed']} of {report['tried']}")
        reports.append(report)
    if chosen.only:
        checks = Counter(c for f in reports[0]["failures"] for c in f["checks"])
        print(json.dumps(reports[0]["groups"]), *checks.most_common(), sep="\n")
    else:
        write(reports)


if __name__ == "__main__":
    main()
