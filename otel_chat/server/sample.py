"""Data that is a sample: pages say so, how to be rid of it, and lead through it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, field_validator

from otel_chat._common.whole_file import writing
from otel_chat.server.here import is_here

if TYPE_CHECKING:
    from otel_chat.server.store import Store

FILE: Final = "otel-chat.sample"
"""Where a store in a folder keeps that its data is a sample: beside the data."""


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


def sample_of(store: Store, told: Sample | None) -> Sample | None:
    """What is to be said of a store's data, whichever command serves it.

    What a server is told is kept in the store's folder for those that are told nothing, for as
    long as it holds anything; a store on a server of its own has no such place.

    Args:
        store: The store, open and migrated.
        told: What this server is told.
    """
    if store.url.path is None:
        return told
    place = store.url.path / FILE
    if told is not None:
        with writing(place) as file:
            file.write(told.model_dump_json().encode())
        return told
    if not place.exists():
        return None
    if not store.query("SELECT 1 FROM turns LIMIT 1"):
        place.unlink()
        return None
    with contextlib.suppress(ValueError, OSError):
        return Sample.model_validate_json(place.read_bytes())
    return None
