"""Data that is a sample: pages say so, how to be rid of it, and lead through it."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from otel_chat.server.here import is_here


class Step(BaseModel):
    """A step of a tour.

    Args:
        label: What it is called, in a word or three.
        text: What is to be seen there.
        address: The page, as `/conversations?failed=true`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: Annotated[str, Field(min_length=1, max_length=40)]
    text: Annotated[str, Field(min_length=1, max_length=400)]
    address: str

    @field_validator("address")
    @classmethod
    def _of_this_site(cls, address: str) -> str:
        if not is_here(address):
            raise ValueError("an address of a page begins with one slash, as /performance")
        return address


class Sample(BaseModel):
    """That the store's data is a sample, and what is to be said of it.

    Args:
        about: What the sample is, in a sentence.
        removal: How to be rid of it, in a sentence.
        command: The command that removes it.
        steps: A tour of it.

    Example:
        >>> Sample(about="Made up.", removal="Stop the server, then:", command="rm -r x").steps
        ()
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    about: Annotated[str, Field(min_length=1, max_length=400)]
    removal: Annotated[str, Field(min_length=1, max_length=400)]
    command: Annotated[str, Field(min_length=1, max_length=400)]
    steps: Annotated[tuple[Step, ...], Field(max_length=9)] = ()

    def step_at(self, address: str) -> int | None:
        """Which step a page is, from 0 on; `None` if it is none."""
        places = [step.address for step in self.steps]
        return places.index(address) if address in places else None
