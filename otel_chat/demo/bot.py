"""The bot: its decorated handler, and what happens around its turns."""

from __future__ import annotations

import uuid
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Final

import otel_chat
from otel_chat.demo import content
from otel_chat.demo.classifier import intent_classifier
from otel_chat.demo.composer import MODEL, PROVIDER, compose, stream
from otel_chat.demo.dialogue import Dialogue, Session
from otel_chat.demo.orderbook import OrderBook
from otel_chat.demo.retrieval import article_index
from otel_chat.demo.tokenizer import count_tokens
from otel_chat.hooks import SentimentAnalyser

AGENT: Final = "alder-support"
RELEASE: Final = "1.5.0"
"""The bot's own version; its fault is told in `story`."""
SESSIONS: Final = 5000
PACE: Final = 0.01
STARS: Final = (1.0, 5.0)
THUMBS: Final = (0.0, 1.0)


def _channel(_bot: SupportBot, session: Session, _text: str) -> str:
    return session.channel


def _user_type(_bot: SupportBot, session: Session, _text: str) -> str:
    return session.user_type


def _release(_bot: SupportBot, session: Session, _text: str) -> str:
    return session.release


def _conversation(session: Session, *, start: bool = False) -> otel_chat.Conversation:
    return otel_chat.conversation(
        session.conversation_id,
        agent=AGENT,
        agent_version=session.release,
        channel=session.channel,
        user_type=session.user_type,
        start=start,
    )


def configuration() -> otel_chat.Config:
    """The library's settings for the bot: texts, prices, and the sentiment of what users write."""
    return otel_chat.Config.from_env(
        capture_content=True,
        price_table=content.prices(),
        models=(MODEL,),
        sentiment_analyser=SentimentAnalyser(),
    )


class SupportBot:
    """The bot of the shop, with an order book of its own.

    Args:
        pace: Seconds between two pieces of a streamed reply, 0 or more.
        release: Its version.
        book: Gives the orders of a conversation; one book for all without.
        name: Gives the id of a conversation; a random one without.

    Example:
        >>> bot = SupportBot(pace=0)
        >>> session, welcome = bot.open(channel="web", user_type="client")
        >>> welcome
        'Welcome to Alder & Reed...'
    """

    def __init__(
        self,
        *,
        pace: float = PACE,
        release: str = RELEASE,
        book: Callable[[], OrderBook] | None = None,
        name: Callable[[], str] | None = None,
    ) -> None:
        self._pace = pace
        self._release = release
        shared = OrderBook()
        self._book = book or (lambda: shared)
        self._name = name or (lambda: f"demo-{uuid.uuid4()}")
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._dialogue = Dialogue(intent_classifier(), article_index())
        count_tokens("")

    def open(self, *, channel: str, user_type: str) -> tuple[Session, str]:
        """Opens a conversation with a greeting.

        Args:
            channel: Where it takes place.
            user_type: Who writes: client, provider, anonymous.

        Returns:
            The conversation and the greeting.
        """
        known = (self._name(), self._book(), self._release)
        session = Session(*known, channel=channel, user_type=user_type)
        self._sessions[session.conversation_id] = session
        while len(self._sessions) > SESSIONS:
            self._sessions.popitem(last=False)
        welcome = content.replies()["welcome"]
        with _conversation(session, start=True) as conversation:
            conversation.message(welcome, sender="assistant")
        return session, welcome

    def find(self, conversation_id: str) -> Session | None:
        """The conversation of that id, where the bot still remembers it."""
        session = self._sessions.get(conversation_id)
        if session:
            self._sessions.move_to_end(conversation_id)
        return session

    async def answer(self, session: Session, text: str) -> AsyncIterator[str]:
        """Answers a message piece by piece; after a handoff it only passes the message on.

        Args:
            session: The conversation.
            text: The user's message.

        Raises:
            LookupError: a tool could not find what it needs.
        """
        if session.handed_off:
            with _conversation(session) as conversation:
                conversation.message(text, sender="user")
            yield content.replies()["handoff_waiting"]
            return
        async with aclosing(self._reply(session, text)) as pieces:
            async for piece in pieces:
                yield piece
        if session.ended:
            self.end(session, "abandoned" if session.unsure else "resolved", reason="goodbye")

    @otel_chat.chat_handler(
        agent=AGENT,
        agent_version=_release,
        conversation_id="session.conversation_id",
        message="text",
        channel=_channel,
        user_type=_user_type,
    )
    async def _reply(self, session: Session, text: str) -> AsyncGenerator[str, None]:
        """The handler: a turn begins with the user's message and ends with the last piece."""
        session.said.append(text)
        session.failed = True
        written = compose(self._dialogue.decide(session, text))
        session.failed = False
        asked = count_tokens(*session.said)
        otel_chat.current_turn().context_size(asked)
        session.said.append(written)
        with otel_chat.model_call(MODEL, provider=PROVIDER) as call:
            async for piece in stream(written, pace=self._pace):
                yield piece
            call.usage(input_tokens=asked, output_tokens=count_tokens(written))

    def human(self, session: Session, text: str) -> None:
        """A member of the team writes to the user."""
        with _conversation(session) as conversation:
            conversation.message(text, sender="human")

    def rate(
        self,
        session: Session,
        value: int,
        comment: str | None = None,
        scale: tuple[float, float] = STARS,
    ) -> None:
        """The user rates the conversation.

        Args:
            session: The conversation.
            value: On the scale: 1 (very bad) to 5 (very good), or a thumb, 0 or 1.
            comment: In the user's words.
            scale: `STARS` or `THUMBS`.
        """
        with _conversation(session) as conversation:
            conversation.feedback(value, scale=scale, comment=comment)

    def end(self, session: Session, outcome: str, *, reason: str) -> None:
        """Closes a conversation.

        Args:
            session: The conversation.
            outcome: resolved, handed_off or abandoned; abandoned after a failed reply is failed.
            reason: What closed it.
        """
        session.ended = True
        if outcome == "abandoned" and session.failed:
            outcome = "failed"
        with _conversation(session) as conversation:
            conversation.end(outcome, reason=reason)
