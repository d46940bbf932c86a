"""Slack Bolt."""

from slack_bolt import App, Say

from otel_chat import chat_handler
from tests.foreign.bots.model import reply_to

app = App(token="xoxb-...", signing_secret="...")


def thread(message: dict, say: Say) -> str:
    return message.get("thread_ts") or message["channel"]


@app.message()
@chat_handler(agent="support", conversation_id=thread, message="message.text", channel="slack")
def answer(message: dict, say: Say) -> str:
    reply = reply_to(message["text"])
    say(reply, thread_ts=message.get("thread_ts"))
    return reply
