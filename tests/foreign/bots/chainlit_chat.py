"""Chainlit."""

import chainlit as cl

from otel_chat import chat_handler
from tests.foreign.bots.model import reply_to


def thread(message: cl.Message) -> str:
    return cl.context.session.thread_id


@cl.on_message
@chat_handler(agent="support", conversation_id=thread, message="message.content", channel="web")
async def answer(message: cl.Message) -> str:
    reply = await cl.make_async(reply_to)(message.content)
    await cl.Message(reply).send()
    return reply
