"""The two workflows: returning an order and changing its address.

A workflow asks for the order, then for a detail, then for a yes, and then calls a tool. What a
step decides is a `Reply`; what it did is written to the turn.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

import otel_chat
from otel_chat.demo.orderbook import Order, OrderBook

Step = Literal["order", "detail", "confirm"]
_PATIENCE: Final = 2
_NUMBER: Final = re.compile(r"\b(10\d{3})\b")
_ADDRESS: Final = re.compile(r"[^\W\d].*\d+\s*\w?\s*,\s*\S{3,}.*\s+\S{2,}")


@dataclass(frozen=True, slots=True)
class Reply:
    """What the bot wants to say.

    Args:
        template: A name in `replies.json`.
        values: What to put into it.
    """

    template: str
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Workflow:
    """A workflow that a conversation is in the middle of."""

    name: str
    step: Step = "order"
    order: Order | None = None
    detail: str = ""
    misses: int = 0


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is particular to one workflow."""

    ask: str
    confirm: str
    done: str
    detail_name: str
    refuse: Callable[[Order], str | None]
    accept: Callable[[str], str | None]
    unclear: str
    act: Callable[[OrderBook, Order, str], dict[str, str]]


def order_number(text: str) -> str | None:
    """The order number in a text.

    Example:
        >>> order_number("it is 10417, I think")
        '10417'
        >>> order_number("4711") is None
        True
    """
    found = _NUMBER.search(text)
    return found.group(1) if found else None


def look_up(book: OrderBook, number: str) -> Order | None:
    """Looks an order up, as a tool call of the current turn."""
    with otel_chat.tool("look_up_order"):
        return book.find(number)


def _register_return(book: OrderBook, order: Order, _reason: str) -> dict[str, str]:
    with otel_chat.tool("register_return"):
        return {"label": book.register_return(order)}


def _change_address(book: OrderBook, order: Order, address: str) -> dict[str, str]:
    with otel_chat.tool("change_address"):
        book.change_address(order, address)
    return {}


def _refuse_return(order: Order) -> str | None:
    if order.status.startswith("return"):
        return "return_already"
    return None if order.status == "delivered" else "return_not_delivered"


def _reason(text: str) -> str | None:
    return text.strip().rstrip(".!") or None


def _address(text: str) -> str | None:
    found = _ADDRESS.search(text)
    return found.group(0).strip().rstrip(".!") if found else None


PLANS: Final[Mapping[str, _Plan]] = {
    "return_order": _Plan(
        ask="return_reason",
        confirm="return_confirm",
        done="return_done",
        detail_name="reason",
        refuse=_refuse_return,
        accept=_reason,
        unclear="return_reason",
        act=_register_return,
    ),
    "change_address": _Plan(
        ask="address_ask",
        confirm="address_confirm",
        done="address_done",
        detail_name="address",
        refuse=lambda order: "address_too_late" if order.status != "processing" else None,
        accept=_address,
        unclear="address_unclear",
        act=_change_address,
    ),
}
"""The workflows by the intent that starts them."""


def advance(
    workflow: Workflow, text: str, answer: str | None, book: OrderBook
) -> tuple[Reply, bool]:
    """Takes the workflow one message further.

    Args:
        workflow: Where it stands; changed in place.
        text: The user's message.
        answer: `affirm` or `deny` where the message is one of them.
        book: The order book.

    Returns:
        What to say, and whether the workflow has come to its end.
    """
    plan = PLANS[workflow.name]
    if workflow.step == "order":
        return _take_order(workflow, plan, text, answer, book)
    if workflow.step == "detail":
        return _take_detail(workflow, plan, text)
    return _take_answer(workflow, plan, answer, book)


def stop(workflow: Workflow) -> None:
    """Notes that the workflow ends where it stands, without its aim."""
    otel_chat.current_turn().workflow(workflow.name, "failed", step=workflow.step)


def _missed(workflow: Workflow, reply: Reply) -> tuple[Reply, bool]:
    workflow.misses += 1
    if workflow.misses < _PATIENCE:
        return reply, False
    stop(workflow)
    return Reply("workflow_stopped"), True


def _take_order(
    workflow: Workflow, plan: _Plan, text: str, answer: str | None, book: OrderBook
) -> tuple[Reply, bool]:
    number = order_number(text)
    if number is None and answer == "deny":
        stop(workflow)
        return Reply("workflow_stopped"), True
    if number is None:
        return _missed(workflow, Reply("ask_order"))
    order = look_up(book, number)
    if order is None:
        return _missed(workflow, Reply("unknown_order", {"number": number}))
    refusal = plan.refuse(order)
    if refusal:
        stop(workflow)
        return Reply(refusal, {"number": number}), True
    workflow.order, workflow.step, workflow.misses = order, "detail", 0
    return Reply(plan.ask, {"number": number, "item": order.item}), False


def _take_detail(workflow: Workflow, plan: _Plan, text: str) -> tuple[Reply, bool]:
    order = _order_of(workflow)
    detail = plan.accept(text)
    if detail is None:
        return _missed(workflow, Reply(plan.unclear, {"number": order.number, "item": order.item}))
    workflow.detail, workflow.step, workflow.misses = detail, "confirm", 0
    otel_chat.current_turn().entity(plan.detail_name, detail)
    values = {"number": order.number, "item": order.item, plan.detail_name: detail}
    return Reply(plan.confirm, values), False


def _take_answer(
    workflow: Workflow, plan: _Plan, answer: str | None, book: OrderBook
) -> tuple[Reply, bool]:
    order = _order_of(workflow)
    if answer == "deny":
        stop(workflow)
        return Reply("workflow_stopped"), True
    if answer != "affirm":
        return _missed(workflow, Reply("yes_or_no"))
    turn = otel_chat.current_turn()
    try:
        made = plan.act(book, order, workflow.detail)
    except LookupError:
        stop(workflow)
        raise
    turn.action(workflow.name, {"order": order.number})
    turn.workflow(workflow.name, "completed", step="confirm")
    values = {"number": order.number, "item": order.item, plan.detail_name: workflow.detail}
    return Reply(plan.done, {**values, **made}), True


def _order_of(workflow: Workflow) -> Order:
    if workflow.order is None:
        raise RuntimeError(f"the workflow {workflow.name} is at {workflow.step} without an order")
    return workflow.order
