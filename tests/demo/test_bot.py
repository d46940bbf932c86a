from __future__ import annotations

import json

import pytest

from otel_chat.demo.bot import AGENT, THUMBS, SupportBot
from otel_chat.demo.composer import MODEL, compose, pieces
from otel_chat.demo.content import articles, replies, samples
from otel_chat.demo.orderbook import CarrierUnknownError, OrderBook
from otel_chat.demo.tokenizer import count_tokens
from otel_chat.demo.workflows import Reply
from tests.demo.conftest import Telemetry


class Talk:
    """A user's side of a conversation with a bot that has an order book of its own."""

    def __init__(self) -> None:
        self.bot = SupportBot(pace=0)
        self.session, self.welcome = self.bot.open(channel="mobile", user_type="client")

    async def say(self, text: str) -> str:
        """Says something; the whole reply."""
        return "".join([piece async for piece in self.bot.answer(self.session, text)])


@pytest.fixture
def talk(telemetry: Telemetry) -> Talk:
    return Talk()


async def test_a_turn_carries_what_was_measured(talk: Talk, telemetry: Telemetry) -> None:
    """Tokens are the tokenizer's, the confidence the classifier's, the price the declared one."""
    reply = await talk.say("where is my order 10446?")
    assert "Parcelwing" in reply
    [turn] = telemetry.turns()
    asked = count_tokens("where is my order 10446?")
    assert turn["otel_chat.usage.input_tokens"] == turn["otel_chat.context.size"] == asked
    assert turn["otel_chat.usage.output_tokens"] == count_tokens(reply)
    assert turn["otel_chat.intent.name"] == "order_status"
    assert 0.9 < turn["otel_chat.confidence"] <= 1
    assert turn["gen_ai.agent.name"] == AGENT
    assert turn["otel_chat.channel"] == "mobile"
    assert turn["otel_chat.user.type"] == "client"
    assert turn["otel_chat.cost.source"] == "local"
    dollars = (asked * 0.25 + count_tokens(reply) * 1.0) / 1e6
    assert turn["otel_chat.cost.amount"] == pytest.approx(dollars)
    assert json.loads(turn["gen_ai.output.messages"])[0]["parts"][0]["content"] == reply


async def test_who_may_buy_is_a_lead(talk: Talk, telemetry: Telemetry) -> None:
    """A question about stock is a lead of its kind; one about an order is none."""
    await talk.say("is the oak table in stock")
    await talk.say("where is my order 10446?")
    assert [lead["otel_chat.lead.kind"] for lead in telemetry.events("otel_chat.lead")] == [
        "product"
    ]


async def test_the_steps_of_a_turn_are_its_children(talk: Talk, telemetry: Telemetry) -> None:
    """Look-ups and the composer are spans inside the turn, in the order in which they ran."""
    await talk.say("where is my order 10446?")
    spans = telemetry.spans()
    assert [span.name for span in spans] == [
        f"invoke_agent {AGENT}",
        "execute_tool look_up_order",
        "execute_tool ask_carrier",
        f"chat {MODEL}",
    ]
    root = spans[0]
    assert root.context is not None
    assert {span.parent.span_id for span in spans[1:] if span.parent} == {root.context.span_id}


async def test_a_return_is_registered_in_three_steps(talk: Talk, telemetry: Telemetry) -> None:
    """The workflow asks for order, reason and a yes, and makes a label."""
    assert "Which order" in await talk.say("I want to return something")
    assert "Why" in await talk.say("10417")
    assert "yes or no" in await talk.say("too small")
    assert "AR-10417-80FD" in await talk.say("yes please")
    workflow = telemetry.events(
        "otel_chat.workflow.started", "otel_chat.workflow.completed", "otel_chat.workflow.failed"
    )
    assert [event["name"].rpartition(".")[2] for event in workflow] == ["started", "completed"]
    [action] = telemetry.events("otel_chat.action")
    assert action["otel_chat.action.type"] == "return_order"


