"""The whole suite, and how to run it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from otel_chat.testing.conformance.concurrency import concurrency_cases
from otel_chat.testing.conformance.matrix import matrix
from otel_chat.testing.conformance.model import Case, Report, Subject
from otel_chat.testing.conformance.processes import process_cases
from otel_chat.testing.conformance.protocol import protocol_cases
from otel_chat.testing.conformance.signatures import signature_cases
from otel_chat.testing.conformance.turns import turn_cases

if TYPE_CHECKING:
    import pytest

CASES: tuple[Case, ...] = (
    *matrix(),
    *protocol_cases(),
    *signature_cases(),
    *concurrency_cases(),
    *process_cases(),
    *turn_cases(),
)
"""Every case, in the order of the table."""

GROUPS: tuple[str, ...] = tuple(dict.fromkeys(case.group for case in CASES))
"""The groups of cases, in the order of the table."""


def run(subject: Subject, cases: Iterable[Case] = CASES) -> Report:
    """Tries the cases that apply to the subject, one after the other.

    Args:
        subject: The decorator under test.
        cases: All of them where none are given.

    Returns:
        What each case gave. Nothing is raised for a case that fails.
    """
    tried = (case for case in cases if case.applies_to(subject))
    return Report(subject.name, tuple(case.run(subject) for case in tried))


def parametrize(cases: Iterable[Case] = CASES) -> pytest.MarkDecorator:
    """Makes a pytest test run once for each case, which it takes as the argument `case`.

    Args:
        cases: All of them where none are given.

    Example:
        >>> @parametrize()
        ... def test_my_decorator(case, subject):
        ...     assert not case.run(subject).failures
    """
    import pytest

    return pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in cases])
