"""Anthropic with OpenLLMetry's instrumentation, without `@model_call`."""

from anthropic import Anthropic
from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor

from otel_chat import chat_handler

AnthropicInstrumentor().instrument()


def ask(text: str):
    message = {"role": "user", "content": text}
    return Anthropic().messages.create(model="claude-haiku-4-5", max_tokens=500, messages=[message])


@chat_handler(agent="support", conversation_id="conversation_id", message="text", channel="web")
def answer(text: str, conversation_id: str) -> str:
    return ask(text).content[0].text
