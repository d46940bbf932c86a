"""Pydantic AI."""

from pydantic_ai import Agent

Agent.instrument_all()
agent = Agent("openai-chat:gpt-4o-mini", name="support")


@agent.tool_plain
def find_parcel(number: str) -> str:
    return "It is in Oslo."


def answer(text: str, conversation_id: str) -> str:
    return agent.run_sync(text, conversation_id=conversation_id).output
