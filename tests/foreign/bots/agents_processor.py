"""OpenAI Agents SDK."""

from agents import Agent, RunConfig, Runner, add_trace_processor, function_tool

from otel_chat.integrations.openai_agents import ChatTracingProcessor

add_trace_processor(ChatTracingProcessor(channel="web"))


@function_tool
def find_parcel(number: str) -> str:
    return "It is in Oslo."


agent = Agent(name="support", model="gpt-4o-mini", tools=[find_parcel])


def answer(text: str, conversation_id: str) -> str:
    config = RunConfig(group_id=conversation_id)
    return Runner.run_sync(agent, text, run_config=config).final_output
