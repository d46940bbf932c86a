"""What every test stands on: an error of the library's own fails the test."""

from __future__ import annotations

import os

os.environ["OTEL_CHAT_RAISE"] = "1"

pytest_plugins = ["otel_chat.testing.plugin"]
