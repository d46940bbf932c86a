"""What the pages of a sample say of it, and the tour through it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otel_chat.server.here import address_of

if TYPE_CHECKING:
    from starlette.requests import Request

    from otel_chat.server.sample import Sample, Step

COOKIE: Final = "otel_chat_tour"
"""Where a browser that wants no tour keeps that."""
HIDDEN: Final = "hidden"


@dataclass(frozen=True, slots=True)
class Tour:
    """The strip of a page.

    Args:
        sample: What is to be said.
        address: The page.
        at: Which step it is, from 0 on; none where it is none.
        shown: Whether the reader wants to be led.
    """

    sample: Sample
    address: str
    at: int | None
    shown: bool

    @property
    def step(self) -> Step | None:
        """The step that the page is."""
        return None if self.at is None else self.sample.steps[self.at]

    @property
    def following(self) -> Step | None:
        """The step after it; the first where the page is none."""
        place = 0 if self.at is None else self.at + 1
        return self.sample.steps[place] if place < len(self.sample.steps) else None


def tour(request: Request) -> Tour | None:
    """The strip of a page; none where the data is no sample.

    Args:
        request: What was asked for.
    """
    sample: Sample | None = request.app.state.settings.sample
    if sample is None:
        return None
    address = address_of(request) if request.method == "GET" else "/"
    shown = request.cookies.get(COOKIE) != HIDDEN and bool(sample.steps)
    return Tour(sample, address, sample.step_at(address), shown)
