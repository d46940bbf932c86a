"""A public suite: every shape of handler with every ending, against a decorator of your choice.

Example:
    >>> from opentelemetry.sdk.trace import TracerProvider
    >>> provider = TracerProvider()
    >>> traced = provider.get_tracer("app").start_as_current_span("handler")
    >>> subject = Subject.on(provider, name="start_as_current_span", decorate=traced)
    >>> plain = [case for case in CASES if case.group == "plain"]
    >>> report = run(subject, plain)
    >>> print(report)
    start_as_current_span: 18 of 18 cases passed
"""

from __future__ import annotations

from otel_chat.testing.conformance.model import (
    PROBE_SCOPE,
    Case,
    Failure,
    Level,
    Maker,
    Observer,
    Outcome,
    Report,
    Subject,
)
from otel_chat.testing.conformance.suite import CASES, GROUPS, parametrize, run

__all__ = [
    "CASES",
    "GROUPS",
    "PROBE_SCOPE",
    "Case",
    "Failure",
    "Level",
    "Maker",
    "Observer",
    "Outcome",
    "Report",
    "Subject",
    "parametrize",
    "run",
]
