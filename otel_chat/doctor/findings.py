"""What the doctor finds: the hops, in the order in which a turn takes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from otel_chat._common.addresses import without_passwords


class State(StrEnum):
    """What is known of a hop."""

    OK = "ok"
    FAILED = "failed"
    NOT_ASKED = "not asked"


@dataclass(frozen=True, slots=True)
class Hop:
    """One station of the turn; of the addresses that it tells no password is shown.

    Args:
        name: Such as `collector`.
        state: What is known of it.
        detail: What was seen there.
        fix: What to do, where it failed.

    Example:
        >>> print(Hop("tempo", State.NOT_ASKED, "no address given"))
        tempo        not asked  no address given
    """

    name: str
    state: State
    detail: str
    fix: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "detail", without_passwords(self.detail))
        object.__setattr__(self, "fix", without_passwords(self.fix))

    def __str__(self) -> str:
        return f"{self.name:12} {self.state:10} {self.detail}"


@dataclass(frozen=True, slots=True)
class Marked:
    """The turn that was sent.

    Args:
        conversation_id: Of this one turn alone.
        trace_id: Its trace, in hexadecimal.
        instance: The `service.instance.id` of the process that sent it.
    """

    conversation_id: str
    trace_id: str
    instance: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All hops.

    Args:
        hops: In the order of the way.
        marked: The turn, where one was sent.

    Example:
        >>> Diagnosis([Hop("collector", State.FAILED, "away", "start it")]).failed
        'collector'
    """

    hops: Sequence[Hop]
    marked: Marked | None = None

    @property
    def failed(self) -> str | None:
        """The first hop that failed."""
        return next((hop.name for hop in self.hops if hop.state is State.FAILED), None)

    def document(self) -> dict[str, Any]:
        """All of it as one JSON object."""
        return {
            "ok": self.failed is None,
            "failed": self.failed,
            "turn": None if self.marked is None else asdict(self.marked),
            "hops": [asdict(hop) for hop in self.hops],
        }

    def lines(self) -> list[str]:
        """All of it for people: a line for each hop, then what to do."""
        said = [str(hop) for hop in self.hops]
        if self.failed is None:
            return [*said, "", "The turn arrived everywhere it was looked for."]
        fixes = [f"Fix {hop.name}: {hop.fix}" for hop in self.hops if hop.state is State.FAILED]
        return [*said, "", f"It fails at: {self.failed}.", *fixes]


class TroubleError(Exception):
    """A hop failed for good: waiting longer would not help.

    Args:
        detail: What was seen.
        fix: What to do.
    """

    def __init__(self, detail: str, fix: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.fix = fix
