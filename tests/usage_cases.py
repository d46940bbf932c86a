"""What a turn takes from the spans inside it, as plain data: spans in, tokens out.

Whoever sums spans up, the library in the process or the server in its store, answers alike.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True)
class Told:
    """A span inside a turn.

    Args:
        name: Of the span, for its children.
        parent: The name of the span around it; the turn's own where there is none.
        tokens: Input, output, cached and reasoning tokens; None is not told.
        response_id: `gen_ai.response.id`.
        operation: `gen_ai.operation.name`.
    """

    name: str
    tokens: tuple[int | None, int | None, int | None, int | None] = (None, None, None, None)
    parent: str | None = None
    response_id: str | None = None
    operation: str | None = "chat"


@dataclass(frozen=True)
class Case:
    """Spans in the order in which they started, and what the turn is expected to have used."""

    rule: str
    spans: tuple[Told, ...]
    expected: tuple[int | None, int | None, int | None, int | None] = field()


NONE: Final = (None, None, None, None)


def used(
    taken: int | None, made: int | None, cached: int | None = None, thought: int | None = None
) -> tuple[int | None, int | None, int | None, int | None]:
    """Tokens in their order."""
    return taken, made, cached, thought


CASES: Final = (
    Case("nothing was used", (Told("a"),), NONE),
    Case(
        "calls side by side add up",
        (Told("a", used(110, 20), response_id="r1"), Told("b", used(130, 30), response_id="r2")),
        used(240, 50),
    ),
    Case(
        "calls without ids add up",
        (Told("a", used(110, 20)), Told("b", used(110, 20))),
        used(220, 40),
    ),
    Case(
        "of nested spans the outermost that carries usage counts",
        (
            Told("agent", used(240, 50), operation="invoke_agent"),
            Told("a", used(110, 20), "agent", "r1"),
            Told("b", used(130, 30), "agent", "r2"),
        ),
        used(240, 50),
    ),
    Case(
        "a span without usage between them covers nothing",
        (
            Told("agent", operation="invoke_agent"),
            Told("step", parent="agent", operation="invoke_workflow"),
            Told("a", used(110, 20), "step"),
            Told("b", used(130, 30), "agent"),
        ),
        used(240, 50),
    ),
    Case(
        "a tool's numbers are no model's",
        (Told("a", used(110, 20)), Told("t", used(5, 5), operation="execute_tool")),
        used(110, 20),
    ),
    Case(
        "one response told by two siblings counts once",
        (Told("a", used(110, 30), response_id="r1"), Told("b", used(110, 30), response_id="r1")),
        used(110, 30),
    ),
    Case(
        "one response told by a span and one inside it counts once",
        (Told("a", used(110, 30), response_id="r1"), Told("b", used(110, 30), "a", "r1")),
        used(110, 30),
    ),
    Case(
        "one response told elsewhere, within a span that carries the sum, counts there",
        (
            Told("a", used(110, 20), response_id="r1"),
            Told("agent", used(240, 50), operation="invoke_agent"),
            Told("b", used(110, 20), "agent", "r1"),
            Told("c", used(130, 30), "agent", "r2"),
        ),
        used(240, 50),
    ),
    Case(
        "of two that tell of one response the one counts that knows more",
        (
            Told("a", used(110, 30), response_id="r1"),
            Told("b", used(110, 30, 100, 8), response_id="r1"),
        ),
        used(110, 30, 100, 8),
    ),
    Case(
        "and so where the one that knows more lies within",
        (
            Told("a", used(110, 30), response_id="r1"),
            Told("b", used(110, 30, 100, 8), "a", "r1"),
        ),
        used(110, 30, 100, 8),
    ),
    Case(
        "calls within that use just as much and know more tell of it",
        (
            Told("agent", used(240, 50), operation="invoke_agent"),
            Told("a", used(110, 20, 100), "agent", "r1"),
            Told("b", used(130, 30, 90), "agent", "r2"),
        ),
        used(240, 50, 190),
    ),
    Case(
        "calls within that use less are not all of it",
        (
            Told("agent", used(240, 50), operation="invoke_agent"),
            Told("a", used(110, 20, 100), "agent", "r1"),
        ),
        used(240, 50),
    ),
    Case(
        "zeros cover nothing",
        (Told("a", used(0, 0), response_id="r1"), Told("b", used(110, 30), "a", "r1")),
        used(110, 30),
    ),
    Case(
        "zeros beside the true ones say nothing",
        (Told("a", used(110, 30)), Told("b", used(0, 0))),
        used(110, 30),
    ),
    Case("zeros alone are zeros", (Told("a", used(0, 0)),), used(0, 0)),
    Case(
        "an empty id is no id",
        (Told("a", used(110, 20), response_id=""), Told("b", used(110, 20), response_id="")),
        used(220, 40),
    ),
    Case(
        "two that lie each in the other count once",
        (
            Told("a", used(110, 20), response_id="r1"),
            Told("b", used(110, 20), "a", "r2"),
            Told("c", used(110, 20), response_id="r2"),
            Told("d", used(110, 20), "c", "r1"),
        ),
        used(110, 20),
    ),
    Case(
        "half of a count is a count",
        (Told("a", used(None, 30)), Told("b", used(110, None))),
        used(110, 30),
    ),
)
