"""Plays a transcript: every user message through a decorated handler, under its own time and ids.

The work is real: the demo's classifier scores the message and its tokenizer counts message, reply
and what went before. The reply, the intents, acts and service calls are the file's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

import otel_chat
from otel_chat import semconv as sc
from otel_chat._telemetry import runtime as process
from otel_chat._version import __version__
from otel_chat.config import Config
from otel_chat.demo.classifier import IntentClassifier, intent_classifier
from otel_chat.demo.tokenizer import count_tokens
from otel_chat.errors import TelemetryError
from otel_chat.replay.schedule import ReplayClock, ReplayIds, Schedule
from otel_chat.replay.sending import Collector, Sender
from otel_chat.replay.transcripts import Line, Transcript

BATCH_TURNS: Final = 256
ACTS: Final = "dialogue_acts"
_ANNOTATION: Final = "annotation"
_FLUSH_SECONDS: Final = 60.0
_CONTENT_LIMIT: Final = 1_000_000
_SENDERS: Final = {"system": "assistant"}

Emit = Callable[[str, Mapping[str, str], object], None]


@dataclass(frozen=True, slots=True)
class Voice:
    """What the transcripts do not say of themselves.

    Args:
        agent: The agent's name.
        model: The model that wrote the replies.
        channel: Where the conversations took place.
    """

    agent: str
    model: str
    channel: str | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """A user message and the reply to it; or a message that is no reply, without a user's.

    Args:
        at: Its place in the transcript.
        user: The user's message.
        reply: What the other side said.
    """

    at: int
    user: Line | None
    reply: Line | None


def exchanges(lines: Sequence[Line]) -> Iterator[Exchange]:
    """Cuts a conversation into turns and what is no part of one; every line occurs once.

    Args:
        lines: The messages in order.

    Example:
        >>> lines = [Line(speaker=s, text="") for s in ("system", "user", "user", "system")]
        >>> [(e.user is not None, e.reply is not None) for e in exchanges(lines)]
        [(False, True), (True, False), (True, True)]
    """
    at = 0
    while at < len(lines):
        line = lines[at]
        following = lines[at + 1] if at + 1 < len(lines) else None
        answered = line.is_user and following is not None and following.speaker in _BOT
        if not line.is_user:
            yield Exchange(at, None, line)
        else:
            yield Exchange(at, line, following if answered else None)
        at += 2 if answered else 1


_BOT: Final = frozenset({"system", "assistant"})


@dataclass(slots=True)
class _Talk:
    """A conversation while it is played: what the handler needs of it."""

    id: str
    services: tuple[str, ...]
    exchange: Exchange
    ends: int | None = None
    context: int = 0


class Player:
    """Plays transcripts into a sender. As a context manager it is the process' runtime.

    Args:
        voice: Agent, model and channel.
        schedule: Gives the messages their times.
        sender: Takes the batches.
        classifier: Scores the user's messages.
    """

    def __init__(
        self,
        voice: Voice,
        schedule: Schedule,
        sender: Sender,
        classifier: IntentClassifier | None = None,
    ) -> None:
        self._voice = voice
        self._schedule = schedule
        self._sender = sender
        self._clock = ReplayClock()
        self._ids = ReplayIds()
        self._collector = Collector()
        self._classifier = classifier or intent_classifier()
        self._runtime = self._make_runtime()
        self._before: process.Runtime | None = None
        self._played = 0
        self._handler = otel_chat.chat_handler(
            agent=voice.agent,
            conversation_id="talk.id",
            message="talk.exchange.user.text",
        )(self._answer)

    def _make_runtime(self) -> process.Runtime:
        resource = Resource(
            {
                "service.name": "otel-chat-replay",
                "service.version": __version__,
                "service.instance.id": "replay",
            }
        )
        spans = TracerProvider(
            sampler=ALWAYS_ON, resource=resource, id_generator=self._ids, shutdown_on_exit=False
        )
        spans.add_span_processor(self._collector)
        events = LoggerProvider(resource=resource, shutdown_on_exit=False)
        events.add_log_record_processor(self._collector)
        return process.Runtime(
            Config(
                capture_content=True,
                channel=self._voice.channel,
                content_limit=_CONTENT_LIMIT,
                conversation_limit=1,
            ),
            clock=self._clock,
            ids=self._ids,
            tracer_provider=spans,
            meter_provider=NoOpMeterProvider(),
            logger_provider=events,
            background=False,
        )

    def __enter__(self) -> Self:
        self._before = process.install(self._runtime)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        process.install(self._before)

    def play(self, transcript: Transcript) -> None:
        """Plays one conversation.

        Args:
            transcript: The conversation.

        Raises:
            TelemetryError: telemetry of it was dropped.
            StoreUnavailableError: see `Sender`; likewise IngestError.
        """
        if not transcript.turns:
            return
        times = self._schedule.times(transcript)
        talk = _Talk(transcript.conversation_id, transcript.services, Exchange(0, None, None))
        self._set(talk.id, "conversation", times[0])
        with otel_chat.conversation(talk.id, agent=self._voice.agent) as conversation:
            for number, exchange in enumerate(exchanges(transcript.turns)):
                talk.exchange = exchange
                self._set(talk.id, f"exchange {number}", times[exchange.at])
                if exchange.user is None:
                    self._message(conversation, talk)
                else:
                    timed = exchange.user.time and exchange.reply and exchange.reply.time
                    talk.ends = times[exchange.at + 1] if timed else None
                    self._handler(talk)
                self._played += 1
                if self._played >= BATCH_TURNS:
                    self.deliver()

    def deliver(self) -> None:
        """Hands everything played so far to the sender."""
        self._played = 0
        self._runtime.flush(_FLUSH_SECONDS)
        if self._runtime.delivery.dropped:
            raise TelemetryError("Telemetry of the replay was dropped before it was sent.")
        self._sender.send(*self._collector.take())

    def _set(self, conversation_id: str, part: str, moment: int) -> None:
        self._ids.begin(conversation_id, part)
        self._clock.set(moment)

    def _answer(self, talk: _Talk) -> str | None:
        """The handler: understands the message, counts tokens, gives the reply of the file."""
        turn = otel_chat.current_turn()
        user, reply = talk.exchange.user, talk.exchange.reply
        if user is None:
            raise TypeError("a turn needs a user's message")
        found = self._classifier.classify(user.text)
        turn.intent(found.intent, found.confidence)
        self._annotate(turn.emit, talk, user, reply)
        written = count_tokens(reply.text) if reply else 0
        asked = talk.context + count_tokens(user.text)
        turn.context_size(asked)
        turn.model(self._voice.model)
        turn.usage(input_tokens=asked, output_tokens=written)
        talk.context = asked + written
        if talk.ends is None:
            self._clock.catch_up()
        else:
            self._clock.advance_to(talk.ends)
        return reply.text if reply else None

    def _message(self, conversation: otel_chat.Conversation, talk: _Talk) -> None:
        """What is no part of a turn: a greeting, a second reply, a human's words."""
        line = talk.exchange.reply
        if line is None:
            raise TypeError("a message needs its line")
        conversation.message(line.text, sender=_SENDERS.get(line.speaker, line.speaker))
        talk.context += count_tokens(line.text)
        self._annotate(self._emitter(talk.id), talk, None, line)

    def _annotate(self, emit: Emit, talk: _Talk, user: Line | None, other: Line | None) -> None:
        """Keeps what the file says of the exchange, as events of their own."""
        for service in talk.services:
            emit(sc.EVENT_TOPIC, {sc.TOPIC_NAME: service, sc.SOURCE: _ANNOTATION}, None)
        talk.services = ()
        lines = {"user": user, "assistant": other}
        for line in (user, other):
            for intent in line.intents if line else ():
                emit(sc.EVENT_INTENT, {sc.INTENT_NAME: intent, sc.SOURCE: _ANNOTATION}, None)
            for call in line.service_calls if line else ():
                emit(sc.EVENT_ACTION, {sc.ACTION_TYPE: call, sc.SOURCE: _ANNOTATION}, None)
        acts = {name: line.acts for name, line in lines.items() if line and line.acts}
        if acts:
            emit(sc.EVENT_CUSTOM, {sc.EVENT_CUSTOM_NAME: ACTS, sc.SOURCE: _ANNOTATION}, acts)

    def _emitter(self, conversation_id: str) -> Emit:
        """Emits events of a conversation outside its turns."""
        known = {sc.AGENT_NAME: self._voice.agent, sc.CONVERSATION_ID: conversation_id}
        if self._voice.channel:
            known[sc.CHANNEL] = self._voice.channel
        runtime = self._runtime

        def emit(name: str, attributes: Mapping[str, str], data: object) -> None:
            when, uid = self._clock.time_ns(), self._ids.event_uid()
            runtime.emit(name, {**known, **attributes}, data, None, when, uid)

        return emit
