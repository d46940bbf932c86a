"""Gradio."""

import gradio as gr

from otel_chat import chat_handler
from tests.foreign.bots.model import reply_to


@chat_handler(
    agent="support", conversation_id="request.session_hash", message="message", channel="web"
)
def answer(message: str, history: list, request: gr.Request) -> str:
    return reply_to(message)


page = gr.ChatInterface(answer)
