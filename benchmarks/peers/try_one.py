"""Runs the lifecycle suite on one subject, in its own environment, and prints JSON."""

from __future__ import annotations

import json
import logging
import sys
from importlib.metadata import version

import subjects

from otel_chat.testing.conformance import CASES, GROUPS, Level, run


def main(name: str, distribution: str) -> None:
    logging.disable(logging.NOTSET)
    logging.getLogger().addHandler(logging.NullHandler())
    subject = subjects.subject(name)
    report = run(subject, [case for case in CASES if case.level is not Level.CHAT])
    groups = {
        group: [part.passed(Level.LIFECYCLE), part.tried]
        for group in GROUPS
        if (part := report.of(group)).tried
    }
    cancelled = [o for o in report.outcomes if o.failed(Level.CANCELLATION)]
    failures = [
        {"case": case.id, "checks": [str(failure) for failure in failed]}
        for case, failed in report.failures(Level.LIFECYCLE)
    ]
    answer = {
        "name": subject.name,
        "version": version(distribution),
        "passed": report.passed(Level.LIFECYCLE),
        "tried": report.tried,
        "groups": groups,
        "cancelled_as_error": len(cancelled),
        "failures": failures,
    }
    print("\n" + json.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
