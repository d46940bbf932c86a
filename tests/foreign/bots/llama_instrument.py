"""LlamaIndex."""

import asyncio

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.instrumentation.dispatcher import instrument_tags
from llama_index.llms.openai import OpenAI

from otel_chat.integrations.llama_index import instrument

instrument(channel="web")


def find_parcel(number: str) -> str:
    """Says where a parcel is."""
    return "It is in Oslo."


agent = FunctionAgent(name="support", llm=OpenAI(model="gpt-4o-mini"), tools=[find_parcel])


async def ask(text: str) -> str:
    return str(await agent.run(text))


def answer(text: str, conversation_id: str) -> str:
    with instrument_tags({"session_id": conversation_id}):
        return asyncio.run(ask(text))