async def test_an_address_is_changed_after_a_yes(talk: Talk) -> None:
    """An unclear address is asked for again; a yes writes the new one to the order book."""
    await talk.say("please change the delivery address of order 10432")
    assert "once more" in await talk.say("the blue house")
    assert "Harbour Street 15" in await talk.say("Harbour Street 15, 20457 Harburg")
    assert "Done" in await talk.say("yes")


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (["I want to return something", "10446"], "has not been delivered"),
        (["I want to return something", "10333"], "registered already"),
        (["change my address please", "10379"], "already left"),
        (["I want to return something", "10417", "too small", "no"], "changed nothing"),
        (["I want to return something", "no"], "changed nothing"),
        (["I want to return something", "10999", "10998"], "changed nothing"),
    ],
)
async def test_a_workflow_that_cannot_go_on_is_failed(
    talk: Talk, telemetry: Telemetry, said: list[str], answer: str
) -> None:
    """A refusal, a no, or a second miss ends the workflow as failed, with its step."""
    for text in said:
        reply = await talk.say(text)
    assert answer in reply
    [failed] = telemetry.events("otel_chat.workflow.failed")
    assert failed["otel_chat.workflow.step"] in {"order", "confirm"}


async def test_the_bot_asks_once_and_then_hands_over(talk: Talk, telemetry: Telemetry) -> None:
    """Two messages in a row that it does not understand are fallbacks; the second is a handoff."""
    assert await talk.say("zxcv mmph") == replies()["unsure"]
    assert await talk.say("qqq wwww zzz") == replies()["handoff_unsure"]
    first, second = telemetry.turns()
    assert first["otel_chat.fallback"] is second["otel_chat.fallback"] is True
    assert first["otel_chat.confidence"] < 0.35
    assert "otel_chat.handoff.triggered" not in first
    assert second["otel_chat.handoff.reason"] == "low_confidence"


async def test_one_misunderstanding_is_forgotten_after_an_understood_message(talk: Talk) -> None:
    """Only misunderstandings in a row lead to a handoff."""
    for text in ("zxcv mmph", "how much is shipping", "zxcv mmph"):
        await talk.say(text)
    assert not talk.session.handed_off


async def test_after_a_handoff_messages_are_no_turns(talk: Talk, telemetry: Telemetry) -> None:
    """What the user writes to the team is a message; the bot only says that it has been passed."""
    await talk.say("I want to talk to a human")
    assert await talk.say("are you there?") == replies()["handoff_waiting"]
    talk.bot.human(talk.session, "Yes, Noor here.")
    assert len(telemetry.turns()) == 1
    messages = telemetry.events("otel_chat.message")
    assert [m["otel_chat.message.sender"] for m in messages] == ["assistant", "user", "human"]
    assert messages[2]["otel_chat.message.text"] == "Yes, Noor here."


async def test_a_tool_that_fails_fails_the_turn(talk: Talk, telemetry: Telemetry) -> None:
    """An order whose carrier is not in the book raises, and turn and tool carry the error."""
    with pytest.raises(CarrierUnknownError):
        await talk.say("where is my order 10302?")
    [turn] = telemetry.turns()
    assert (turn["otel_chat.status"], turn["error.type"]) == ("error", "CarrierUnknownError")
    [carrier] = [span for span in telemetry.spans() if span.name == "execute_tool ask_carrier"]
    assert (carrier.attributes or {})["error.type"] == "CarrierUnknownError"


async def test_a_failed_return_leaves_no_workflow_behind(talk: Talk) -> None:
    """After the failure the conversation goes on at the beginning."""
    for text in ("I want to return order 10705", "too high"):
        await talk.say(text)
    with pytest.raises(CarrierUnknownError):
        await talk.say("yes")
    assert await talk.say("thanks") == replies()["thanks"]


