"""Asks an analytics server over HTTP, or runs one for as long as a command needs it.

Imports the leaves, httpx and rich. `AnalyticsClient` is for users; the rest serves the commands.
"""

from otel_chat.client.analytics import AnalyticsClient

__all__ = ["AnalyticsClient"]
