"""LangChain and LangGraph."""

from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from otel_chat.integrations.langchain import ChatCallbackHandler


@tool
def find_parcel(number: str) -> str:
    """Says where a parcel is."""
    return "It is in Oslo."


graph = create_agent(ChatOpenAI(model="gpt-4o-mini"), [find_parcel], name="support")
turns = ChatCallbackHandler(channel="web")


def answer(text: str, conversation_id: str) -> str:
    config = {"callbacks": [turns], "configurable": {"thread_id": conversation_id}}
    said = graph.invoke({"messages": [("user", text)]}, config)
    return said["messages"][-1].content
