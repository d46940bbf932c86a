"""The smallest application: one decorated handler, whose turns go to a local analytics server.

Start `otel-chat serve --store chdb:./chat-store`, then `python examples/quickstart/app.py`, and
look at http://127.0.0.1:8400.
"""

from __future__ import annotations

import sys

import otel_chat

ANSWERS = {
    "hours": "We are open from nine to five.",
    "price": "It costs twelve euros.",
}


@otel_chat.chat_handler(agent="quickstart", conversation_id="session_id", message="text")
def answer(session_id: str, text: str) -> str:  # noqa: ARG001 - read by the decorator
    turn = otel_chat.current_turn()
    for intent, reply in ANSWERS.items():
        if intent in text.lower():
            turn.intent(intent)
            return reply
    turn.intent(None)
    turn.handoff("no_answer")
    return "I am asking a colleague."


def main() -> None:
    endpoint = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8400"
    otel_chat.setup(service_name="quickstart", endpoint=endpoint, capture_content=True)
    session = "quickstart-1"
    with otel_chat.conversation(session, agent="quickstart", channel="web", start=True) as talk:
        for text in ("What are your hours?", "And the price?", "Can I pay with shells?"):
            print(f"> {text}\n{answer(session, text)}")
        talk.end("handed_off", reason="no_answer")
    if not otel_chat.shutdown(timeout=30):
        sys.exit(f"Not everything was taken by {endpoint}. Is `otel-chat serve` running?")
    print(f"Look at {endpoint}/conversations/{session}")


if __name__ == "__main__":
    main()
