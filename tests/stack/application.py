"""An application under observation: answers as many turns as each line of its input says.

After each line it flushes, unless that says `held`, and prints the turns answered so far and
whether all was taken.
"""

from __future__ import annotations

import os
import sys

import otel_chat
from otel_chat.config import Config

AGENT = "stack-test"


@otel_chat.chat_handler(agent=AGENT, channel="web", conversation_id="session", message="text")
def answer(session: str, text: str) -> str:
    """A handler as applications have it."""
    turn = otel_chat.current_turn()
    turn.intent("greet", 0.9)
    turn.usage(input_tokens=12, output_tokens=3)
    return f"You said: {text}"


def main() -> None:
    """Serves its input."""
    service, endpoint = sys.argv[1:]
    port = os.environ.get("OTEL_CHAT_PROMETHEUS_PORT")
    otel_chat.setup(
        service_name=service,
        environment="test",
        endpoint=endpoint or None,
        prometheus_port=int(port) if port else None,
        capture_content=True,
        config=Config(keep_rate=1.0),
    )
    answered = 0
    for line in sys.stdin:
        turns, *held = line.split()
        for _ in range(int(turns)):
            answer(f"{service}-{answered % 10}", "hello, I am ann@example.org")
            answered += 1
        sys.stdout.write(f"{answered} {'taken' if not held and otel_chat.flush() else 'kept'}\n")
        sys.stdout.flush()
    otel_chat.shutdown()


if __name__ == "__main__":
    main()
