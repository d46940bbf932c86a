"""LlamaIndex with OpenInference's instrumentation."""

import asyncio

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.llms.openai import OpenAI
from openinference.instrumentation import using_attributes
from openinference.instrumentation.llama_index import LlamaIndexInstrumentor

LlamaIndexInstrumentor().instrument()


def find_parcel(number: str) -> str:
    """Says where a parcel is."""
    return "It is in Oslo."


agent = FunctionAgent(name="support", llm=OpenAI(model="gpt-4o-mini"), tools=[find_parcel])


async def ask(text: str) -> str:
    return str(await agent.run(text))


def answer(text: str, conversation_id: str) -> str:
    with using_attributes(session_id=conversation_id, metadata={"agent_name": "support"}):
        return asyncio.run(ask(text))
