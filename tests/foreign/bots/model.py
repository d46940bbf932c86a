"""A model that the bots of chat pages ask."""

from openai import OpenAI

from otel_chat import model_call


@model_call
def ask(text: str):
    message = {"role": "user", "content": text}
    return OpenAI().chat.completions.create(model="gpt-4o-mini", messages=[message])


def reply_to(text: str) -> str:
    return ask(text).choices[0].message.content
