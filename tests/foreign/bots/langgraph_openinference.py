"""LangGraph with OpenInference's instrumentation."""

from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from openinference.instrumentation.langchain import LangChainInstrumentor

LangChainInstrumentor().instrument()


@tool
def find_parcel(number: str) -> str:
    """Says where a parcel is."""
    return "It is in Oslo."


graph = create_agent(ChatOpenAI(model="gpt-4o-mini"), [find_parcel], name="support")


def answer(text: str, conversation_id: str) -> str:
    said = graph.invoke(
        {"messages": [("user", text)]}, {"configurable": {"thread_id": conversation_id}}
    )
    return said["messages"][-1].content
