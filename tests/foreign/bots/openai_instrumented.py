"""OpenAI with OpenLLMetry's instrumentation."""

from openai import OpenAI
from opentelemetry.instrumentation.openai import OpenAIInstrumentor

from otel_chat import chat_handler, model_call

OpenAIInstrumentor().instrument()


@model_call
def ask(text: str):
    message = {"role": "user", "content": text}
    return OpenAI().chat.completions.create(model="gpt-4o-mini", messages=[message])


@chat_handler(agent="support", conversation_id="conversation_id", message="text", channel="web")
def answer(text: str, conversation_id: str) -> str:
    return ask(text).choices[0].message.content
