"""What is known of a turn: filled by its handler, worked out by `finish`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from opentelemetry import trace
from opentelemetry.trace import Span, SpanContext
from opentelemetry.util.types import AnyValue

from otel_chat import semconv as sc
from otel_chat._telemetry.recent_conversations import Predecessor, Seen
from otel_chat._turns.model_results import Chunks
from otel_chat._usage import Children, Usage
from otel_chat.extract import Extracted, Texts

CLASSIFIER: Final = sc.SOURCES[0]
ANNOTATION: Final = sc.SOURCES[1]


class Intent(NamedTuple):
    """An intent as it was reported; no name is a message that none matched."""

    name: str | None
    confidence: float | None
    fallback: bool
    source: str


class TurnState:
    """The data of one turn. All fields are public, and nothing happens here.

    Args:
        agent: The agent's name.
        attributes: What is known at the start, clean; becomes the turn's own.

    Example:
        >>> state = TurnState("support", {sc.CHANNEL: "web"})
        >>> state.status, state.attributes
        ('ok', {'otel_chat.channel': 'web'})
    """

    # The span
    span: Span = trace.INVALID_SPAN
    span_context: SpanContext = trace.INVALID_SPAN_CONTEXT
    outer: TurnState | None = None
    """The turn that it is nested in: a sub-agent's."""
    previous: Predecessor | None = None
    """The conversation's turn before, to link to."""
    as_previous: Predecessor | None = None
    """What the conversation's next turn links to."""
    start_ns: int = 0
    start_mono_ns: int = 0
    """The same by the clock that no change of the machine's moves."""
    end_ns: int = 0
    status: str = sc.STATUS_OK

    # What it belongs to
    series: tuple[str, str] = ("", "")
    """Agent and channel, by which running turns are counted."""
    conversation: Seen | None = None

    # What the handler gave: read only when it is over
    result: object = None
    """What the model's or classifier's client returned."""
    returned: object = None
    """What the handler returned, where its reply is wanted."""
    chunks: Chunks | None = None
    reply_reader: Callable[[Any], object] | None = None
    """The handler's own way to take the reply out of a result or a chunk."""
    reply_pieces: Texts | None = None
    """What it took out of chunks."""
    mute: bool = False
    """Its handler made no reply, as far as is known."""
    user_message: str | None = None
    reply: str | None = None

    # What follows from it
    extracted: Extracted | None = None
    """What result and chunks say."""
    provider_extracted: bool = False
    """Its provider is what the result says, not what the handler said."""
    reported_usage: Usage | None = None
    usage: Usage | None = None
    """Of the whole turn."""
    cost: float | None = None
    confidence: float | None = None
    keep: bool = False

    def __init__(self, agent: str, attributes: dict[str, AnyValue]) -> None:
        self.agent = agent
        self.attributes = attributes
        self.children = Children()
        self.links: list[SpanContext] = []
        self.intents: list[Intent] = []
        self.counts: list[tuple[str, dict[str, Any]]] = []
        """Counters that go up by one when it is over, each with attributes of its own."""
        self.metadata: list[Mapping[str, object]] = []
        self.calls: list[Usage] = []
        """The usage of each model call, for their prices may differ."""

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (self.end_ns - self.start_ns) / 1e9

    @property
    def outermost(self) -> TurnState:
        """The turn of the user's message, of which nested ones are a part."""
        state = self
        while state.outer is not None:
            state = state.outer
        return state

    def text(self, key: str) -> str | None:
        """An attribute that is a text."""
        found = self.attributes.get(key)
        return found if isinstance(found, str) else None
