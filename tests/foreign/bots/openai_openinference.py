"""OpenAI with OpenInference's instrumentation."""

from openinference.instrumentation.openai import OpenAIInstrumentor

from otel_chat import chat_handler
from tests.foreign.bots.model import reply_to

OpenAIInstrumentor().instrument()


@chat_handler(agent="support", conversation_id="conversation_id", message="text", channel="web")
def answer(text: str, conversation_id: str) -> str:
    return reply_to(text)