async def test_a_sure_goodbye_ends_the_conversation(talk: Talk, telemetry: Telemetry) -> None:
    """The end is reported once, with its outcome and reason."""
    await talk.say("how much is shipping")
    await talk.say("bye")
    assert talk.session.ended
    [end] = telemetry.events("otel_chat.conversation.end")
    assert (end["otel_chat.outcome"], end["otel_chat.reason"]) == ("resolved", "goodbye")
    assert len(telemetry.events("otel_chat.conversation.start")) == 1


async def test_a_rating_after_the_end_starts_nothing(talk: Talk, telemetry: Telemetry) -> None:
    """Feedback has its value, scale and score, and opens no second conversation."""
    await talk.say("bye")
    talk.bot.rate(talk.session, 4, "quick")
    [rated] = telemetry.events("gen_ai.evaluation.result")
    assert rated["otel_chat.feedback.value"] == 4
    assert rated["gen_ai.evaluation.score.value"] == 0.75
    assert rated["gen_ai.evaluation.explanation"] == "quick"
    talk.bot.rate(talk.session, 1, scale=THUMBS)
    _, thumb = telemetry.events("gen_ai.evaluation.result")
    assert (thumb["otel_chat.feedback.value"], thumb["gen_ai.evaluation.score.value"]) == (1, 1)
    assert len(telemetry.events("otel_chat.conversation.start")) == 1


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("cancel order 10567", "is cancelled"),
        ("cancel order 10446", "cannot be cancelled"),
        ("where is my refund for order 10333", "105"),
        ("where is my refund for order 10275", "No return is registered"),
        ("the vase of order 10417 came with a crack", "T-1"),
        ("10290", "being packed"),
        ("where is order 10261", "was delivered"),
        ("where is order 10333", "coming back"),
    ],
)
async def test_questions_about_an_order_are_answered_from_the_book(
    talk: Talk, said: str, answer: str
) -> None:
    """Status, cancelling, refunds and damage follow from what the order book holds."""
    if answer == "105":
        order = OrderBook().find("10333")
        assert order is not None
        answer = f"{order.total:.2f}"
    assert answer in await talk.say(said)


def test_pieces_of_every_text_put_together_are_the_text() -> None:
    """Streaming changes nothing about a reply."""
    for text in [*replies().values(), *(article.text for article in articles())]:
        assert "".join(pieces(text)) == text


def test_every_template_can_be_filled() -> None:
    """Each template asks only for values that the bot has."""
    names = ["number", "item", "total", "address", "carrier", "days", "shipped_on"]
    names += ["delivered_on", "reason", "label", "text", "ticket"]
    values = dict.fromkeys(names, "x")
    for name in replies():
        assert compose(Reply(name, values))


def test_the_samples_are_varied() -> None:
    """At least 40 conversations, with feedback, people, endings and some that just stop."""
    kinds = {kind for sample in samples() for step in sample["steps"] for kind in step}
    assert len(samples()) >= 40
    assert {"say", "rate", "thumb", "comment", "human", "end"} == kinds
    assert len({sample["name"] for sample in samples()}) == len(samples())


def test_the_bot_forgets_the_oldest_conversation_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded: beyond the limit the conversation not used for longest goes."""
    monkeypatch.setattr("otel_chat.demo.bot.SESSIONS", 2)
    bot = SupportBot(pace=0)
    opened = [bot.open(channel="web", user_type="client")[0] for _ in range(3)]
    assert [bot.find(one.conversation_id) is not None for one in opened] == [False, True, True]


async def test_leaving_after_a_failed_reply_is_a_failure(talk: Talk, telemetry: Telemetry) -> None:
    """Whoever leaves after an error was failed; after an answer the conversation is abandoned."""
    with pytest.raises(CarrierUnknownError):
        await talk.say("where is my order 10302?")
    talk.bot.end(talk.session, "abandoned", reason="closed")
    other = Talk()
    await other.say("how much is shipping")
    other.bot.end(other.session, "abandoned", reason="closed")
    ends = telemetry.events("otel_chat.conversation.end")
    assert [end["otel_chat.outcome"] for end in ends] == ["failed", "abandoned"]
