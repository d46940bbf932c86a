"""OpenAI Agents SDK with OpenInference's instrumentation."""

from agents import Agent, Runner, function_tool
from openinference.instrumentation import using_session
from openinference.instrumentation.openai_agents import OpenAIAgentsInstrumentor

OpenAIAgentsInstrumentor().instrument()


@function_tool
def find_parcel(number: str) -> str:
    return "It is in Oslo."


agent = Agent(name="support", model="gpt-4o-mini", tools=[find_parcel])


def answer(text: str, conversation_id: str) -> str:
    with using_session(conversation_id):
        return Runner.run_sync(agent, text).final_output
