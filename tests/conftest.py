"""What every test stands on: an error of the library's own fails the test."""

from __future__ import annotations

import os

from hypothesis import settings

os.environ["OTEL_CHAT_RAISE"] = "1"
# How long an example takes says how much else the machine has to do.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

pytest_plugins = ["otel_chat.testing.plugin"]
