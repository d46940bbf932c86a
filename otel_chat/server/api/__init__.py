"""The HTTP API: one module for each group of addresses."""

import otel_chat.server.api.convertors  # noqa: F401 - it makes `{...:id}` known to all addresses
