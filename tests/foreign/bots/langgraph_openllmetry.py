"""LangGraph with OpenLLMetry's instrumentation."""

from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from opentelemetry.instrumentation.langchain import LangchainInstrumentor

LangchainInstrumentor().instrument()


@tool
def find_parcel(number: str) -> str:
    """Says where a parcel is."""
    return "It is in Oslo."


graph = create_agent(ChatOpenAI(model="gpt-4o-mini"), [find_parcel], name="support")


def answer(text: str, conversation_id: str) -> str:
    said = graph.invoke(
        {"messages": [("user", text)]}, {"metadata": {"session_id": conversation_id}}
    )
    return said["messages"][-1].content
