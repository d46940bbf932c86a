"""What the bot answers: from the message and the state of the conversation to a `Reply`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import otel_chat
from otel_chat.demo.classifier import Classification, IntentClassifier
from otel_chat.demo.orderbook import Order, OrderBook
from otel_chat.demo.retrieval import SOURCE, ArticleIndex
from otel_chat.demo.workflows import (
    PLANS,
    Reply,
    Workflow,
    advance,
    look_up,
    order_number,
    stop,
)

UNSURE: Final = 0.35
"""Below this confidence the bot asks again, and the second time in a row calls a human."""

SURE: Final = 0.9
"""From this confidence on a goodbye ends the conversation."""

ENTITY_ORDER: Final = "order_number"
_TARGET: Final = "customer-care"
_MEMORY: Final = 6

TOPICS: Final[Mapping[str, str]] = {
    "order_status": "orders",
    "cancel_order": "orders",
    "change_address": "orders",
    "return_order": "returns",
    "damaged_item": "returns",
    "refund_status": "refunds",
    "shipping_cost": "shipping",
    "delivery_time": "shipping",
    "payment_methods": "payment",
    "invoice": "payment",
    "product_availability": "products",
    "warranty": "warranty",
    "discount_code": "offers",
    "account_login": "account",
    "opening_hours": "contact",
    "product_care": "care",
}
"""The topic that each intent belongs to; small talk belongs to none."""

LEADS: Final[Mapping[str, str]] = {
    "product_availability": "product",
    "discount_code": "offer",
}
"""What a user who asks so may be about to buy: the kind of lead by intent."""

_SMALL_TALK: Final = frozenset({"greeting", "goodbye", "thanks", "affirm", "deny"})
_ORDER_INTENTS: Final = frozenset({"order_status", "cancel_order", "refund_status", "damaged_item"})


@dataclass(slots=True)
class Session:
    """What the bot remembers of a conversation.

    Args:
        conversation_id: The conversation's id.
        book: The orders that it is about.
        release: The version of the bot that answers.
        channel: Where it takes place: web, mobile.
        user_type: Who writes: client, provider, anonymous.
    """

    conversation_id: str
    book: OrderBook
    release: str
    channel: str = "web"
    user_type: str = "anonymous"
    workflow: Workflow | None = None
    awaits_order: str | None = None
    complaint: str = ""
    unsure: int = 0
    handed_off: bool = False
    ended: bool = False
    failed: bool = False
    said: deque[str] = field(default_factory=lambda: deque(maxlen=_MEMORY))


class Dialogue:
    """Decides what to answer. Everything that it finds out is written to the current turn.

    Args:
        classifier: Says what a message means.
        index: Finds articles.
    """

    def __init__(self, classifier: IntentClassifier, index: ArticleIndex) -> None:
        self._classifier = classifier
        self._index = index
        self._by_order: Mapping[str, Callable[[Session, Order], Reply]] = {
            "order_status": self._status,
            "cancel_order": self._cancel,
            "refund_status": self._refund,
            "damaged_item": self._damaged,
        }

    def decide(self, session: Session, text: str) -> Reply:
        """The reply to a message; the session is brought up to date.

        Args:
            session: The conversation so far; changed in place.
            text: The user's message.

        Raises:
            CarrierUnknownError: when an order's carrier cannot be asked.
        """
        found = self._classifier.classify(text)
        number = order_number(text)
        if number:
            otel_chat.current_turn().entity(ENTITY_ORDER, number)
        if found.intent == "human_agent" and found.confidence >= UNSURE:
            self._note(found)
            return _hand_off(session, "user_request", "handoff_asked")
        if session.workflow:
            return self._continue(session, session.workflow, text, found)
        if number and session.awaits_order:
            intent, session.awaits_order = session.awaits_order, None
            return self._about_order(session, intent, number)
        return self._open(session, text, found, number)

    def _note(self, found: Classification) -> None:
        turn = otel_chat.current_turn()
        turn.intent(found.intent, found.confidence, fallback=False)
        topic = TOPICS.get(found.intent)
        if topic:
            turn.topic(topic)
        lead = LEADS.get(found.intent)
        if lead:
            turn.lead(lead)

    def _continue(
        self, session: Session, workflow: Workflow, text: str, found: Classification
    ) -> Reply:
        """A message within a workflow fills a slot: only a yes or no is an intent there."""
        is_answer = found.intent in {"affirm", "deny"} and found.confidence >= UNSURE
        answer = found.intent if is_answer and workflow.step != "detail" else None
        if answer:
            self._note(found)
        try:
            reply, ended = advance(workflow, text, answer, session.book)
        except LookupError:
            session.workflow = None
            raise
        if ended:
            session.workflow = None
        return reply

    def _open(
        self, session: Session, text: str, found: Classification, number: str | None
    ) -> Reply:
        if found.confidence < UNSURE:
            return self._not_sure(session, found, number)
        session.unsure = 0
        session.awaits_order = None
        self._note(found)
        if found.intent in _SMALL_TALK:
            session.ended = found.intent == "goodbye" and found.confidence >= SURE
            return Reply(found.intent)
        if found.intent in PLANS:
            return self._start(session, found.intent, text)
        if found.intent in _ORDER_INTENTS:
            return self._ask_about_order(session, found.intent, text, number)
        return Reply("article", {"text": self._article(text, TOPICS[found.intent])})

    def _ask_about_order(
        self, session: Session, intent: str, text: str, number: str | None
    ) -> Reply:
        session.complaint = text
        if number:
            return self._about_order(session, intent, number)
        session.awaits_order = intent
        if intent != "damaged_item":
            return Reply("ask_order")
        return Reply("damaged", {"text": self._article(text, TOPICS[intent])})

    def _not_sure(self, session: Session, found: Classification, number: str | None) -> Reply:
        """A number by itself asks for that order; anything else is asked again, then handed on."""
        if number:
            return self._about_order(session, "order_status", number)
        session.unsure += 1
        turn = otel_chat.current_turn()
        turn.intent(None, found.confidence, data={"nearest": found.intent})
        if session.unsure > 1:
            return _hand_off(session, "low_confidence", "handoff_unsure")
        return Reply("unsure")

    def _start(self, session: Session, name: str, text: str) -> Reply:
        session.workflow = Workflow(name)
        otel_chat.current_turn().workflow(name, "started", step="order")
        if order_number(text) is None:
            return Reply("ask_order")
        reply, ended = advance(session.workflow, text, None, session.book)
        if ended:
            session.workflow = None
        return reply

    def _about_order(self, session: Session, intent: str, number: str) -> Reply:
        session.unsure = 0
        order = look_up(session.book, number)
        if order is None:
            session.awaits_order = intent
            return Reply("unknown_order", {"number": number})
        return self._by_order[intent](session, order)

    def _article(self, question: str, topic: str) -> str:
        with otel_chat.tool(f"search_{SOURCE}"):
            hit = self._index.find(question, topic) or self._index.find(topic, topic)
        if hit is None:
            raise LookupError(f"no article about {topic}")
        return hit.article.text

    def _status(self, session: Session, order: Order) -> Reply:
        values = {"number": order.number, "item": order.item}
        if order.status == "shipped":
            with otel_chat.tool("ask_carrier"):
                days = session.book.carrier_days(order)
            values |= {"carrier": order.carrier, "days": str(days)}
            values["shipped_on"] = order.shipped_on or ""
        if order.status == "delivered":
            values["delivered_on"] = order.delivered_on or ""
        if order.status.startswith("return"):
            return Reply("order_returned", values | {"total": f"{order.total:.2f}"})
        return Reply(f"order_{order.status}", values)

    def _cancel(self, session: Session, order: Order) -> Reply:
        values = {"number": order.number, "item": order.item}
        if order.status == "cancelled":
            return Reply("order_cancelled", values)
        if order.status != "processing":
            return Reply("cancel_too_late", values)
        with otel_chat.tool("cancel_order"):
            session.book.cancel(order)
        otel_chat.current_turn().action("cancel_order", {"order": order.number})
        return Reply("cancel_done", values)

    def _refund(self, _session: Session, order: Order) -> Reply:
        if not order.status.startswith("return"):
            return Reply("refund_none", {"number": order.number})
        return Reply("refund_open", {"number": order.number, "total": f"{order.total:.2f}"})

    def _damaged(self, session: Session, order: Order) -> Reply:
        with otel_chat.tool("open_ticket"):
            ticket = session.book.open_ticket(order, session.complaint)
        otel_chat.current_turn().action("open_ticket", {"order": order.number})
        article = self._article("replacement for a damaged item", TOPICS["damaged_item"])
        values = {"number": order.number, "item": order.item, "ticket": ticket, "text": article}
        return Reply("damaged_noted", values)


def _hand_off(session: Session, reason: str, template: str) -> Reply:
    if session.workflow:
        stop(session.workflow)
        session.workflow = None
    session.handed_off = True
    otel_chat.current_turn().handoff(reason, target=_TARGET)
    return Reply(template)
